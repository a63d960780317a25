"""A vehicle's own nodes without ROS around them: bytes go in as they arrive, answers come out.

Topics and services are those that the nodes themselves set up. Of ROS there is only what turns
bytes into messages and back; clocks, threads, storage and the network stand still or are not there.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future as Work
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from bift_msgs import srv
from builtin_interfaces.msg import Time

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.store import ChainStore
from bift_ros.consensus.genesis import Genesis
from bift_ros.identity.keys import KeyPair
from bift_ros.nodes.vehicle import catch_up_services, file_jobs, owner_service, peer_node, status
from bift_ros.peer.effects import Fetch, Put
from bift_ros.peer.owner_requests import OwnerCheck
from bift_ros.simulation.consortium import START_MS
from bift_ros.storage.cid import cid_of
from bift_ros.storage.interface import StorageError, Traffic
from fuzz.peer_stage import CONFIG

_NOWHERE = logging.getLogger("bift.fuzz.nowhere")
_NOWHERE.addHandler(logging.NullHandler())
_NOWHERE.propagate = False


class Clock:
    """In place of the module `time`."""

    def __init__(self) -> None:
        self.ms = 0

    def time_ns(self) -> int:
        return (START_MS + self.ms) * 1_000_000

    def monotonic(self) -> float:
        return self.ms / 1_000

    def monotonic_ns(self) -> int:
        return self.ms * 1_000_000


class Queue:
    """An executor whose tasks wait until they are asked for."""

    def __init__(self) -> None:
        self._tasks: deque[Callable[[], None]] = deque()

    def create_task(self, call: Callable[..., Any], *arguments: Any) -> None:
        self._tasks.append(lambda: call(*arguments))

    def run(self) -> None:
        while self._tasks:
            self._tasks.popleft()()


class Future:
    """As rclpy's, but what a callback raises comes out."""

    def __init__(self) -> None:
        self._calls: list[Callable[[Future], None]] = []
        self._result: Any = None

    def add_done_callback(self, call: Callable[[Future], None]) -> None:
        self._calls.append(call)

    def set_result(self, result: Any) -> None:
        self._result = result
        for call in self._calls:
            call(self)

    def result(self) -> Any:
        return self._result


class Client:
    """Asks a service that answers when the fuzzer wants."""

    def __init__(self, kind: Any, asked: list[tuple[Any, Any, Future]]) -> None:
        self._kind, self._asked = kind, asked

    def service_is_ready(self) -> bool:
        return True

    def call_async(self, request: Any) -> Future:
        future = Future()
        self._asked.append((self._kind, request, future))
        return future

    def remove_pending_request(self, future: Future) -> None:
        self._asked[:] = [each for each in self._asked if each[2] is not future]


class Node:
    """What a vehicle's nodes want of rclpy's."""

    def set_up(self) -> None:
        self.served: dict[str, tuple[Any, Callable[[Any, Any], Any]]] = {}
        self.asked: list[tuple[Any, Any, Future]] = []
        self.tasks = Queue()

    @property
    def executor(self) -> Queue:
        return self.tasks

    def get_logger(self) -> logging.Logger:
        return _NOWHERE

    def get_clock(self) -> Any:
        return SimpleNamespace(now=lambda: SimpleNamespace(to_msg=Time))

    def create_service(self, kind: Any, name: str, callback: Callable[[Any, Any], Any]) -> None:
        self.served[name] = (kind, callback)

    def create_client(self, kind: Any, name: str) -> Client:
        del name
        return Client(kind, self.asked)

    def create_timer(self, *_: Any) -> None:
        """Time passes by the script."""


class FleetNode(Node):
    """Where catch-up stands."""

    def __init__(self) -> None:
        self.set_up()


class Bus:
    """In place of `FleetBus`."""

    def __init__(self, name: str, arrived: Callable[[type, bytes], None]) -> None:
        self.name, self.arrived, self.node = name, arrived, FleetNode()
        self.said = 0

    def publish(self, message: Any) -> None:
        del message
        self.said += 1

    def start(self) -> None:
        """It listens from the beginning."""


class Storage:
    """Files that are there or not, as the script wants, and none of the host's."""

    url, traffic = "http://192.0.2.1:8080", Traffic()

    def put_file(self, path: Path) -> str:
        return cid_of(str(path).encode())

    def pin(self, cid: str) -> None:
        """Nothing is kept."""

    unpin = pin

    def get_file(self, cid: str, path: Path, *_: Any, **__: Any) -> None:
        del path
        raise StorageError(f"nobody has {cid}")


class Jobs:
    """In place of `StorageJobs` and `NonceSearch`."""

    running = False

    def __init__(self, *_: Any) -> None:
        self.wanted: list[str] = []
        self.kept: dict[str, bytes] = {}

    def fetch(self, effect: Fetch) -> None:
        self.wanted.append(effect.cid)

    def put(self, effect: Put) -> None:
        self.kept[effect.cid] = effect.data

    def pin(self, effect: object) -> None:
        """All that is here is kept."""

    discard = pin

    def take_seconds(self) -> float:
        return 0.0

    def put_again(self) -> None:
        """All is kept at once."""

    def start(self, header: object) -> None:
        """Nobody finds a nonce."""

    def stop(self) -> None:
        """Nobody looks for one."""


class Pool:
    """A thread pool whose work is done at once."""

    def submit(self, work: Callable[[], None]) -> Work[None]:
        done: Work[None] = Work()
        try:
            done.set_result(work())
        except Exception as error:  # it comes out where the result is asked for
            done.set_exception(error)
        return done


class PeerNode(Node, peer_node.PeerNode):
    """The vehicle's own, on the car's bus."""

    tasks: Queue


@contextmanager
def without_ros(clock: Clock) -> Iterator[None]:
    """What the vehicle's modules take from outside."""
    with ExitStack() as replaced:
        for module, name, thing in (
            (peer_node, "time", clock),
            (catch_up_services, "time", clock),
            (owner_service, "time", clock),
            (peer_node, "FleetBus", Bus),
            (peer_node, "StorageJobs", Jobs),
            (peer_node, "NonceSearch", Jobs),
            (file_jobs, "ThreadPoolExecutor", lambda *_, **__: Pool()),
            (peer_node.QuietNode, "__init__", lambda self, _: self.set_up()),
        ):
            replaced.enter_context(patch.object(module, name, thing))
        yield


@contextmanager
def silent() -> Iterator[None]:
    """ROS's generated code prints a line for bytes that are no message."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class Vehicle:
    """One, with its chain, to be made and used `without_ros`."""

    def __init__(self, name: str, key: KeyPair, genesis: Genesis, clock: Clock) -> None:
        self.key, self.clock = key, clock
        self.chain = Blockchain(genesis, ChainStore(":memory:", genesis))
        storage: Any = Storage()
        trainer: Any = SimpleNamespace(
            train=lambda *_: None, cancel=lambda: None, running=False, worker=None, epoch=0,
            loss=0.0, update_bytes=0, gpu_limit_mb=0,
        )  # fmt: skip
        self.node = PeerNode(name, key, genesis, self.chain, CONFIG, storage, trainer)
        files = file_jobs.FileJobs(self.node, storage, self.node)
        owner = OwnerCheck(key.public_key, genesis.hash)
        owner_service.OwnerService(self.node, owner, files, self.node)
        seen: Any = SimpleNamespace(
            statistics=SimpleNamespace(frames_seen=0, skips={}, samples=1, per_class={}),
            lost_frames=0,
        )
        reporter = status.StatusReporter(
            name, key.address, genesis, self.node, seen, trainer, storage, Path("/")
        )
        self.node.create_service(srv.GetState, "get_state", reporter.state_of)
        self.bus: Any = self.node._bus
        self.jobs: Any = self.node.storage_jobs
        self.node.start()

    @property
    def services(self) -> dict[str, tuple[Any, Callable[[Any, Any], Any]]]:
        """Those of both buses."""
        return {**self.node.served, **self.bus.node.served}
