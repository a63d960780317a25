"""`bift fleet`: what its commands refuse, and say, without a vehicle having been started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from rich.console import Console

from bift_ros.console.main import main
from bift_ros.fleet.description.file import load_description
from bift_ros.fleet.runs.bags import bags_of
from bift_ros.fleet.runtimes.folder import FleetFolder, FleetRecord, read_record, write_record
from bift_ros.fleet.runtimes.plan import prepare

pytestmark = pytest.mark.ros

NOW = 1_700_000_000_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "town.yaml"
    path.write_text("vehicles: 2\ndefaults: {camera: {}}\n")
    return path


def run(*arguments: object) -> int:
    return main(["fleet", *map(str, arguments)])


def kept(file: Path, fleets: Path) -> FleetFolder:
    """A fleet that was up and has gone down, its chain being kept."""
    description = load_description(file)
    folder = FleetFolder(fleets / description.name)
    names = tuple(v.name for v in description.vehicles)
    write_record(folder, FleetRecord(description.name, "process", str(file), names))
    prepare(folder.vehicles, description, [None] * len(names), NOW)
    return folder


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["status", "nowhere"], "there is no fleet in {fleets}/nowhere: bring one up with"),
        (["down", "../town"], "../town is neither the name of a fleet nor a .yaml file"),
        (["up", "nowhere"], "there is no fleet in {fleets}/nowhere"),
        (["up", "nowhere.yaml"], "can't read nowhere.yaml: No such file"),
        (["logs", "nowhere.yaml"], "can't read nowhere.yaml: No such file"),
    ],
)
def test_there_is_no_such_fleet(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments, "--fleets", tmp_path) == 2
    assert said.replace("{fleets}", str(tmp_path)) in capsys.readouterr().err


def test_a_wrong_description_is_told_line_by_line(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("vehicles: 2\nruntime: podman\ntask: {iterations: none}\n")
    assert run("up", file, "--fleets", tmp_path) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert f"{file}:2: runtime: no such runtime 'podman'; choose one of process, docker" in first
    assert second.startswith(f"{file}:3: task.iterations: 'none' is not a whole number")


def test_processes_have_no_network_to_impair(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("vehicles: [{camera: {}}, {camera: {}, network: {delay: 5ms}}]")
    assert run("up", file, "--fleets", tmp_path) == 2
    assert list(tmp_path.iterdir()) == [file]
    said = capsys.readouterr().err
    assert "that of vehicle_01 can't be impaired: use the runtime docker, or delete" in said


@pytest.mark.parametrize(
    ("text", "differs"),
    [
        ("vehicles: 3\ndefaults: {camera: {}}", "other vehicles"),
        ("vehicles: 2\ndefaults: {camera: {}}\npolicy: {difficulty: 8}", "another policy"),
        ("vehicles: 4\ndefaults: {camera: {}}", "other vehicles and another policy"),
    ],
)
def test_another_fleet_does_not_take_over_what_one_has_kept(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, differs: str
) -> None:
    folder = kept(file, tmp_path)
    before = sorted(folder.root.rglob("*"))
    file.write_text(text)
    assert run("up", file, "--fleets", tmp_path) == 2
    said = capsys.readouterr().err
    assert f"keeps the chain of a fleet town with {differs}: ask for the same" in said
    assert sorted(folder.root.rglob("*")) == before


def test_a_fleet_moves_in_with_nobody(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "town").mkdir()
    (tmp_path / "town" / "letter.txt").touch()
    assert run("up", file, "--fleets", tmp_path) == 2
    assert "town holds other things, and `bift fleet down` would" in capsys.readouterr().err
    assert run("down", "town", "--fleets", tmp_path) == 2
    assert [path.name for path in (tmp_path / "town").iterdir()] == ["letter.txt"]


def test_what_has_gone_down_is_still_told_of_and_removed(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = kept(file, tmp_path)
    assert run("logs", "town", "--fleets", tmp_path, "--vehicle", "vehicle_07") == 2
    assert "no vehicle 'vehicle_07' in the fleet town: choose of" in capsys.readouterr().err
    for name in ("vehicle_00", "vehicle_01"):
        (folder.vehicles / name / "vehicle.log").write_text(f"{name} was here\n")
    assert run("logs", file, "--fleets", tmp_path) == 0
    assert capsys.readouterr().out.splitlines() == [
        "vehicle_00 | vehicle_00 was here",
        "vehicle_01 | vehicle_01 was here",
    ]
    assert run("logs", "town", "--fleets", tmp_path, "--vehicle", "vehicle_01", "--follow") == 0
    assert capsys.readouterr().out == "vehicle_01 was here\n"
    assert run("down", file, "--fleets", tmp_path, "--keep-data") == 0
    assert read_record(folder).vehicles == ("vehicle_00", "vehicle_01")
    assert run("down", file, "--fleets", tmp_path) == 0
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("damage", ["", "[]", '{"name": "town"}'])
def test_a_damaged_record_is_told(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    folder = kept(file, tmp_path)
    folder.record.write_text(damage)
    assert run("down", "town", "--fleets", tmp_path) == 2
    assert f"{folder.record} is no record of a fleet" in capsys.readouterr().err
    assert folder.vehicles.exists()


def test_a_recycled_process_number_is_left_alone(file: Path, tmp_path: Path) -> None:
    folder = kept(file, tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        vehicle = f'{{"pid": {other.pid}, "started": 1, "boot": "an earlier one"}}'
        (folder.root / "processes.json").write_text(
            f'{{"environment": {{}}, "vehicles": {{"vehicle_00": {vehicle}}}}}'
        )
        assert run("down", "town", "--fleets", tmp_path) == 0
        other.communicate(b"\n", timeout=30)
    assert other.returncode == 0


def test_synthetic_bags_are_drawn_for_those_who_need_them(
    file: Path, bags: Path, tmp_path: Path
) -> None:
    own = bags / "vehicle_00"
    file.write_text(
        f"vehicles: [{{}}, {{bag: {own}}}, {{camera: {{}}}}, {{}}]\nsynthetic: {{frames: 2}}"
    )
    description = load_description(file)
    first, second, third, fourth = bags_of(description, tmp_path / "drawn", Console(quiet=True))
    assert (second, third) == (own, None)
    assert first is not None
    assert fourth is not None
    assert first != fourth
    assert all((bag / "metadata.yaml").exists() for bag in (first, fourth))
    assert not (first.parent / "test").exists()
