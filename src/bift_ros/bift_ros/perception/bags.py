"""Reading bags: rosbag2 with MCAP storage, also those whose recorder was killed."""

from __future__ import annotations

import logging
import struct
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from rosbags.rosbag2 import Reader

from bift_ros.perception.messages import COMPRESSED_IMAGE, IMAGE, LIGHTS

log = logging.getLogger(__name__)

_MCAP_MAGIC = b"\x89MCAP0\r\n"
_EMPTY_FOOTER = b"\x02" + struct.pack("<QQQI", 20, 0, 0, 0) + _MCAP_MAGIC


class BagError(ValueError):
    """A bag that cannot be read or does not hold what a vehicle needs."""


class BagMessage(NamedTuple):
    """One recorded message: when it was received, and its CDR bytes."""

    topic: str
    type: str
    timestamp_ns: int
    data: bytes


class Bag:
    """A bag open for reading; a context manager.

    A bag whose recorder was killed has no metadata.yaml and an MCAP file that ends anywhere: its
    complete records are read, `recovered` is True, and a warning is logged. Raises BagError
    where there is no bag, or nothing of it is readable.
    """

    def __init__(self, path: Path) -> None:
        """Open the bag directory, or the .mcap file, `path`."""
        self.path = path
        self.recovered = False
        self._stack = ExitStack()
        self._readers: list[Reader] = []
        if not path.exists():
            raise BagError(f"no bag at {path}")
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise

    def _open(self) -> None:
        whole = self.path.is_file() or (self.path / "metadata.yaml").exists()
        if whole:
            try:
                self._add(self.path)
                return
            except Exception as error:  # the library's parsers raise whatever broke them
                reason = str(error)
        else:
            reason = "it has no metadata.yaml"
        files = [self.path] if self.path.is_file() else sorted(self.path.glob("*.mcap"))
        if not files:
            raise BagError(f"{self.path} is not a readable bag: {reason}, and no .mcap file in it")
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bift-bag-")))
        for file in files:
            try:
                self._add(_recover(file, folder))
            except BagError:
                raise
            except Exception as error:
                raise BagError(f"{file} is damaged beyond reading: {error}") from error
        self.recovered = True
        log.warning("%s is half-written (%s): reading what is there", self.path, reason)

    def _add(self, path: Path) -> None:
        reader = Reader(path)
        reader.open()
        self._stack.callback(reader.close)
        self._readers.append(reader)

    @property
    def topics(self) -> dict[str, tuple[str, int]]:
        """Topic → message type and number of messages."""
        found: dict[str, tuple[str, int]] = {}
        for reader in self._readers:
            for link in reader.connections:
                _, count = found.get(link.topic, ("", 0))
                found[link.topic] = (link.msgtype, count + link.msgcount)
        return dict(sorted(found.items()))

    @property
    def span_ns(self) -> tuple[int, int]:
        """Reception times of the first and the last message; (0, 0) when there is none."""
        full = [reader for reader in self._readers if reader.message_count]
        if not full:
            return 0, 0
        return min(r.start_time for r in full), max(r.end_time for r in full) - 1

    def messages(self) -> Iterator[BagMessage]:
        """All messages in order of reception; raises BagError where the file turns unreadable."""
        for reader in self._readers:
            try:
                for link, timestamp, data in reader.messages():
                    yield BagMessage(link.topic, link.msgtype, timestamp, data)
            except Exception as error:  # the library's parsers raise whatever broke them
                raise BagError(f"{self.path} is damaged: {error}") from error

    def vehicle_topics(self) -> tuple[str, str]:
        """The camera topic (compressed before raw) and the label topic.

        Raises BagError naming what is missing and what the bag has instead.
        """
        by_type: dict[str, list[str]] = {}
        for topic, (kind, count) in self.topics.items():
            if count:
                by_type.setdefault(kind, []).append(topic)
        cameras = by_type.get(COMPRESSED_IMAGE, []) + by_type.get(IMAGE, [])
        lights = by_type.get(LIGHTS, [])
        want = f"{COMPRESSED_IMAGE} or {IMAGE}"
        has = ", ".join(f"{t} ({k}, {n})" for t, (k, n) in self.topics.items()) or "nothing"
        if not cameras:
            raise BagError(f"{self.path} has no camera topic ({want}), only {has}")
        if not lights:
            raise BagError(f"{self.path} has no label topic ({LIGHTS}), only {has}")
        return cameras[0], lights[0]

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _recover(file: Path, folder: Path) -> Path:
    """A copy of an MCAP file up to its last complete record, ended as the format allows.

    An MCAP file is a row of records (one byte of type, eight of length); a footer whose summary
    offset is 0 says that there is no index, and readers then scan the records.
    """
    with file.open("rb") as source:
        if source.read(8) != _MCAP_MAGIC:
            raise BagError(f"{file} is not an MCAP file")
        size, end = file.stat().st_size, 8
        while end + 9 <= size:
            source.seek(end)
            kind, length = struct.unpack("<BQ", source.read(9))
            # A footer or data end: what follows is index. Zero: the disk was full or cut off.
            if kind in (0x00, 0x02, 0x0F) or end + 9 + length > size:
                break
            end += 9 + length
        if end == 8:
            raise BagError(f"{file} holds no complete record: record it again")
        source.seek(0)
        copy = folder / file.name
        with copy.open("wb") as target:
            left = end
            while left:
                block = source.read(min(left, 1 << 20))
                target.write(block)
                left -= len(block)
            target.write(_EMPTY_FOOTER)
    return copy
