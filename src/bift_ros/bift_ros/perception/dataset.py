"""The private dataset on disk: crops in ImageFolder shape, indexed by SQLite.

    <root>/train/<class>/<stamp>-<key>-<n>.png      <root>/val/<class>/…      <root>/index.sqlite3

Order of writes: a frame's crops are written first (each by temporary file and rename), then one
SQLite transaction makes them part of the dataset. Evicted files are removed after theirs. So at
`kill -9` the index is right and at worst some files are not in it; opening removes those.

A frame is known by its key for ever, also after its crops were evicted or when it gave none, so
that a restart or a replayed bag never loads it twice.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import cv2
import numpy as np

from bift_ros.perception.classes import CLASS_INDEX, CLASSES
from bift_ros.perception.images import Data, Image

SPLITS = ("train", "val")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS frames (key TEXT PRIMARY KEY, stamp_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS samples (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of arrival
    split TEXT NOT NULL, class INTEGER NOT NULL, name TEXT NOT NULL UNIQUE
);
CREATE INDEX IF NOT EXISTS samples_by_class ON samples (class, id);
"""


class DatasetError(RuntimeError):
    """The dataset's folder cannot be used, with the reason and the remedy."""


@dataclass(frozen=True)
class Counts:
    """What the dataset holds now."""

    train: int
    val: int
    frames: int  # ever loaded
    per_class: Mapping[str, int]

    @property
    def samples(self) -> int:
        """Crops of both splits."""
        return self.train + self.val


def frame_key(stamp_ns: int, payload: Data) -> str:
    """A frame's identity: 128 bits of SHA-256 over its stamp and its bytes as sent, in hex."""
    digest = hashlib.sha256(stamp_ns.to_bytes(8, "big", signed=True))
    digest.update(np.frombuffer(payload, np.uint8).data)
    return digest.hexdigest()[:32]


def split_of(key: str, val_share: float) -> str:
    """train or val: the key's own hash decides, so that all crops of a frame stay together."""
    draw = int.from_bytes(hashlib.sha256(b"bift split" + key.encode()).digest()[:8], "big")
    return "val" if draw < val_share * 2**64 else "train"


class Dataset:
    """One vehicle's dataset. One process may write it, from one thread at a time."""

    def __init__(self, root: Path, cap: int = 20_000, val_share: float = 0.1) -> None:
        """Open or create. `cap` bounds the crops of both splits together.

        Raises DatasetError where the folder or the index cannot be used.
        """
        if cap < 1 or not 0 <= val_share < 1:
            raise ValueError(f"cap {cap} must be at least 1 and val_share {val_share} in [0, 1)")
        self.root, self.cap, self.val_share = Path(root), cap, val_share
        try:
            for split in SPLITS:
                for name in CLASSES:
                    (self.root / split / name).mkdir(parents=True, exist_ok=True)
            self._lock = _take_lock(self.root / "lock")
            self._index = sqlite3.connect(self.root / "index.sqlite3", check_same_thread=False)
            self._index.execute("PRAGMA journal_mode=WAL")
            self._index.execute("PRAGMA synchronous=NORMAL")
            self._index.executescript(_SCHEMA)
            self._sweep()
        except (OSError, sqlite3.Error) as error:
            raise DatasetError(
                f"cannot open the dataset at {self.root}: {error}. Check the folder's rights and "
                f"space; a damaged index is mended by removing the folder and replaying the bag"
            ) from error

    def close(self) -> None:
        """Close the index and let others write; the files stay."""
        self._index.close()
        self._lock.close()

    def __enter__(self) -> Dataset:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def has_frame(self, key: str) -> bool:
        """Whether a frame was ever loaded, also if none of its crops is left."""
        row = self._index.execute("SELECT 1 FROM frames WHERE key = ?", (key,)).fetchone()
        return row is not None

    def add_frame(self, key: str, stamp_ns: int, crops: Sequence[tuple[str, Image]]) -> int:
        """Add a frame's crops, (class, RGB uint8 [32, 32, 3]) each, and return how many.

        A frame that is known adds nothing. Over the cap, the oldest crop of the class with most
        crops is evicted: rare classes survive a long red light.
        """
        if self.has_frame(key):
            return 0
        split = split_of(key, self.val_share)
        rows = []
        for number, (name, crop) in enumerate(crops):
            file = f"{stamp_ns}-{key[:16]}-{number}.png"
            _write_png(self.root / split / name / file, crop)
            rows.append((split, CLASS_INDEX[name], file))
        with self._index:
            self._index.execute("INSERT INTO frames VALUES (?, ?)", (key, stamp_ns))
            self._index.executemany(
                "INSERT INTO samples (split, class, name) VALUES (?, ?, ?)", rows
            )
            evicted = self._evict()
        for path in evicted:
            path.unlink(missing_ok=True)
        return len(rows)

    def counts(self) -> Counts:
        """Sizes by split and by class."""
        return _counts(self._index)

    def _evict(self) -> list[Path]:
        """Take crops over the cap out of the index; their files, to be removed after."""
        (total,) = self._index.execute("SELECT COUNT(*) FROM samples").fetchone()
        gone = []
        for _ in range(total - self.cap):
            row = self._index.execute(
                "SELECT id, split, class, name FROM samples WHERE class = (SELECT class FROM "
                "samples GROUP BY class ORDER BY COUNT(*) DESC, class LIMIT 1) ORDER BY id LIMIT 1"
            ).fetchone()
            self._index.execute("DELETE FROM samples WHERE id = ?", (row[0],))
            gone.append(self.root / row[1] / CLASSES[row[2]] / row[3])
        return gone

    def _sweep(self) -> None:
        """Make files and index agree again after a kill: drop what only one of them knows."""
        known = {
            (split, CLASSES[index], name): sample
            for sample, split, index, name in self._index.execute(
                "SELECT id, split, class, name FROM samples"
            )
        }
        present = set()
        for path in _files(self.root):
            place = (path.parent.parent.name, path.parent.name, path.name)
            present.add(place)
            if place not in known:
                path.unlink()
        with self._index:
            lost = [(sample,) for place, sample in known.items() if place not in present]
            self._index.executemany("DELETE FROM samples WHERE id = ?", lost)
            gone = self._evict()  # the cap may be lower than at the last opening
        for path in gone:
            path.unlink(missing_ok=True)


def stored_counts(root: Path) -> Counts | None:
    """Sizes of the dataset of a vehicle that need not run; None where there is none.

    Nothing is locked and nothing changed. Raises DatasetError where the index can't be read.
    """
    path = root / "index.sqlite3"
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as index:
            return _counts(index)
    except sqlite3.Error as error:
        raise DatasetError(f"cannot read the dataset's index {path}: {error}") from error


def _counts(index: sqlite3.Connection) -> Counts:
    split = dict.fromkeys(SPLITS, 0)
    per_class = dict.fromkeys(CLASSES, 0)
    query = "SELECT split, class, COUNT(*) FROM samples GROUP BY split, class"
    for name, number_of_class, samples in index.execute(query):
        split[name] += samples
        per_class[CLASSES[number_of_class]] += samples
    (frames,) = index.execute("SELECT COUNT(*) FROM frames").fetchone()
    return Counts(split["train"], split["val"], frames, per_class)


def _take_lock(path: Path) -> IO[bytes]:
    """Hold a lock until the file is closed or the process dies: opening sweeps, so a second
    writer would remove the files that the first is about to index."""
    file = path.open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise DatasetError(f"{path.parent} is in use by another process: stop it first") from error
    return file


def _files(root: Path) -> Iterator[Path]:
    for split in SPLITS:
        for name in CLASSES:
            # Temporary files too: a kill may have left one.
            yield from (root / split / name).iterdir()


def _write_png(path: Path, crop: Image) -> None:
    ok, data = cv2.imencode(".png", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))
    if not ok:
        raise DatasetError(f"cannot encode a crop of shape {crop.shape} as PNG")
    temporary = path.with_suffix(".part")
    temporary.write_bytes(data.tobytes())
    os.replace(temporary, path)
