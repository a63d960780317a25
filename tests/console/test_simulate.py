"""`./bift simulate`: figures, history, and errors that name the remedy."""

from __future__ import annotations

import json

from bift_ros.console.main import main

QUIET = ["simulate", "--vehicles", "5", "--iterations", "1", "--faults", "none"]


def test_json_says_what_ran(capsys):
    assert main([*QUIET, "--seeds", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["seeds"], report["completed"], report["violations"]) == (1, 1, 0)
    assert report["failing_seeds"] == []
    assert report["seconds"] > 0


def test_a_table_sums_the_runs_up(capsys):
    assert main([*QUIET, "--seeds", "1"]) == 0
    assert "runs completed" in capsys.readouterr().out


def test_replay_prints_the_history(capsys):
    assert main([*QUIET, "--replay", "3"]) == 0
    printed = capsys.readouterr().out
    assert "mines block 1" in printed
    assert "seed 3: fingerprint" in printed


def test_scaling_compares_fleet_sizes(capsys):
    arguments = ["simulate", "--iterations", "1", "--faults", "none", "--scaling", "4,6", "--json"]
    assert main(arguments) == 0
    reports = json.loads(capsys.readouterr().out)
    assert [report["vehicles"] for report in reports] == [4, 6]
    assert reports[0]["per_vehicle"]["messages"] < reports[1]["per_vehicle"]["messages"]


def test_bad_input_names_the_remedy(capsys):
    for arguments, remedy in [
        (["--vehicles", "10", "--byzantine", "5"], "use at most 4"),
        (["--faults", "rain"], "use delay, loss"),
        (["--seeds", "0"], "use at least 1"),
        (["--scaling", "5", "--byzantine", "1"], "leave it out"),
    ]:
        assert main(["simulate", *arguments]) == 2
        assert remedy in capsys.readouterr().err
