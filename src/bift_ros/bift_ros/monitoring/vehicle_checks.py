"""The checks of one vehicle: each gives a level, a sentence and the values behind it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from bift_ros.history.chain import Relation
from bift_ros.monitoring.findings import Level, Thresholds
from bift_ros.monitoring.memory import VehicleMemory
from bift_ros.monitoring.status import VehicleStatus
from bift_ros.perception.classes import CLASSES


class Known(NamedTuple):
    """All that a check may look at."""

    status: VehicleStatus
    memory: VehicleMemory
    tip: str
    head: int
    """Height of the tip on which most vehicles stand."""
    thresholds: Thresholds
    now: float


class Verdict(NamedTuple):
    """What a check says."""

    level: Level
    message: str
    values: Mapping[str, object]


def consensus(known: Known) -> Verdict:
    """Whether the vehicle stands where most stand, and takes what it is sent."""
    status, memory, limits = known.status, known.memory, known.thresholds
    values = {
        "height": status.chain.height,
        "tip": known.tip,
        "mempool": status.chain.mempool,
        "peers": status.chain.peers,
        "stake": status.chain.balance,
        "refused": status.chain.refused,
        "last refusal": status.chain.last_refusal,
        "equivocations": len(status.chain.equivocations),
        "final": status.chain.final_height,
    }
    if status.chain.conflict:
        return Verdict(Level.ERROR, f"rivals are final: {status.chain.conflict}", values)
    since = memory.apart_since
    if since is not None and known.now - since > limits.forked_seconds:
        seconds = f"for {known.now - since:.0f} s"
        if memory.relation == Relation.BEHIND:
            behind = known.head - status.chain.height
            return Verdict(Level.WARN, f"behind by {behind} blocks {seconds}", values)
        return Verdict(Level.ERROR, f"forked: on another branch than most {seconds}", values)
    if known.now - memory.refused_at <= limits.recent_seconds:
        return Verdict(Level.WARN, f"refused {status.chain.last_refusal}", values)
    return Verdict(Level.OK, f"at height {status.chain.height}", values)


def training(known: Known) -> Verdict:
    """Whether its local training gets anywhere."""
    status, memory, limits = known.status, known.memory, known.thresholds
    values = {
        "state": status.state,
        "epoch": f"{status.training.epoch}/{status.training.local_epochs}",
        "loss": f"{status.training.loss:.4g}",
        "lowest loss": f"{memory.lowest_loss:.4g}",
        "task": status.task.model_id,
        "iteration": f"{status.task.current_iter}/{status.task.total_iter}",
        "seconds": f"{status.training.training_seconds:.1f}",
    }
    loss, lowest = memory.last_loss, memory.lowest_loss
    if known.now - memory.failed_at <= limits.recent_seconds:
        return Verdict(Level.ERROR, status.chain.last_refusal, values)
    if math.isfinite(lowest) and not math.isfinite(loss):
        return Verdict(Level.ERROR, f"diverged: the loss is {loss}", values)
    if math.isfinite(loss) and loss > lowest * limits.loss_growth:
        return Verdict(
            Level.WARN, f"diverging: the loss is {loss:.3g}, and was {lowest:.3g} before", values
        )
    return Verdict(Level.OK, status.state, values)


def storage(known: Known) -> Verdict:
    """Whether there is room for what is to come."""
    status, low = known.status, known.thresholds.disk_low_mb
    free = status.resources.disk_free_mb
    values = {
        "free MiB": free,
        "fetched MiB": f"{status.resources.fetched_bytes / 2**20:.1f}",
        "served MiB": f"{status.resources.served_bytes / 2**20:.1f}",
        "seconds": f"{status.training.storage_seconds:.1f}",
    }
    if known.now - known.memory.unkept_at <= known.thresholds.recent_seconds:
        return Verdict(Level.ERROR, known.memory.unkept, values)
    if free < low / 10:
        return Verdict(Level.ERROR, f"disk full: {free} MiB left", values)
    if free < low:
        return Verdict(Level.WARN, f"disk low: {free} MiB left", values)
    return Verdict(Level.OK, f"{free / 1024:.1f} GiB free", values)


def gpu_memory(known: Known) -> Verdict:
    """How near its worker is to its GPU memory limit."""
    status = known.status
    used, limit = status.resources.gpu_mb, status.resources.gpu_limit_mb
    values = {
        "GPU MiB": used,
        "GPU limit MiB": limit,
        "resident MiB": status.resources.rss_mb,
        "peak resident MiB": status.resources.peak_rss_mb,
    }
    if not limit:
        return Verdict(Level.OK, "uses no GPU", values)
    said = f"{used} of {limit} MiB of GPU memory"
    if used > limit * known.thresholds.gpu_share:
        return Verdict(Level.WARN, f"near its limit: {said}", values)
    return Verdict(Level.OK, said, values)


def dataset(known: Known) -> Verdict:
    """Whether there is anything to learn from."""
    status = known.status
    counts = dict(zip(CLASSES, status.dataset.class_samples, strict=False))
    shown = [name for name, count in counts.items() if count]
    values = {
        "samples": status.dataset.samples,
        "frames seen": status.dataset.frames_seen,
        "skipped": status.dataset.skipped,
        **counts,
    }
    if not status.dataset.samples:
        return Verdict(Level.WARN, "no samples: it can't train", values)
    if len(shown) == 1:
        return Verdict(Level.WARN, f"all {status.dataset.samples} samples show {shown[0]}", values)
    return Verdict(Level.OK, f"{status.dataset.samples} samples of {len(shown)} classes", values)


CHECKS: Mapping[str, Callable[[Known], Verdict]] = {
    "consensus": consensus,
    "training": training,
    "storage": storage,
    "memory": gpu_memory,
    "dataset": dataset,
}
"""The parts of a vehicle."""
