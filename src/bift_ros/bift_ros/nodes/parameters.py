"""Every setting of a vehicle as a ROS parameter: name, default, range and what it means.

`config/vehicle.yaml` lists the same names with the same defaults; a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node


@dataclass(frozen=True)
class Setting:
    """One parameter. Its type is its default's; `low` and `high` bound a number, inclusive."""

    name: str
    default: Any
    description: str
    low: float | None = None
    high: float | None = None

    def descriptor(self) -> ParameterDescriptor:
        """What `ros2 param describe` shows."""
        descriptor = ParameterDescriptor(description=self.description, read_only=True)
        if self.low is not None and self.high is not None:
            if isinstance(self.default, float):
                descriptor.floating_point_range = [
                    FloatingPointRange(from_value=self.low, to_value=self.high, step=0.0)
                ]
            else:
                descriptor.integer_range = [
                    IntegerRange(from_value=int(self.low), to_value=int(self.high), step=1)
                ]
        return descriptor


VEHICLE = (
    Setting("data_dir", "", "Folder of this vehicle: chain, storage and dataset."),
    Setting("genesis_file", "", "The fleet's genesis file (JSON)."),
    Setting("key_file", "", "This vehicle's private key (PKCS#8 PEM)."),
    Setting("passphrase_file", "", "File with the key's passphrase; empty: the key has none."),
    Setting("mine", True, "Aggregate updates and search for blocks."),
    Setting("train", True, "Train on this vehicle's own dataset."),
    Setting(
        "malicious",
        "",
        "Attack the fleet's learning in this way (bift_ros.attacks), to test it; empty: honest.",
    ),
    Setting(
        "allowed_architectures",
        ["bift_ros.learning.models:traffic_light_cnn"],
        "Model factories (module:factory) that this vehicle agrees to run.",
    ),
    Setting("storage", "embedded", "Where files are kept: embedded, or kubo (an IPFS daemon)."),
    Setting("gateway_host", "127.0.0.1", "Address on which this vehicle serves its files."),
    Setting(
        "gateway_advertised_host",
        "",
        "Name or address at which other vehicles reach the gateway; empty: gateway_host.",
    ),
    Setting("gateway_port", 0, "Port of the gateway; 0: any free one.", 0, 65535),
    Setting(
        "allowed_networks",
        "",
        "Special networks, such as link-local ones, that files are fetched from as well, "
        "separated by spaces.",
    ),
    Setting("storage_mb", 2048, "Size cap of the block store, in MiB.", 16, 1_048_576),
    Setting(
        "keep",
        "window",
        "What stays of the chain: window (its last blocks and iterations), or all.",
    ),
    Setting(
        "kubo_api",
        "",
        "Kubo's API, such as /ip4/127.0.0.1/tcp/5001; empty: the vehicle runs its own daemon.",
    ),
    Setting("kubo_swarm_key", "", "File with the fleet's swarm key; empty: one of its own."),
    Setting("kubo_swarm_port", 0, "Port of the daemon in the swarm; 0: any free one.", 0, 65535),
    Setting("kubo_peers", "", "Swarm addresses of other vehicles' daemons, separated by spaces."),
    Setting(
        "status_period",
        0.5,
        "Seconds between two status messages while something happens.",
        0.1,
        60.0,
    ),
    Setting("status_file", "", "File that holds the newest status, as JSON; empty: none."),
    Setting("propose", False, "Propose the task below once this vehicle's dataset is built."),
    Setting("task.model_id", "traffic-lights", "Name of the task."),
    Setting("task.total_iter", 10, "Iterations of the task.", 1, 100_000),
    Setting("task.rule", "", "Aggregation rule of the task; empty: that of the genesis."),
    Setting(
        "task.architecture",
        "bift_ros.learning.models:traffic_light_cnn",
        "Model factory (module:factory) of the task.",
    ),
    Setting("task.local_epochs", 10, "Local epochs E of an iteration.", 1, 1000),
    Setting("task.batch_size", 10, "Local minibatch size B.", 1, 65536),
    Setting("task.learning_rate", 0.001, "Learning rate.", 1e-9, 10.0),
    Setting("task.optimizer", "adam", "Optimiser: adam, or sgd (plain)."),
    Setting("task.seed", 0, "Seed of the initial model.", 0, 2**31 - 1),
)

TRAINER = (
    Setting("device", "auto", "Where to train: auto, cpu, cuda or cuda:N."),
    Setting("threads", 1, "CPU threads of the training worker.", 1, 256),
    Setting("gpu_memory_mb", 900, "GPU memory of the worker, in MiB.", 128, 1_048_576),
    Setting("seed", 0, "Seed of this vehicle's local training.", 0, 2**31 - 1),
)

PERCEPTION = (
    Setting("image_transport", "compressed", "Camera topic to read: compressed or raw."),
    Setting("maximum_samples", 20_000, "Cap of the dataset, in crops.", 1, 10_000_000),
    Setting("validation_share", 0.15, "Share of frames held out for validation.", 0.0, 0.5),
)

CAMERA_REPLAY = (
    Setting("bag", "", "rosbag2 folder to replay as this vehicle's camera; empty: none."),
    Setting("rate", 1.0, "Speed of the replay, as a multiple of the bag's own.", 0.01, 1000.0),
)

MONITOR = (
    Setting("stale_seconds", 10.0, "A vehicle not heard for so long is stale.", 1.0, 3600.0),
    Setting(
        "forked_seconds",
        15.0,
        "A vehicle that is on another branch than most, or behind, for so long is reported.",
        1.0,
        3600.0,
    ),
    Setting("recent_seconds", 60.0, "A refusal is reported for so many seconds.", 1.0, 86_400.0),
    Setting(
        "accuracy_drop",
        0.1,
        "How far the global model's accuracy may fall below the task's best, as a share of 1.",
        0.0,
        1.0,
    ),
    Setting(
        "loss_growth",
        3.0,
        "How many times the task's lowest training loss of a vehicle its newest may be.",
        1.0,
        1000.0,
    ),
    Setting(
        "disk_low_mb",
        2048,
        "Free disk space below which a vehicle is warned of, in MiB; a tenth of it is an error.",
        1,
        1_048_576,
    ),
    Setting("gpu_share", 0.9, "Share of the GPU memory limit above which it is near.", 0.1, 1.0),
    Setting("record", "", "rosbag2 folder to record what the fleet says to; empty: none."),
)

SCENE = (
    Setting("frame", "map", "Frame of the displayed markers; poses in another one are ignored."),
)

CAMERA_VIEW = (
    Setting("vehicle", "", "Name of the vehicle whose camera is shown."),
    Setting("genesis", "", "Genesis file of the fleet (JSON); empty: no model is fetched."),
    Setting("image_transport", "compressed", "Camera topic to read: compressed or raw."),
    Setting("rate", 2.0, "Pictures per second, at most.", 0.1, 30.0),
    Setting(
        "architecture",
        "bift_ros.learning.models:traffic_light_cnn",
        "Model factory (module:factory) of the task; no other is run.",
    ),
    Setting("device", "cpu", "Where to predict: auto, cpu, cuda or cuda:N."),
    Setting(
        "allowed_networks",
        "198.18.0.0/15",
        "Special networks that models are fetched from as well, beside this host, "
        "separated by spaces.",
    ),
)


def declare(node: Node, settings: tuple[Setting, ...]) -> dict[str, Any]:
    """Declare the settings on a node and return their values by name.

    Raises rclpy's InvalidParameterValueException, naming the parameter, for one out of range.
    """
    return {
        s.name: node.declare_parameter(s.name, s.default, s.descriptor()).value for s in settings
    }
