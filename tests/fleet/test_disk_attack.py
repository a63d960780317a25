"""A member with a good key would fill a real vehicle's disk, and serves all that it names."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs.msg import Tip, Transaction

from bift_ros.chain.tips import sign_tip
from bift_ros.consensus.genesis import Genesis, Member, Policy, save_genesis
from bift_ros.consensus.payloads import (
    ModelCommit,
    ModelUpdate,
    Payload,
    ProposeTask,
    commitment_of,
)
from bift_ros.consensus.state import State, initial_state
from bift_ros.consensus.transactions import sign_transaction
from bift_ros.consensus.transition import state_transition
from bift_ros.identity.keyfile import save_key
from bift_ros.identity.keys import KeyPair
from bift_ros.monitoring.status import VehicleStatus
from bift_ros.nodes import convert, fleet_topics, qos
from bift_ros.nodes.bus_node import BusNode
from bift_ros.nodes.buses import Bus
from bift_ros.nodes.client.vehicle_client import VehicleClient
from bift_ros.nodes.observer.monitor import FleetMonitor
from bift_ros.simulation.world import INITIAL_MODEL
from bift_ros.storage.embedded import EmbeddedStorage

pytestmark = [pytest.mark.ros, pytest.mark.slow]

DEADLINE = 120.0
LARGE = 8 << 20
CAR, BAD = KeyPair.from_seed(b"c" * 32), KeyPair.from_seed(b"b" * 32)
SALT = b"salt"


def disk_use(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


class BadMember:
    """Speaks on the fleet's bus with a member's key, and serves large files."""

    def __init__(self, genesis: Genesis, storage: EmbeddedStorage) -> None:
        self._genesis, self.storage = genesis, storage
        self._bus = BusNode(Bus.FLEET, "bad")
        node = self._bus.node
        self._tips = node.create_publisher(Tip, fleet_topics.TIPS, qos.TIPS)
        self._transactions = node.create_publisher(
            Transaction, fleet_topics.TRANSACTIONS, qos.TRANSACTIONS
        )

    def close(self) -> None:
        self._bus.close()

    def introduce(self) -> None:
        """Sign the address of its gateway."""
        stands = {"height": 0, "tip_hash": self._genesis.hash, "learning_weight": 0}
        now = time.time_ns() // 1_000_000
        tip = sign_tip(BAD, self._genesis.hash, **stands, provider=self.storage.url, stamp=now)
        self._tips.publish(convert.tip_to_message(tip, "bad"))

    def say(self, sequence: int, payload: Payload) -> None:
        signed = sign_transaction(BAD, sequence, payload, self._genesis.hash)
        self._transactions.publish(convert.transaction_to_message(signed))

    def large_file(self, number: int) -> str:
        return self.storage.put(number.to_bytes(16, "big") * (LARGE // 16))

    def state(self, client: VehicleClient) -> State:
        """Where the vehicle stands."""
        state = initial_state(self._genesis)
        for block in client.chain():
            state = state_transition(state, self._genesis, block, block.header.timestamp)
        return state


@pytest.mark.timeout(300)
def test_a_member_fills_no_more_of_a_disk_than_is_said(surroundings: Any, tmp_path: Path) -> None:
    members = (Member("car", CAR.public_key), Member("bad", BAD.public_key))
    policy = Policy(difficulty=4, update_wait_ms=500, minimum_updates=1)
    genesis = Genesis("disk", time.time_ns() // 1_000_000 - 60_000, members, policy)
    save_genesis(tmp_path / "genesis.json", genesis)
    save_key(tmp_path / "car.pem", CAR, None)
    command = surroundings.command(
        "miner", "start", "--genesis", tmp_path / "genesis.json", "--key", tmp_path / "car.pem",
        "--data", tmp_path / "car", "--no-train",
    )  # fmt: skip
    with (
        surroundings.start(*command) as vehicle,
        closing(FleetMonitor()) as monitor,
        EmbeddedStorage(tmp_path / "bad") as storage,
        closing(BadMember(genesis, storage)) as bad,
        VehicleClient("car", DEADLINE) as client,
    ):
        monitor.watch("car")

        def reach(condition: Callable[[VehicleStatus], bool]) -> None:
            def reached(heard: dict[str, VehicleStatus | None]) -> bool:
                car = heard["car"]
                return car is not None and condition(car)

            assert monitor.wait(reached, DEADLINE), monitor.vehicles

        reach(lambda car: True)
        before = disk_use(tmp_path / "car")
        bad.introduce()
        reach(lambda car: car.chain.peers == 1)
        attack(bad, client, reach)
        assert disk_use(tmp_path / "car") - before < 1 << 20
        assert storage.traffic.served < LARGE
        vehicle.stop()


def attack(bad: BadMember, client: VehicleClient, reach: Callable[..., None]) -> None:
    """Name large files in every way that a member has."""
    proposal = ProposeTask(
        "lights", bad.storage.put(INITIAL_MODEL), 3, "fedavg", "module:cnn", 1, 10, 0.01, "adam"
    )
    # Of tasks and iterations that are none, and before any task.
    nothing = ModelUpdate("junk", 1, proposal.init_cid, bad.large_file(0), 0.5, 1)
    for n in range(3):
        bad.say(1, replace(nothing, model_id=f"junk{n}", cid=bad.large_file(n)))
    reach(lambda car: car.chain.mempool == 3)
    bad.say(0, proposal)
    reach(lambda car: car.chain.height == 1)
    early = ModelUpdate("lights", 2, proposal.init_cid, bad.large_file(3), 0.5, 1)
    bad.say(2, early)
    elsewhere = replace(early, iteration=1, base_cid=bad.large_file(4))
    bad.say(1, elsewhere)
    # Committed to, and shown in its turn: it is no update, and that is seen before it is here.
    task = bad.state(client).task
    assert task is not None
    shown = ModelUpdate("lights", 1, proposal.init_cid, bad.large_file(5), 0.5, 1, SALT)
    seal = commitment_of(shown.cid, SALT, BAD.address)
    bad.say(1, ModelCommit(*shown.round, task.base_block, seal))
    reach(lambda car: car.chain.height == 2)
    bad.say(1, shown)
    reach(lambda car: "malformed" in car.chain.last_refusal)
