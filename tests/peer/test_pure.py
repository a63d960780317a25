"""The room does no I/O, and what it does depends on its inputs only, not on their order."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bift_ros.peer import machine
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import AnnounceTip
from bift_ros.peer.events import BlockReceived, Event, TipReceived, TransactionReceived
from world.consortium import LearningConsortium
from world.driver import PeerDriver
from world.fleet import Fleet

FILES = sorted(Path(machine.__file__).parent.glob("*.py"))
WORLDLY = {
    "asyncio", "concurrent", "datetime", "io", "multiprocessing", "os", "pathlib", "random",
    "secrets", "select", "shutil", "signal", "socket", "sqlite3", "subprocess", "sys", "tempfile",
    "threading", "time", "uuid",
}  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_clock_no_chance_no_input_no_output(path: Path) -> None:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "print", "input", "hash", "id"}, node.lineno
    assert names & WORLDLY == set()


@lru_cache
def finished_run() -> tuple[LearningConsortium, bytes, list[Event]]:
    """A fleet's whole task: where it ended, and all that its last vehicle was sent."""
    fleet = Fleet(4)
    fleet.propose(total_iter=3)
    fleet.run_until(lambda: fleet.all_reach(3))
    fleet.run(5_000)
    for vehicle in fleet.vehicles:
        fleet.world.files.update(vehicle.files)
    own = [b for b in fleet[3].chain.canonical(1, 100) if b.header.miner == fleet[3].address]
    events = [*fleet[3].received, *(BlockReceived(block) for block in own)]
    return fleet.world, fleet[3].state.tip_hash, events


@settings(max_examples=40)
@given(st.data())
def test_any_order_and_repetition_ends_on_the_same_tip(data: st.DataObject) -> None:
    world, tip, events = finished_run()
    order = data.draw(st.permutations(range(len(events))))
    twice = data.draw(st.lists(st.sampled_from(range(len(events))), max_size=20))
    observer = PeerDriver(world, 3, PeerConfig(mine=False, train=False))
    observer.now += 1_000_000
    for number in [*order, *twice]:
        observer.send(events[number])
    assert observer.state.tip_hash == tip
    # Nothing is left over that would keep it busy.
    assert [e for e in observer.wait(30_000) if not isinstance(e, AnnounceTip)] == []
    assert observer.peer.pending_transactions == 0


def test_the_run_above_holds_something_to_permute() -> None:
    _, _, events = finished_run()
    assert {type(event) for event in events} == {BlockReceived, TransactionReceived, TipReceived}
    assert len(events) >= 15
