"""What a fleet is to be: its vehicles, its task and the rules it keeps. `docs/fleets.md`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from bift_ros.consensus.genesis import Policy
from bift_ros.fleet.description.section import OneOf, Section, number, text, whole
from bift_ros.pofl.aggregate import RULES

RULE = "How updates become a global model."
DEFAULT_MEMORY = 1 << 30
DEFAULT_GPU_MEMORY_MB = 900
"""Per vehicle, as in the paper (section VI)."""
NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
"""What a fleet may be called."""

_TOPIC = r"^/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*$"
_A_TOPIC = "a ROS topic such as /front/image_raw"
_TIME = r"^[0-9]+(\.[0-9]+)?(us|ms|s)$"
Rule = Annotated[str, OneOf(tuple(RULES))]


class CameraTopics(Section, title="a mapping of a camera's topics"):
    """Where a vehicle's live camera and its lights' labels come from."""

    image: str = text("camera/image_raw/compressed", _A_TOPIC, "Topic of the images.", _TOPIC)
    labels: str = text(
        "traffic_lights", _A_TOPIC, "Topic of the traffic lights that V2X and the map tell.", _TOPIC
    )
    transport: Literal["compressed", "raw"] = text(
        "compressed", "transport", "Whether the images are CompressedImage or Image messages."
    )

    @property
    def remappings(self) -> dict[str, str]:
        """The vehicle's own names for these topics, and what they are called here."""
        own = "camera/image_raw" + ("/compressed" if self.transport == "compressed" else "")
        pairs = {own: self.image, "traffic_lights": self.labels}
        return {name: topic for name, topic in pairs.items() if name != topic}


class Impairment(Section, title="a mapping of impairments"):
    """Of everything that a vehicle sends; what is None is left as it is."""

    delay: str | None = text(None, "a time such as 50ms", "Added to every packet.", _TIME)
    jitter: str | None = text(None, "a time such as 10ms", "How much the delay varies.", _TIME)
    loss: str | None = text(
        None,
        "a share such as 1%",
        "The share of packets that are lost.",
        r"^(100|[0-9]{1,2}(\.[0-9]+)?)%$",
    )
    rate: str | None = text(
        None,
        "a rate such as 10mbit",
        "The most that is sent in a second.",
        r"^[1-9][0-9]*(\.[0-9]+)?[kmg]?bit$",
    )

    def __bool__(self) -> bool:
        return self != Impairment()

    @property
    def netem(self) -> tuple[str, ...]:
        """What follows `tc qdisc add dev eth0 root netem`."""
        words: list[str] = []
        if self.delay is not None:
            words += ["delay", self.delay]
            if self.jitter is not None:
                words.append(self.jitter)
        if self.loss is not None:
            words += ["loss", self.loss]
        if self.rate is not None:
            words += ["rate", self.rate]
        return tuple(words)


class TaskDescription(Section, title="a mapping of the task's settings"):
    """What the first vehicle proposes."""

    iterations: int = whole(10, "Iterations of the task.", 1, 100_000)
    model_id: str = text(
        "traffic-lights",
        "a name of lower-case letters, digits, - and _",
        "Name of the task.",
        r"^[a-z0-9_-]{1,64}$",
    )
    rule: Rule | None = text(None, "rule", RULE)
    """None: the policy's."""
    architecture: str = text(
        "bift_ros.learning.models:traffic_light_cnn",
        "a model factory, module:factory",
        "Model factory of the task.",
        r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$",
    )
    local_epochs: int = whole(10, "Local epochs E of an iteration.", 1, 1000)
    batch_size: int = whole(10, "Local minibatch size B.", 1, 65536)
    learning_rate: float = number(0.001, "Learning rate.", 1e-9, 10.0)
    optimizer: Literal["adam", "sgd"] = text("adam", "optimizer", "How a vehicle trains.")

    def parameters(self, seed: int) -> dict[str, Any]:
        """Parameters of every vehicle's `vehicle` node; `seed` is the initial model's."""
        same = self.model_dump(exclude={"iterations", "rule"})
        return {
            "allowed_architectures": [self.architecture],
            "task.total_iter": self.iterations,
            "task.seed": seed,
            "task.rule": self.rule or "",
            **{f"task.{name}": value for name, value in same.items()},
        }


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
    keep: str = "window"
    """What stays of the chain: the last iterations (`window`), or all."""
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
            "vehicle": {"mine": self.mine, "storage": self.storage, "keep": self.keep},
            "trainer": {"device": self.device, "gpu_memory_mb": self.gpu_memory_mb},
        }
        if self.malicious is not None:
            nodes["vehicle"]["malicious"] = self.malicious
        if self.camera is not None:
            nodes["perception"] = {"image_transport": self.camera.transport}
        return nodes


@dataclass(frozen=True)
class FleetDescription:
    """A whole fleet, sound in itself: as `file.load_description` makes it."""

    name: str
    vehicles: tuple[VehicleDescription, ...]
    task: TaskDescription
    policy: Policy
    runtime: str = "process"
    """What the vehicles run as: process or docker."""
    discovery: str = "multicast"
    """How they find each other: multicast or server."""
    security: bool = False
    """Whether they use DDS security."""
    seed: int = 0
    replay_rate: float = 1.0
    synthetic_frames: int = 500
    """Frames of each synthetic bag."""
