"""The dataset on disk: shape, cap, held-out share, restarts and kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import read_images

from bift_ros.perception.classes import CLASS_INDEX, CLASSES
from bift_ros.perception.dataset import (
    Dataset,
    DatasetError,
    frame_key,
    split_of,
    stored_counts,
)


def crop(value: int) -> np.ndarray:
    return np.full((32, 32, 3), value % 256, np.uint8)


def add(dataset: Dataset, stamp: int, *names: str) -> int:
    key = frame_key(stamp, b"frame")
    return dataset.add_frame(key, stamp, [(name, crop(stamp)) for name in names])


def files(root: Path) -> Counter[tuple[str, str]]:
    return Counter((p.parent.parent.name, p.parent.name) for p in root.glob("*/*/*"))


def test_image_folder_shape_and_round_trip(tmp_path: Path) -> None:
    with Dataset(tmp_path, val_share=0) as dataset:
        picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
        dataset.add_frame("a" * 32, 5, [("red_left", picture), ("off", crop(3))])
        counts = dataset.counts()
    assert (counts.train, counts.val, counts.frames) == (2, 0, 1)
    assert sorted(p.name for p in (tmp_path / "train").iterdir()) == sorted(CLASSES)
    images, labels = read_images(tmp_path / "train")
    assert labels.tolist() == [CLASS_INDEX["red_left"], CLASS_INDEX["off"]]
    assert np.array_equal(images[0], picture)


def test_sizes_can_be_read_by_others(tmp_path: Path) -> None:
    assert stored_counts(tmp_path) is None
    with Dataset(tmp_path) as dataset:
        add(dataset, 1, "off", "red_left")
        add(dataset, 2, "off")
        assert stored_counts(tmp_path) == dataset.counts()  # while the vehicle has it open
    counts = stored_counts(tmp_path)
    assert counts is not None
    assert (counts.samples, counts.per_class["off"], counts.frames) == (3, 2, 2)


def test_a_damaged_index_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "index.sqlite3").write_bytes(b"no database" * 1000)
    with pytest.raises(DatasetError, match="cannot read the dataset's index"):
        stored_counts(tmp_path)


def test_a_frame_is_never_loaded_twice(tmp_path: Path) -> None:
    with Dataset(tmp_path, cap=2) as dataset:
        assert add(dataset, 1, "off") == 1
        assert add(dataset, 1, "off") == 0
    with Dataset(tmp_path, cap=2) as dataset:
        assert add(dataset, 1, "off") == 0
        for stamp in range(2, 6):
            add(dataset, stamp, "off")
        # Its crop was evicted long ago, and still it is known.
        assert add(dataset, 1, "off") == 0
        assert add(dataset, 9) == 0
        assert dataset.has_frame(frame_key(9, b"frame"))


def test_same_stamp_other_content_is_another_frame() -> None:
    assert frame_key(1, b"a") != frame_key(1, b"b") != frame_key(2, b"b")
    assert frame_key(1, b"ab") == frame_key(1, np.frombuffer(b"ab", np.uint8))


def test_the_held_out_share_is_by_frame_and_deterministic(tmp_path: Path) -> None:
    keys = [frame_key(n, b"") for n in range(4000)]
    share = sum(split_of(key, 0.2) == "val" for key in keys) / 4000
    assert share == pytest.approx(0.2, abs=0.025)
    with Dataset(tmp_path, val_share=0.5) as dataset:
        for stamp in range(20):
            add(dataset, stamp, "off", "red_left", "off")
        counts = dataset.counts()
    assert counts.train + counts.val == 60
    assert counts.train % 3 == 0
    assert 0 < counts.val < 60


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=40), st.integers(1, 12))
def test_the_cap_evicts_the_oldest_of_the_largest_class(
    tmp_path_factory: pytest.TempPathFactory, draws: list[int], cap: int
) -> None:
    root = tmp_path_factory.mktemp("dataset")
    kept: list[tuple[int, str]] = []
    with Dataset(root, cap=cap) as dataset:
        for stamp, draw in enumerate(draws):
            add(dataset, stamp, CLASSES[draw])
            kept.append((stamp, CLASSES[draw]))
            if len(kept) > cap:
                sizes = Counter(name for _, name in kept)
                largest = min(sizes, key=lambda name: (-sizes[name], CLASS_INDEX[name]))
                kept.remove(next(item for item in kept if item[1] == largest))
        counts = dataset.counts()
    assert counts.samples == len(kept) <= cap
    stamps = sorted(int(p.name.split("-")[0]) for p in root.glob("*/*/*.png"))
    assert stamps == [stamp for stamp, _ in kept]


def test_a_lower_cap_applies_at_opening(tmp_path: Path) -> None:
    with Dataset(tmp_path, cap=50) as dataset:
        for stamp in range(30):
            add(dataset, stamp, "off")
    with Dataset(tmp_path, cap=10) as dataset:
        assert dataset.counts().samples == 10
    assert sum(files(tmp_path).values()) == 10


def test_files_and_index_agree_again_after_opening(tmp_path: Path) -> None:
    with Dataset(tmp_path, val_share=0) as dataset:
        add(dataset, 1, "off")
        add(dataset, 2, "off")
    stray = tmp_path / "train" / "off" / "77-abc-0.png"
    stray.write_bytes(b"left by a kill")
    (tmp_path / "val" / "off" / "78-abc-0.part").write_bytes(b"")
    next((tmp_path / "train" / "off").glob("1-*.png")).unlink()
    with Dataset(tmp_path, val_share=0) as dataset:
        assert dataset.counts().samples == 1
    assert not stray.exists()
    assert files(tmp_path) == {("train", "off"): 1}


WRITER = """
import sys
from pathlib import Path
import numpy as np
from bift_ros.perception.dataset import Dataset, frame_key
with Dataset(Path(sys.argv[1]), cap=40, val_share=0.3) as dataset:
    for stamp in range(int(sys.argv[2]), 10**9):
        crops = [("off", np.full((32, 32, 3), stamp % 256, np.uint8))] * 3
        dataset.add_frame(frame_key(stamp, b""), stamp, crops)
        print(stamp, flush=True)
"""


def test_kill_9_at_any_time_loses_no_committed_frame(tmp_path: Path) -> None:
    stamp = 0
    for kill_after in (3, 17, 40):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(stamp)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert process.stdout is not None
        for _ in range(kill_after):
            stamp = int(process.stdout.readline()) + 1
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
        stamp = int(rest[-1]) + 1 if rest else stamp
        process.wait(30)
        with Dataset(tmp_path, cap=40, val_share=0.3) as dataset:
            counts = dataset.counts()
            assert all(dataset.has_frame(frame_key(n, b"")) for n in range(stamp))
        assert sum(files(tmp_path).values()) == counts.samples == min(40, counts.frames * 3)


def test_a_second_writer_is_refused_and_readers_are_not(tmp_path: Path) -> None:
    with Dataset(tmp_path, val_share=0) as dataset:
        add(dataset, 1, "off")
        with pytest.raises(DatasetError, match="in use by another process"):
            Dataset(tmp_path)
        assert len(read_images(tmp_path / "train")[1]) == 1
    Dataset(tmp_path).close()


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "index.sqlite3").write_bytes(b"no database" * 100)
    with pytest.raises(DatasetError, match=r"cannot open the dataset .* not a database"):
        Dataset(tmp_path)
    with pytest.raises(ValueError, match="cap 0"):
        Dataset(tmp_path, cap=0)
