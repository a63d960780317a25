"""What a vehicle's owner has it do: who may ask, what the chain lists, and what goes wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs.srv import OwnerJob

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.store import ChainStore
from bift_ros.consensus.genesis import Genesis, Member, Policy
from bift_ros.consensus.payloads import ShareFile
from bift_ros.consensus.sharing import shared_files
from bift_ros.identity.keys import KeyPair
from bift_ros.nodes.vehicle.file_jobs import FileJobs
from bift_ros.nodes.vehicle.owner_service import OwnerService
from bift_ros.nodes.vehicle.peer_node import PeerNode
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.owner_requests import (
    MAX_AGE_MS,
    NotTheOwner,
    OwnerCheck,
    OwnerRequest,
    sign_request,
)
from bift_ros.storage.cid import cid_of
from bift_ros.storage.embedded import EmbeddedStorage

pytestmark = pytest.mark.ros

OWN, OTHER = (KeyPair.from_seed(bytes([n] * 32)) for n in range(2))
GENESIS = Genesis(
    "test",
    1_700_000_000_000,
    (Member("car", OWN.public_key),),
    Policy(difficulty=4, minimum_updates=1, plain_interval_ms=0),
)
TILE = b"a map tile" * 100_000


class Owner:
    """Asks a running vehicle's service, as the console does."""

    def __init__(self, ros: Any, peer: PeerNode, storage: EmbeddedStorage) -> None:
        self.ros, self.peer, self.storage = ros, peer, storage
        self._client = ros.node("owner").create_client(OwnerJob, "/car/owner_job")
        self._stamp = 0

    def message(self, request: OwnerRequest, key: KeyPair = OWN) -> Any:
        self._stamp = max(self._stamp + 1, time.time_ns() // 1_000_000)
        signature = sign_request(key, GENESIS.hash, request, self._stamp)
        return OwnerJob.Request(
            action=request.action,
            path=request.path,
            cid=request.cid,
            name=request.name,
            description=request.description,
            stamp=self._stamp,
            signature=list(signature),
        )

    def call(self, message: Any) -> Any:
        self.ros.spin_until(self._client.service_is_ready)
        answer = self._client.call_async(message)
        self.ros.spin_until(answer.done)
        return answer.result()

    def job(self, **fields: str) -> Any:
        """Ask until it is done."""
        ended: list[Any] = []

        def ask() -> bool:
            answer = self.call(self.message(OwnerRequest(**fields)))
            if answer.done:
                ended.append(answer)
            return bool(ended)

        self.ros.spin_until(ask)
        return ended[0]

    def listed(self) -> dict[str, str]:
        files = shared_files(self.peer.peer.state)
        return {shared.file.name: shared.file.cid for _, shared in files}


@pytest.fixture
def owner(ros: Any, tmp_path: Path) -> Iterator[Owner]:
    ros.start("-r", "__ns:=/car")
    with (
        EmbeddedStorage(tmp_path / "storage") as storage,
        closing(ChainStore(tmp_path / "chain.sqlite", GENESIS)) as store,
    ):
        chain = Blockchain(GENESIS, store)
        peer = PeerNode("car", OWN, GENESIS, chain, PeerConfig(train=False), storage, None)
        ros.add(peer)
        files = FileJobs(peer, storage, peer)
        OwnerService(peer, OwnerCheck(OWN.public_key, GENESIS.hash), files, peer)
        peer.start()
        yield Owner(ros, peer, storage)
        peer.stop()
        files.close()


@pytest.fixture
def tile(tmp_path: Path) -> Path:
    path = tmp_path / "tile.pbf"
    path.write_bytes(TILE)
    return path


def test_a_file_is_kept_listed_and_withdrawn(owner: Owner, tile: Path, tmp_path: Path) -> None:
    quiet = owner.job(action="share", path=str(tile))
    assert (quiet.error, quiet.cid, quiet.size) == ("", cid_of(TILE), len(TILE))
    unlisted = owner.job(action="fetch", path=str(tmp_path / "unlisted"), cid=quiet.cid)
    assert (unlisted.size, unlisted.here) == (len(TILE), len(TILE))
    shared = owner.job(action="share", path=str(tile), name="tile.pbf", description="old town")
    assert (shared.error, shared.cid) == ("", cid_of(TILE))
    owner.ros.spin_until(lambda: owner.listed() == {"tile.pbf": cid_of(TILE)})

    tile.write_bytes(b"newer")
    newer = owner.job(action="share", path=str(tile), name="tile.pbf")
    owner.ros.spin_until(lambda: owner.listed() == {"tile.pbf": newer.cid})
    fetched = owner.job(action="fetch", path=str(tmp_path / "copy"), cid=newer.cid)
    assert (fetched.error, fetched.size) == ("", 5)
    assert (tmp_path / "copy").read_bytes() == b"newer"

    gone = owner.job(action="withdraw", name="tile.pbf")
    assert (gone.error, gone.cid) == ("", newer.cid)
    owner.ros.spin_until(lambda: owner.listed() == {})
    assert "lists no file" in owner.job(action="withdraw", name="tile.pbf").error


def test_a_file_over_its_listed_size_is_refused_and_a_lie_keeps_nobody_from_it(
    owner: Owner, tile: Path, tmp_path: Path
) -> None:
    cid = owner.job(action="share", path=str(tile)).cid
    owner.peer.submit(ShareFile("lie", cid, 2, ""))
    owner.ros.spin_until(lambda: "lie" in owner.listed())
    large = owner.job(action="fetch", path=str(tmp_path / "large"), cid=cid)
    assert "too many for 2 of a file" in large.error
    owner.peer.submit(ShareFile("truth", cid, len(TILE), ""))
    owner.ros.spin_until(lambda: "truth" in owner.listed())
    assert owner.job(action="fetch", path=str(tmp_path / "copy"), cid=cid).error == ""


def test_only_the_owner_is_heard_and_once(owner: Owner, tile: Path) -> None:
    request = OwnerRequest("share", str(tile), name="tile.pbf")
    stolen = owner.call(owner.message(request, OTHER))
    assert stolen.done
    assert "not signed with this vehicle's key" in stolen.error
    good = owner.message(request)
    changed = owner.message(request)
    changed.path = "/etc/passwd"
    assert "not signed" in owner.call(changed).error
    assert owner.call(good).error == ""
    assert "made before" in owner.call(good).error
    owner.ros.spin_until(lambda: "tile.pbf" in owner.listed())


def test_the_owner_stops_and_starts_mining(owner: Owner, tile: Path) -> None:
    stolen = owner.call(owner.message(OwnerRequest("stop_mining"), OTHER))
    assert "not signed" in stolen.error
    assert owner.peer.peer.mines
    stopped = owner.job(action="stop_mining")
    assert (stopped.done, stopped.error) == (True, "")
    assert not owner.peer.peer.mines
    owner.job(action="share", path=str(tile), name="tile.pbf")
    assert owner.peer.peer.pending_transactions == 1
    assert not owner.peer.nonce_search.running
    owner.job(action="start_mining")
    owner.ros.spin_until(lambda: "tile.pbf" in owner.listed())


def test_a_request_is_of_this_chain_and_of_this_minute() -> None:
    check = OwnerCheck(OWN.public_key, GENESIS.hash)
    request = OwnerRequest("share", "/tmp/tile")
    now = 1_700_000_000_000
    for stamp in (now - MAX_AGE_MS - 1, now + MAX_AGE_MS + 1):
        signature = sign_request(OWN, GENESIS.hash, request, stamp)
        with pytest.raises(NotTheOwner, match="compare the clocks"):
            check.check(request, stamp, signature, now)
    with pytest.raises(NotTheOwner, match="not signed"):
        check.check(request, now, sign_request(OWN, bytes(32), request, now), now)
    check.check(request, now, sign_request(OWN, GENESIS.hash, request, now), now)


def test_what_cannot_be_done_is_said(owner: Owner, tile: Path, tmp_path: Path) -> None:
    nowhere = cid_of(b"nobody has it")
    for fields, said in (
        ({"action": "burn"}, "none of share, fetch, withdraw, start_mining, stop_mining"),
        ({"action": "share", "path": "tile.pbf"}, "is not absolute"),
        ({"action": "share", "path": str(tmp_path / "none")}, "No such file"),
        ({"action": "share", "path": str(tile), "name": "../tile"}, "name: '../tile'"),
        ({"action": "share", "path": str(tile), "name": "a", "description": "\n"}, "description"),
        ({"action": "share", "path": str(tmp_path)}, str(tmp_path)),
        ({"action": "fetch", "path": str(tile), "cid": nowhere}, "exists"),
        ({"action": "fetch", "path": "/none/tile", "cid": nowhere}, "can't write into /none"),
        ({"action": "fetch", "path": str(tmp_path / "new"), "cid": "tile"}, "tile"),
        ({"action": "fetch", "path": str(tmp_path / "new"), "cid": nowhere}, nowhere),
    ):
        assert said in owner.job(**fields).error, fields
    assert not (tmp_path / "new").exists()
    assert owner.listed() == {}
