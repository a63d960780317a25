"""One vehicle: its nodes composed in one process, on one DDS participant.

Run as `python -m bift_ros.nodes.vehicle.process --ros-args -r __ns:=/vehicle_00 --params-file
FILE`; `./bift node run` and `./bift miner start` do that.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.experimental import EventsExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation

from bift_ros.attacks.registry import UnknownAttack, make_attack, summary
from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.store import ChainStore
from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.consensus.exceptions import ChainError
from bift_ros.consensus.genesis import load_genesis
from bift_ros.identity.keyfile import KeyFileError, unlock_key
from bift_ros.identity.private_files import keep_files_private
from bift_ros.identity.vehicle_names import is_vehicle_name
from bift_ros.nodes.bag.replay_node import ReplayNode
from bift_ros.nodes.buses import BusError
from bift_ros.nodes.lifetime import explained, ros_until_signalled
from bift_ros.nodes.vehicle.dds_profiles import bounded_messages
from bift_ros.nodes.vehicle.file_jobs import FileJobs
from bift_ros.nodes.vehicle.owner_service import OwnerService
from bift_ros.nodes.vehicle.peer_node import PeerNode
from bift_ros.nodes.vehicle.perception_node import PerceptionNode
from bift_ros.nodes.vehicle.proposal import Proposal
from bift_ros.nodes.vehicle.status import StatusReporter
from bift_ros.nodes.vehicle.trainer_node import TrainerNode
from bift_ros.nodes.vehicle.vehicle_node import VehicleNode
from bift_ros.nodes.vehicle.vehicle_storage import open_storage
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.events import DatasetChanged
from bift_ros.peer.owner_requests import OwnerCheck
from bift_ros.storage.interface import StorageError

_POLL_SECONDS = 0.5
_WARM_UP_SECONDS = 30.0
"""The longest that the training worker's start waits for the other vehicles to be heard."""


class ConfigurationError(Exception):
    """A setting that keeps a vehicle from starting; says which one and what to do."""


class Vehicle:
    """All the nodes of one vehicle, built from its parameters and started together.

    Raises ConfigurationError, UnknownAttack, ChainError, KeyFileError, StorageError, BusError or
    ParameterException.
    """

    def __init__(self) -> None:
        self._vehicle = VehicleNode()
        settings = self._settings = self._vehicle.settings
        for name in ("data_dir", "genesis_file", "key_file"):
            if not settings[name]:
                raise ConfigurationError(f"the parameter {name} is not set: give it a path")
        name = self._vehicle.vehicle_name
        log = self._vehicle.get_logger()
        genesis = load_genesis(Path(settings["genesis_file"]))
        key = unlock_key(settings["key_file"], settings["passphrase_file"])
        member = genesis.member(key.address)
        if member is None:
            log.warning(
                f"the key {settings['key_file']} ({key.address}) is no founding member: until the "
                f"members have voted it in (bift member vote join {name} {key.public_key.hex()}) "
                "this vehicle follows the chain and says nothing"
            )
        unusable = [m.name for m in genesis.members if not is_vehicle_name(m.name)]
        if unusable:
            raise ConfigurationError(
                f"the genesis {settings['genesis_file']} has names that ROS takes for no "
                f"namespace: {', '.join(unusable)}; use letters, digits and underscores"
            )
        if member is not None and member.name != name:
            raise ConfigurationError(
                f"the genesis calls this key's owner {member.name!r}, but the namespace is "
                f"/{name}: run it as /{member.name}"
            )
        self._announce_attack()
        self._rule = genesis.policy.rule
        folders = VehicleFolders(Path(settings["data_dir"]))
        folders.create()
        self._store = ChainStore(folders.chain, genesis)
        if self._store.damage:
            log.error(f"{self._store.damage}; rebuilding the chain from the other vehicles")
        keep_all = _keeps_all(settings["keep"])
        chain = Blockchain(genesis, self._store, keep_all=keep_all)
        owner = next((m for m in chain.tip_state.members.values() if m.name == name), None)
        if owner is not None and owner.address != key.address:
            raise ConfigurationError(
                f"the key {settings['key_file']} ({key.address}) is not that of the member {name}: "
                f"give {name}'s own key, or another name to a vehicle that is to join"
            )
        self._storage = open_storage(settings, folders)
        architectures = tuple(settings["allowed_architectures"])
        config = PeerConfig(
            mine=settings["mine"],
            train=settings["train"],
            allowed_architectures=architectures,
            keep_all=keep_all,
        )
        self._trainer = (
            TrainerNode(self._storage, folders.dataset, architectures, settings["malicious"])
            if settings["train"]
            else None
        )
        self._peer = PeerNode(name, key, genesis, chain, config, self._storage, self._trainer)
        self._perception = PerceptionNode(
            folders.dataset, lambda samples: self._peer.post(DatasetChanged(samples))
        )
        self._replay = ReplayNode(self._replayed)
        self._reporter = StatusReporter(
            name,
            key.address,
            genesis,
            self._peer,
            self._perception,
            self._trainer,
            self._storage,
            folders.root,
        )
        self._vehicle.serve(self._reporter.status, self._reporter.state_of)
        self._files = FileJobs(self._vehicle, self._storage, self._peer)
        check = OwnerCheck(key.public_key, genesis.hash)
        OwnerService(self._vehicle, check, self._files, self._peer)
        self.executor = EventsExecutor()
        for node in self._nodes:
            self.executor.add_node(node)
        log.info(f"{name} {key.address} serves its files at {self._storage.url}")

    def _announce_attack(self) -> None:
        """Say in the log, where this vehicle is malicious, what it does.

        Raises UnknownAttack and ConfigurationError.
        """
        name = self._settings["malicious"]
        if not name:
            return
        attack = make_attack(name)
        if not self._settings["train"]:
            raise ConfigurationError(f"the attack {name} is on the training: set train to true")
        self._vehicle.get_logger().warning(
            f"THIS VEHICLE IS MALICIOUS, as it is set to be: {name}: {summary(attack)}"
        )

    @property
    def _nodes(self) -> tuple[rclpy.node.Node, ...]:
        trainer = (self._trainer,) if self._trainer is not None else ()
        return (self._vehicle, self._peer, self._perception, self._replay, *trainer)

    def start(self) -> None:
        """Start every part."""
        if self._trainer is not None:
            self._warm_up = self._vehicle.create_timer(_POLL_SECONDS, self._warm_up_trainer)
            self._warm_up_at = time.monotonic() + _WARM_UP_SECONDS
        self._perception.start()
        self._peer.start()
        if self._replay.has_bag:
            self._reporter.collecting = True
            self._replay.start()
        elif self._settings["propose"]:
            self.executor.create_task(self._propose)

    def _warm_up_trainer(self) -> None:
        """Start the training worker before its first job, but after the fleet has found itself.

        It imports torch, seconds of a core in each of thirty vehicles that start on one host.
        """
        trainer, peer = self._trainer, self._peer.peer
        alone = peer.known_peers < len(peer.state.members) - 1
        if trainer is None or (alone and time.monotonic() < self._warm_up_at):
            return
        self._vehicle.destroy_timer(self._warm_up)
        with suppress(OSError):  # the first job tries again, and says what is wrong
            trainer.start()

    def stop(self) -> None:
        """Stop every part and close what is open; nothing accepted is lost."""
        self._replay.stop()
        self._perception.stop()
        if self._trainer is not None:
            self._trainer.stop()
        self._peer.stop()
        self._storage.close()
        self._files.close()
        self._store.close()
        for node in self._nodes:
            node.destroy_node()

    def _replayed(self, error: str | None) -> None:
        """The bag has been played (called from the replay's thread)."""
        self._perception.wait_idle()
        self._reporter.collecting = False
        if self._settings["propose"]:
            self.executor.create_task(self._propose)

    def _propose(self) -> None:
        if self._trainer is None:
            self._vehicle.get_logger().error(
                "cannot propose a task: set train to true, an initial model needs torch"
            )
            return
        Proposal(
            self._settings, self._rule, self._peer, self._storage, self._trainer.worker
        ).begin()


def _keeps_all(keep: str) -> bool:
    if keep not in ("window", "all"):
        raise ConfigurationError(f"the parameter keep is {keep!r}: set it to window or all")
    return keep == "all"


def main(arguments: list[str] | None = None) -> int:
    """Run one vehicle until SIGINT or SIGTERM; exits with 2 where its settings are wrong."""
    keep_files_private()
    with explained(BusError), ros_until_signalled(arguments) as signalled:
        with explained(
            ConfigurationError, UnknownAttack, ChainError, KeyFileError, StorageError,
            ParameterException, OSError, rclpy_implementation.RCLError,
        ), bounded_messages():  # fmt: skip
            vehicle = Vehicle()
        try:
            vehicle.start()
            while not signalled():
                vehicle.executor.spin_once(timeout_sec=0.5)
        finally:
            vehicle.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
