"""`bift bag synth`: one bag of street scenes per vehicle, and a held-out test set."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import cv2
import numpy as np

from bift_ros.perception.classes import CLASSES
from bift_ros.synthesis.recording import EncodedFrame, Progress, Recorded, Recording
from bift_ros.synthesis.scene import encode_jpeg, make_frame

CHUNK = 20  # frames per piece of work
WORKERS = 2
LIGHTS_PER_FRAME = 2.0  # on average; see scene.make_frame

# First word of a random stream's seed sequence, so that no two uses share numbers.
_FRAMES, _TEST, _SKEW, _LATENCY = range(4)


@dataclass(frozen=True)
class _Chunk:
    """Frames to make: a seed sequence and class weights (empty: all classes alike)."""

    seed: tuple[int, ...]
    frames: int
    weights: tuple[float, ...] = ()


def _make(chunk: _Chunk) -> tuple[int, list[EncodedFrame]]:
    """In a worker process: the chunk's frames, and how many. Depends on nothing but the chunk."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(chunk.seed)
    frames = (make_frame(rng, chunk.weights or None) for _ in range(chunk.frames))
    return chunk.frames, [EncodedFrame(encode_jpeg(f.image), f.labels) for f in frames]


def class_weights(vehicles: int, seed: int, skew: float | None) -> list[tuple[float, ...]]:
    """Each vehicle's class probabilities: all alike, or drawn from Dirichlet(skew).

    The usual label split of federated learning (Hsu et al. 2019): the smaller the skew, the
    fewer classes a vehicle sees; 0.1 is strong, 100 next to none.
    """
    if skew is None:
        return [()] * vehicles
    rng = np.random.default_rng((_SKEW, seed))
    return [tuple(rng.dirichlet([skew] * len(CLASSES)).tolist()) for _ in range(vehicles)]


def synthesize(
    vehicles: int,
    frames: int,
    out: Path,
    seed: int,
    skew: float | None = None,
    test_crops: int = 2000,
    progress: Progress | None = None,
) -> Recorded:
    """Make `vehicles` bags of `frames` frames each below `out`, and `out/test/<class>/*.png`.

    Frames hold two lights on average, so 1500 frames give about 3000 crops. The test set is
    drawn from other seeds with all classes alike, whatever the skew. The same arguments give the
    same bytes, whatever the number of processes. Raises BagError where `out` is not empty and
    ValueError for arguments out of range.
    """
    if vehicles < 1 or frames < 1 or test_crops < 0 or seed < 0:
        raise ValueError("vehicles and frames must be at least 1, test crops and seed at least 0")
    if skew is not None and not 0.01 <= skew <= 1e6:
        # Below, the Dirichlet draw underflows.
        raise ValueError(f"skew {skew} must lie between 0.01 and 1000000")
    total = vehicles * frames + round(test_crops / LIGHTS_PER_FRAME)
    recording = Recording(out, total, progress)
    # Spawned, not forked: OpenCV's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        for vehicle, weights in enumerate(class_weights(vehicles, seed, skew)):
            chunks = [
                _Chunk((_FRAMES, seed, vehicle, first), min(CHUNK, frames - first), weights)
                for first in range(0, frames, CHUNK)
            ]
            rng = np.random.default_rng((_LATENCY, seed, vehicle))
            recording.add_bag(pool.map(_make, chunks), rng)
        test = None
        if test_crops:
            # One chunk after the other, two at a time, until there are enough crops.
            chunk_of = partial(_test_chunk, seed)
            rounds = (pool.map(_make, [chunk_of(2 * n), chunk_of(2 * n + 1)]) for n in count())
            test = (chunk for pair in rounds for chunk in pair)
        recorded = recording.finish(test, test_crops)
    if progress is not None:
        progress(total, total)
    return recorded


def _test_chunk(seed: int, number: int) -> _Chunk:
    return _Chunk((_TEST, seed, number), CHUNK)
