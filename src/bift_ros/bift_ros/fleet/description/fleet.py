"""What a fleet is to be: its vehicles, its task and the rules it keeps. `docs/fleets.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bift_ros.consensus.genesis import Policy
from bift_ros.fleet.description.impairment import Impairment
from bift_ros.fleet.runtimes.plan import FleetSettings

DEFAULT_MEMORY = 1 << 30
DEFAULT_GPU_MEMORY_MB = 900
"""Per vehicle, as in the paper (section VI)."""


@dataclass(frozen=True)
class CameraTopics:
    """Where a vehicle's live camera and its lights' labels come from."""

    image: str = "camera/image_raw/compressed"
    labels: str = "traffic_lights"
    transport: str = "compressed"
    """compressed or raw."""

    @property
    def remappings(self) -> dict[str, str]:
        """The vehicle's own names for these topics, and what they are called here."""
        own = "camera/image_raw" + ("/compressed" if self.transport == "compressed" else "")
        pairs = {own: self.image, "traffic_lights": self.labels}
        return {name: topic for name, topic in pairs.items() if name != topic}


@dataclass(frozen=True)
class VehicleDescription:
    """One vehicle."""

    name: str
    mine: bool = True
    """Whether it aggregates updates and searches for blocks."""
    bag: Path | None = None
    """The rosbag2 it replays; None without a camera either: a synthetic one."""
    camera: CameraTopics | None = None
    malicious: str | None = None
    """Name of its attack; None: honest."""
    storage: str = "embedded"
    device: str = "auto"
    memory_bytes: int = DEFAULT_MEMORY
    """The most that its container may take."""
    gpu_memory_mb: int = DEFAULT_GPU_MEMORY_MB
    """The most that its training may take on a GPU, MiB."""
    cpus: float | None = None
    """The most cores that its container may keep busy; None: all."""
    network: Impairment = field(default_factory=Impairment)

    @property
    def needs_synthetic_bag(self) -> bool:
        """Whether a bag has to be drawn for it."""
        return self.bag is None and self.camera is None

    def parameters(self) -> dict[str, dict[str, Any]]:
        """The ROS parameters of its nodes that are not the whole fleet's."""
        nodes: dict[str, dict[str, Any]] = {
            "vehicle": {"mine": self.mine, "storage": self.storage},
            "trainer": {"device": self.device, "gpu_memory_mb": self.gpu_memory_mb},
        }
        if self.malicious is not None:
            nodes["vehicle"]["malicious"] = self.malicious
        if self.camera is not None:
            nodes["perception"] = {"image_transport": self.camera.transport}
        return nodes


@dataclass(frozen=True)
class TaskDescription:
    """What the first vehicle proposes."""

    iterations: int = 10
    model_id: str = "traffic-lights"
    rule: str = ""
    """Empty: the policy's."""
    architecture: str = "bift_ros.learning.models:traffic_light_cnn"
    local_epochs: int = 10
    batch_size: int = 10
    learning_rate: float = 0.001
    optimizer: str = "adam"

    def parameters(self, seed: int) -> dict[str, Any]:
        """Parameters of every vehicle's `vehicle` node; `seed` is the initial model's."""
        names = (
            "model_id", "rule", "architecture", "local_epochs", "batch_size", "learning_rate",
            "optimizer",
        )  # fmt: skip
        return {
            "allowed_architectures": [self.architecture],
            "task.total_iter": self.iterations,
            "task.seed": seed,
            **{f"task.{name}": getattr(self, name) for name in names},
        }


@dataclass(frozen=True)
class FleetDescription:
    """A whole fleet, sound in itself: as `description_file.load_description` makes it."""

    name: str
    vehicles: tuple[VehicleDescription, ...]
    task: TaskDescription
    policy: Policy
    runtime: str = "process"
    """What the vehicles run as: process or docker."""
    discovery: str = "multicast"
    """How they find each other: multicast or server."""
    seed: int = 0
    replay_rate: float = 1.0
    synthetic_frames: int = 500
    """Frames of each synthetic bag."""

    def settings(
        self,
        bags: Sequence[Path | None],
        timestamp: int,
        more: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> FleetSettings:
        """What `plan.prepare` writes to disk.

        `bags` are each vehicle's, synthetic ones made; `timestamp` is the genesis time in
        milliseconds; `more` are parameters of single vehicles' `vehicle` nodes, by name.
        """
        more = more or {}
        vehicles = {}
        for vehicle in self.vehicles:
            nodes = vehicle.parameters()
            nodes["vehicle"] |= more.get(vehicle.name, {})
            vehicles[vehicle.name] = nodes
        return FleetSettings(
            policy=self.policy,
            timestamp=timestamp,
            bags=tuple(bags),
            replay_rate=self.replay_rate,
            task=self.task.parameters(self.seed),
            seed=self.seed,
            names=tuple(v.name for v in self.vehicles),
            vehicles=vehicles,
            remappings={v.name: v.camera.remappings for v in self.vehicles if v.camera},
        )
