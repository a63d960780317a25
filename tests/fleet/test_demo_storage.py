"""The demo on Kubo: its models are those of the embedded store, and it bears a daemon's death."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bift_ros.chain.store import ChainStore
from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.chain.verification import verify_chain
from bift_ros.consensus.genesis import load_genesis
from bift_ros.pofl.files import parse_model
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.storage.kubo.daemon import KuboDaemon
from bift_ros.storage.stored_files import StoredFiles

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

pytestmark = [pytest.mark.ros, pytest.mark.slow, pytest.mark.kubo]


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedStorage]:
    with closing(EmbeddedStorage(tmp_path / "embedded")) as storage:
        yield storage


def test_the_same_updates_give_the_same_models_on_either_storage(
    surroundings: Any, bags: Path, tmp_path: Path, ipfs: str, embedded: EmbeddedStorage
) -> None:
    fleet = tmp_path / "out" / "vehicles"
    done = surroundings.bift(
        "demo", "--bags", bags, "--iterations", 2, "--local-epochs", 1, "--device", "cpu",
        "--storage", "kubo", "--out", fleet.parent,
    )  # fmt: skip
    logs = "".join(p.read_text() for p in fleet.glob("*/vehicle.log"))
    assert done.returncode == 0, done.stderr + done.stdout + logs
    assert surroundings.left_over() == []
    report = json.loads((fleet.parent / "report.json").read_text())
    assert report["agreed"] is True
    assert set(report["verified"].values()) == {True}
    for folders in map(VehicleFolders, fleet.glob("vehicle_*")):
        assert any((folders.kubo / "blocks").glob("*/*.data"))
        assert not any(p.is_file() for p in folders.storage.rglob("*"))

    # A second demo would not do: two of its three updates make a model, and whose they are, and
    # how many frames they were trained on, hangs on the machine's load. So the chain that was
    # made on Kubo is aggregated again from the same updates, kept in the embedded store.
    folders = VehicleFolders(fleet / "vehicle_00")
    on_kubo = StoredFiles(folders.storage, folders.kubo)

    def keep(cid: str) -> bytes:
        assert embedded.put(on_kubo.get(cid)) == cid
        return embedded.get(cid)

    genesis = load_genesis(fleet / "genesis.json")
    with closing(ChainStore(folders.chain, genesis, read_only=True)) as chain:
        verified = verify_chain(genesis, chain, keep)
    assert verified.problem is None
    assert len(verified.models) == 2
    assert len(set(report["global_cids"])) == 2
    for cid in report["global_cids"]:
        assert parse_model(keep(cid))


def test_a_fleet_bears_the_death_of_a_vehicles_daemon(
    surroundings: Any, bags: Path, tmp_path: Path, ipfs: str
) -> None:
    out = tmp_path / "out"
    command = surroundings.command(
        "demo", "--bags", bags, "--iterations", 4, "--local-epochs", 1, "--device", "cpu",
        "--storage", "kubo", "--out", out,
    )  # fmt: skip
    log = out / "vehicles" / "vehicle_01" / "vehicle.log"
    with (tmp_path / "printed").open("wb") as printed:
        demo = subprocess.Popen(
            command,
            env=os.environ | surroundings.environment,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 120
        while not (log.exists() and b"with iteration 1/4" in log.read_bytes()):
            assert demo.poll() is None, (tmp_path / "printed").read_text()
            assert time.monotonic() < deadline, "there was no first iteration"
            time.sleep(0.05)
        pid = KuboDaemon(log.parent / "kubo").pid
        assert pid is not None
        os.kill(pid, 9)
        assert demo.wait(300) == 0, (tmp_path / "printed").read_text()
    finally:
        demo.kill()
        demo.wait()
    report = json.loads((out / "report.json").read_text())
    assert report["iterations"] == 4
    assert report["agreed"] is True
    assert set(report["verified"].values()) == {True}
    assert "starting it again" in log.read_text()
    assert surroundings.left_over() == []
