"""Every command's help, and the one clear line that a person gets for a mistake."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bift_ros.attacks.registry import ATTACKS
from bift_ros.console.main import COMMANDS, build_parser, main
from bift_ros.identity.keyfile import save_key
from bift_ros.identity.keys import KeyPair

ACTIONS = [
    ("demo",), ("bag", "synth"), ("bag", "from-images"), ("bag", "info"), ("account", "create"),
    ("account", "show"), ("account", "list"), ("genesis", "create"), ("node", "run"),
    ("node", "submit-model"), ("miner", "start"), ("miner", "stop"), ("tx", "transfer"),
    ("tx", "show"), ("task", "list"), ("task", "show"), ("completion", "bash"),
    ("completion", "zsh"), ("system", "show"), ("chain", "show"), ("chain", "verify"),
    ("chain", "export"), ("bench", "aggregation"),
    ("experiment", "fixed-point"), ("experiment", "table7"), ("experiment", "fig12"),
    ("experiment", "defences"), ("chaos",), ("simulate",),
    ("member", "vote"), ("member", "list"), ("storage", "kubo", "init"),
    ("storage", "kubo", "start"), ("storage", "kubo", "stop"), ("storage", "kubo", "status"),
    ("fleet", "up"), ("fleet", "status"), ("fleet", "logs"), ("fleet", "down"),
    ("data", "share"), ("data", "get"), ("data", "withdraw"), ("data", "list"),
    ("dashboard",), ("monitor", "run"), ("monitor", "camera"), ("monitor", "replay"), ("report",),
    ("bench", "fleet"), ("bench", "monitor"), ("security", "create"), ("security", "add"),
    ("security", "renew"), ("security", "revoke"),
]  # fmt: skip
# These reach ROS, which not every machine has.
NEED_ROS = {
    "demo", "chaos", "system", "chain", "member", "data", "fleet", "tx", "task", "dashboard",
    "monitor", "report", "bench",
}  # fmt: skip


def skip_without_ros(command: str) -> None:
    if command in NEED_ROS:
        pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
        pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")


@pytest.mark.parametrize("words", ACTIONS, ids=" ".join)
def test_help_teaches(bift: Any, words: tuple[str, ...]) -> None:
    skip_without_ros(words[0])
    result = bift(*words, "--help")
    assert result.code == 0
    assert result.out.startswith(f"usage: bift {' '.join(words)}")
    assert len(result.out.splitlines()) > 5


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers of the actions that can be run."""
    below = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not below:
        yield parser
    for action in below:
        for sub in action.choices.values():
            yield from leaves(sub)


def test_every_action_prints_for_machines() -> None:
    skip_without_ros("demo")
    silent = {
        leaf.prog
        for leaf in leaves(build_parser(*COMMANDS))
        if "--json" not in leaf._option_string_actions
    }
    # A vehicle's, monitor's or fleet's log; or what programs read anyhow.
    assert silent == {
        "bift node run", "bift fleet down", "bift fleet logs", "bift fleet build",
        "bift fleet compose", "bift fleet manifests", "bift chain export",
        "bift completion bash", "bift completion zsh", "bift monitor run", "bift monitor camera",
        "bift monitor replay",
    }  # fmt: skip


def test_the_overview_names_every_command(bift: Any) -> None:
    result = bift("--help")
    assert result.code == 0
    for name, summary in COMMANDS.items():
        assert name in result.out
        assert summary.split(":")[0] in " ".join(result.out.split())
    assert {words[0] for words in ACTIONS} == set(COMMANDS)


@pytest.mark.parametrize(
    "words", [["fly"], [], ["account"], ["account", "destroy"], ["chain", "verify"]]
)
def test_wrong_usage_exits_with_2(bift: Any, words: list[str]) -> None:
    skip_without_ros(words[0] if words else "")
    result = bift(*words)
    assert result.code == 2
    assert "usage: bift" in result.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--vehicles", "0"], "not at least 1"),
        (["--iterations", "many"], "many"),
        (["--rule", "median"], "median"),
        (["--mode", "fast"], "fast"),
        (["--seed", "-1"], "--seed"),
        (["--seed", "3000000"], "--seed"),
        (["--device", "gpu"], "--device"),
        (["--storage", "ftp"], "--storage"),
    ],
)
def test_a_demo_that_cannot_be_is_refused_at_once(
    bift: Any, options: list[str], said: str, tmp_path: Path
) -> None:
    skip_without_ros("demo")
    out = tmp_path / "out"
    # Without bags: what is not refused by its options is by this.
    result = bift("demo", "--out", out, "--bags", tmp_path / "none", *options)
    assert result.code == 2
    assert said in result.err
    assert not out.exists()


@pytest.fixture
def fleet(bift: Any, tmp_path: Path) -> dict[str, Path]:
    """A genesis with one member, its key, and a stranger's."""
    files = {name: tmp_path / f"{name}.pem" for name in ("member", "stranger")}
    for path in files.values():
        made = bift("account", "create", path, "--no-passphrase", "--json")
        assert made.code == 0
        if path == files["member"]:
            key = json.loads(made.out)["public_key"]
    save_key(tmp_path / "locked.pem", KeyPair.generate(), b"secret")
    files["genesis"] = tmp_path / "genesis.json"
    options = ("--member", f"car={key}", "--minimum-updates", 1)
    assert bift("genesis", "create", files["genesis"], *options).code == 0
    return files


@pytest.mark.parametrize("words", [("node", "run"), ("miner", "start")], ids=" ".join)
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"genesis": "nowhere.json"}, "can't read the genesis file"),
        ({"key": "nowhere.pem"}, "can't read the key file"),
        ({"key": "stranger.pem"}, "is not a member of"),
        ({"genesis": "member.pem"}, "is not JSON"),
        ({"key": "locked.pem"}, "give --passphrase-file"),
    ],
)
def test_a_vehicle_that_cannot_run_says_why(
    bift: Any,
    fleet: dict[str, Path],
    words: tuple[str, str],
    changes: dict[str, str],
    said: str,
    tmp_path: Path,
) -> None:
    paths = {"genesis": fleet["genesis"], "key": fleet["member"]}
    paths |= {name: tmp_path / file for name, file in changes.items()}
    data = tmp_path / "data"
    result = bift(*words, *(w for n, p in paths.items() for w in (f"--{n}", p)), "--data", data)
    assert result.code == 2
    assert said in result.err
    assert result.err.startswith("bift: ")
    assert result.err.count("\n") == 1
    assert not data.exists()


def test_a_vehicle_becomes_its_process_with_every_path_as_it_is(
    bift: Any, fleet: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path such as `a: b #c` is a map and a comment to ROS, unless it is quoted."""
    rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
    commands: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _, command: commands.append(command))
    data = tmp_path / "my: car #1"
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        "/**/vehicle: {ros__parameters: {data_dir: elsewhere, task.total_iter: 3}}\n"
    )
    main(
        ["miner", "start", "--genesis", str(fleet["genesis"]), "--key", str(fleet["member"]),
         "--data", str(data), "--no-train", "--propose",
         "--malicious", "label_flip", "--params-file", str(settings)]
    )  # fmt: skip
    (command,) = commands
    assert command[:3] == [sys.executable, "-m", "bift_ros.nodes.vehicle.process"]
    context = rclpy.Context()
    rclpy.init(args=command[3:], context=context)
    try:
        node = rclpy.create_node("vehicle", context=context)
        values = {
            name: node.declare_parameter(name, default).value
            for name, default in (
                ("data_dir", ""), ("key_file", ""), ("mine", False), ("train", True),
                ("propose", False), ("malicious", ""), ("task.total_iter", 10),
            )
        }  # fmt: skip
        assert node.get_namespace() == "/car"
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)
    assert values == {
        "data_dir": str(data), "key_file": str(fleet["member"]), "mine": True, "train": False,
        "propose": True, "malicious": "label_flip", "task.total_iter": 3,
    }  # fmt: skip


class Started(Exception):  # noqa: N818
    """In place of a process that would not come back."""


@pytest.fixture
def settings_of(fleet: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Starts a vehicle as far as its process; the parameters that this would have had."""

    def started(_: str, command: list[str]) -> None:
        raise Started

    def start(*words: object) -> Any:
        data = tmp_path / "data"
        options = ("--genesis", fleet["genesis"], "--key", fleet["member"], "--data", data)
        monkeypatch.setattr("os.execv", started)
        with pytest.raises(Started):
            main([str(word) for word in (*words, *options)])
        return yaml.safe_load((data / "parameters.yaml").read_text())

    return start


def test_a_gpu_is_chosen_by_its_number(bift: Any, settings_of: Any) -> None:
    parameters = settings_of("node", "run", "--gpu", 1)
    assert parameters["/car/trainer"]["ros__parameters"] == {"device": "cuda:1"}
    assert parameters["/car/vehicle"]["ros__parameters"]["mine"] is False
    both = bift("node", "run", "--gpu", 1, "--device", "cpu")
    assert both.code == 2
    assert "not allowed with" in both.err
    assert "less than 0" in bift("node", "run", "--gpu", -1).err


def test_a_miner_defends_as_the_fleet_does_or_proposes_otherwise(
    bift: Any, settings_of: Any, fleet: dict[str, Path], tmp_path: Path
) -> None:
    """The paper's `with defend` is each miner's; here every vehicle recomputes what it did."""
    alone = bift(
        "miner", "start", "--no-defend", "--genesis", fleet["genesis"], "--key", fleet["member"],
        "--data", tmp_path / "data",
    )  # fmt: skip
    assert alone.code == 2
    assert "every vehicle recomputes it" in alone.err
    assert "submit-model" in alone.err

    def rule(*options: str) -> Any:
        return settings_of("miner", "start", *options)["/car/vehicle"]["ros__parameters"].get(
            "task.rule"
        )

    assert rule() is None
    assert rule("--with-defend") == "robust"  # as the genesis has it
    assert rule("--no-defend", "--propose") == "fedavg"


def test_an_account_is_a_vehicles_key(
    bift: Any, fleet: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.execv", lambda *_: pytest.fail("started"))
    done = bift(
        "node", "run", "--genesis", fleet["genesis"], "--key", "stranger", "--keystore", tmp_path,
        "--data", tmp_path / "data",
    )  # fmt: skip
    assert done.code == 2
    assert f"the key {fleet['stranger']} is not a member of" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("start",), "give --genesis, --key, --data too; to have one mine that runs already"),
        (("start", "--on", "car", "--no-defend"), "node submit-model"),
        (("start", "--on", "my car"), "no vehicle's name"),
        (("stop", "--wait", "0"), "not more than 0"),
    ],
)
def test_what_no_miner_can_do_is_said(bift: Any, words: tuple[str, ...], said: str) -> None:
    result = bift("miner", *words)
    assert result.code == 2
    assert said in result.err


def test_an_unknown_attack_is_refused_with_those_there_are(
    fleet: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    skip_without_ros("node")
    options = ("--genesis", fleet["genesis"], "--key", fleet["member"], "--data", tmp_path)
    with pytest.raises(SystemExit):
        main(["node", "run", *map(str, options), "--malicious", "flip"])
    said = capsys.readouterr().err
    assert "'flip'" in said
    assert all(name in said for name in ATTACKS)


@pytest.mark.ros
def test_system_show_says_when_nobody_is_there() -> None:
    skip_without_ros("system")
    done = subprocess.run(
        [sys.executable, "-m", "bift_ros.console", "system", "show", "--wait", "0.2", "--json"],
        env=os.environ | {"ROS_DOMAIN_ID": "100", "ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert json.loads(done.stdout) == []
    assert "no vehicle was heard" in done.stderr


def test_a_demo_says_what_its_bags_lack(bift: Any, tmp_path: Path) -> None:
    skip_without_ros("demo")
    (tmp_path / "vehicle_00").mkdir()
    for options, said in (
        ([], "no test/ folder"),
        (["--vehicles", "2"], "2 vehicles are to run"),
    ):
        result = bift("demo", "--bags", tmp_path, "--out", tmp_path / "out", *options)
        assert result.code == 2
        assert said in result.err
        assert str(tmp_path) in result.err
        assert not (tmp_path / "out").exists()


def test_a_name_that_ros_does_not_take_is_said(
    bift: Any, fleet: dict[str, Path], tmp_path: Path
) -> None:
    document = json.loads(fleet["genesis"].read_text())
    document["members"][0]["name"] = "my-car"  # by hand: `bift genesis create` refuses it
    fleet["genesis"].write_text(json.dumps(document))
    options = ("--genesis", fleet["genesis"], "--key", fleet["member"])
    result = bift("node", "run", *options, "--data", tmp_path / "data")
    assert result.code == 2
    assert "'my-car'" in result.err
