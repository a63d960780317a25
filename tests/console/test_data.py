"""`bift data`: files of a vehicle that does not run, the fleet's list, and clear refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="the command needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.consensus.genesis import Genesis, Member, Policy, save_genesis
from bift_ros.fleet.runtimes.parameter_file import write_parameters
from bift_ros.identity.keyfile import save_key
from bift_ros.identity.keys import KeyPair
from bift_ros.storage.cid import cid_of

TILE = b"a map tile" * 100_000


@pytest.fixture
def vehicle(tmp_path: Path) -> Path:
    """The data folder of a vehicle that has run once."""
    key, data = KeyPair.from_seed(bytes(32)), tmp_path / "car"
    data.mkdir()
    save_key(data / "key.pem", key, None)
    genesis = Genesis("test", 1, (Member("car", key.public_key),), Policy(minimum_updates=1))
    save_genesis(data / "genesis.json", genesis)
    parameters = {
        "key_file": str(data / "key.pem"),
        "genesis_file": str(data / "genesis.json"),
        "storage_mb": 16,
    }
    write_parameters(data / "parameters.yaml", "car", {"vehicle": parameters})
    return data


def test_a_vehicle_at_rest_keeps_and_gives_files(bift: Any, vehicle: Path, tmp_path: Path) -> None:
    tile = tmp_path / "tile.pbf"
    tile.write_bytes(TILE)
    shared = bift("data", "share", tile, "--data", vehicle)
    assert (shared.code, shared.out.strip()) == (0, cid_of(TILE)), shared.err
    copy = tmp_path / "copy.pbf"
    got = bift("data", "get", cid_of(TILE), "--data", vehicle, "-o", copy)
    assert (got.code, got.out.strip()) == (0, str(copy)), got.err
    assert copy.read_bytes() == TILE
    again = bift("data", "get", cid_of(TILE), "--data", vehicle, "-o", copy)
    assert again.code == 2
    assert "exists" in again.err


def test_the_list_names_each_files_vehicle(bift: Any, sharing_chain: Any) -> None:
    result = bift("data", "list", "--data", sharing_chain.data, "--json")
    assert result.code == 0, result.err
    listed = json.loads(result.out)
    assert listed["height"] == 1
    road, tile = listed["files"]
    assert (road["name"], road["vehicle"], road["size"]) == ("road", "vehicle_01", 5)
    assert tile == {
        "name": "tile.pbf", "size": 104_857_600, "vehicle": "vehicle_00",
        "since": "2023-11-14T22:13:21.000+00:00", "cid": cid_of(b"tile"),
        "description": "the old town",
    }  # fmt: skip
    shown = bift("chain", "show", "--data", sharing_chain.data)
    assert "2 share" in shown.out


def test_the_list_reads_well(
    bift: Any, sharing_chain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = bift("data", "list", "--data", sharing_chain.data)
    assert result.code == 0, result.err
    (line,) = (line for line in result.out.splitlines() if "tile.pbf" in line)
    assert "104.9 MB" in line
    assert "the old town" in line
    assert "[/] no markup :car:" in result.out


def test_what_makes_no_sense_is_said(bift: Any, vehicle: Path, tmp_path: Path) -> None:
    odd = tmp_path / "old town.pbf"
    odd.write_bytes(b"x")
    cid = cid_of(b"x")
    for words, said in (
        (("share", tmp_path / "none"), "is no file"),
        (("share", odd, "--announce"), "give --name"),
        (("share", odd, "--announce", "--name", "tile"), "does not run: start it"),
        (("get", "tile"), "tile"),
        (("get", cid, "-o", tmp_path / "none" / "x"), "is no folder"),
        (("get", cid, "-o", tmp_path / "x"), "start the vehicle to fetch it"),
        (("withdraw", "tile", "--wait", 0.1), "car does not answer"),
    ):
        result = bift("data", *words, "--data", vehicle)
        assert result.code == 2, words
        assert said in result.err, words


def test_a_folder_of_no_vehicle_is_said(bift: Any, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    result = bift("data", "share", tmp_path / "x", "--data", tmp_path)
    assert result.code == 2
    assert "data folder of a vehicle" in result.err
    (tmp_path / "parameters.yaml").write_text("- 1\n")
    assert "is not what" in bift("data", "share", tmp_path / "x", "--data", tmp_path).err
