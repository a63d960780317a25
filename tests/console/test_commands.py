"""Every command's help, and the one clear line that a person gets for a mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bift_ros.attacks.registry import ATTACKS
from bift_ros.console.main import COMMANDS, main

ACTIONS = [
    ("demo",), ("bag", "synth"), ("bag", "from-images"), ("bag", "info"), ("account", "create"),
    ("account", "show"), ("genesis", "create"), ("node", "run"), ("miner", "start"),
    ("system", "show"), ("chain", "show"), ("chain", "verify"), ("bench", "aggregation"),
    ("experiment", "fixed-point"), ("experiment", "table7"), ("experiment", "fig12"),
    ("experiment", "defences"), ("chaos",), ("simulate",),
    ("member", "vote"), ("member", "list"), ("storage", "kubo", "init"),
    ("storage", "kubo", "start"), ("storage", "kubo", "stop"), ("storage", "kubo", "status"),
    ("fleet", "up"), ("fleet", "status"), ("fleet", "logs"), ("fleet", "down"),
    ("data", "share"), ("data", "get"), ("data", "withdraw"), ("data", "list"),
]  # fmt: skip
# These reach ROS, which not every machine has.
NEED_ROS = {"demo", "chaos", "system", "chain", "member", "data", "fleet"}


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


def test_the_overview_names_every_command(bift: Any) -> None:
    result = bift("--help")
    assert result.code == 0
    for name, (_, summary) in COMMANDS.items():
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
    with pytest.raises(TypeError):  # execv does not come back; ours gives None
        main(
            ["miner", "start", "--genesis", str(fleet["genesis"]), "--key", str(fleet["member"]),
             "--data", str(data), "--no-train", "--propose",
             "--malicious", "label_flip", "--params-file", str(settings)]
        )  # fmt: skip
    (command,) = commands
    assert command[:3] == [sys.executable, "-m", "bift_ros.nodes.vehicle"]
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
