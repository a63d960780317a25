"""`bift demo` as a person runs it: three vehicles, each a process, two iterations."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from file_modes import open_to_others

pytestmark = [pytest.mark.ros, pytest.mark.slow]

VEHICLES = ["vehicle_00", "vehicle_01", "vehicle_02"]


@dataclass(frozen=True)
class Run:
    """What a demo left behind."""

    out: Path
    report: dict[str, Any]
    printed: str
    left_over: list[str]


@pytest.fixture(scope="module")
def demo(surroundings: Any, bags: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("demo")
    done = surroundings.bift(
        "demo", "--bags", bags, "--iterations", 2, "--local-epochs", 1, "--device", "cpu",
        "--rule", "mixed", "--out", out,
    )  # fmt: skip
    logs = "".join(p.read_text() for p in out.glob("vehicles/*/vehicle.log"))
    assert done.returncode == 0, done.stderr + done.stdout + logs
    report = json.loads((out / "report.json").read_text())
    return Run(out, report, done.stdout, surroundings.left_over())


def test_all_vehicles_agree(demo: Run) -> None:
    report = demo.report
    assert report["vehicles"] == 3
    assert report["iterations"] == 2
    assert report["agreed"] is True
    assert len(bytes.fromhex(report["tip"])) == 32
    assert report["height"] >= 3  # the proposal's block, and one for each iteration
    assert report["verified"] == dict.fromkeys(VEHICLES, True)


def test_every_iteration_was_measured(demo: Run) -> None:
    report = demo.report
    assert len(report["accuracy"]) == 2
    assert all(0.0 <= accuracy <= 1.0 for accuracy in report["accuracy"])
    assert report["final_accuracy"] == report["accuracy"][-1]
    assert len(report["rules"]) == 2
    assert set(report["rules"]) <= {"multi_krum", "krum", "trimmed_mean", "bulyan"}
    for seconds in report["seconds"]:
        assert set(seconds) == {"training", "storage", "consensus"}
        assert all(value > 0 for value in seconds.values())
    assert report["wall_seconds"] > sum(s["training"] for s in report["seconds"])


def test_every_vehicle_trained_on_its_own_data(demo: Run) -> None:
    report = demo.report
    assert list(report["dataset_sizes"]) == VEHICLES
    for name in VEHICLES:
        crops = list((demo.out / "vehicles" / name / "dataset").glob("*/*/*.png"))
        assert report["dataset_sizes"][name] == len(crops) > 20
        assert report["peak_rss_mb"][name] > 50
    assert report["update_bytes"] > 10_000


def test_balances_are_the_rewards_paid(demo: Run) -> None:
    report = demo.report
    earned = dict.fromkeys(VEHICLES, 0)
    for contributors in report["contributors"]:
        for name in contributors:
            earned[name] += 20
    assert report["balances"] == earned
    assert sum(earned.values()) > 0
    assert report["balances_add_up"] is True


def test_the_plot_is_a_picture(demo: Run) -> None:
    assert (demo.out / "accuracy.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_the_terminal_tells_what_happened(demo: Run) -> None:
    assert "iteration 2/2" in demo.printed
    assert "report.json" in demo.printed
    for name in VEHICLES:
        assert name in demo.printed


def test_a_page_shows_it_meanwhile(demo: Run) -> None:
    assert "The fleet's page: http://127.0.0.1:" in demo.printed


def test_other_users_can_read_nothing_of_it(demo: Run) -> None:
    assert (demo.out / "vehicles" / "vehicle_00" / "dataset" / "index.sqlite3").is_file()
    assert open_to_others(demo.out) == []


def test_nothing_keeps_running(demo: Run) -> None:
    assert demo.left_over == []


@pytest.mark.parametrize("name", VEHICLES)
def test_every_chain_verifies_from_its_own_files(surroundings: Any, demo: Run, name: str) -> None:
    done = surroundings.bift("chain", "verify", "--data", demo.out / "vehicles" / name, "--json")
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["valid"] is True
    assert outcome["tip"] == demo.report["tip"]
    assert outcome["model_blocks"] == 2
    assert sum(outcome["balances"].values()) == outcome["rewards_paid"]
    assert outcome["balances"] == demo.report["balances"]


def test_the_report_tells_what_the_run_was(surroundings: Any, demo: Run) -> None:
    done = surroundings.bift("report", demo.out, "--json")
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    report = demo.report
    assert (run["tip"], run["agreed"], run["verified"]) == (report["tip"], True, True)
    assert [i["test_accuracy"] for i in run["iterations"]] == report["accuracy"]
    assert [i["parts"] for i in run["iterations"]] == report["seconds"]
    assert [i["contributors"] for i in run["iterations"]] == [
        sorted(names) for names in report["contributors"]
    ]
    assert run["iterations"][-1]["stakes"] == report["balances"]
    assert {v["name"]: v["samples"] for v in run["vehicles"]} == report["dataset_sizes"]
    assert {v["name"]: v["peak_rss_mb"] for v in run["vehicles"]} == report["peak_rss_mb"]
    assert run["missing"] == []
    done = surroundings.bift("report", demo.out)
    assert done.returncode == 0, done.stderr
    assert report["tip"] in (demo.out / "report.html").read_text()


def test_ctrl_c_ends_every_process(surroundings: Any, bags: Path, tmp_path: Path) -> None:
    surroundings.interrupted(
        "demo", "--bags", bags, "--iterations", 50, "--device", "cpu", "--out", tmp_path,
        out=tmp_path,
        logs=[tmp_path / "vehicles" / name / "vehicle.log" for name in VEHICLES],
        ready=b"serves its files",
    )  # fmt: skip
