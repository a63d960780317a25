"""Write and read vehicles' bags: rosbag2 with MCAP storage, as `ros2 bag record` writes them.

A vehicle's bag holds its camera and its labels:

    /vehicle_NN/camera/image_raw/compressed   sensor_msgs/msg/CompressedImage
    /vehicle_NN/traffic_lights                bift_msgs/msg/TrafficLightArray

with metadata.yaml version 9 (Jazzy's), offered QoS profiles, type hashes, and in the MCAP schemas
each type's definition with all it depends on, so that any reader understands the custom messages.
"""

from __future__ import annotations

import logging
import struct
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from bift_ros.identity.vehicle_names import vehicle_name
from bift_ros.perception.classes import CLASS_INDEX, Label
from bift_ros.perception.messages import (
    COMPRESSED_IMAGE,
    IMAGE,
    LIGHTS,
    MessageError,
    image_cdr,
    lights_cdr,
    parse_lights,
    typestore,
)

log = logging.getLogger(__name__)

# rmw's infinite duration: what an unset deadline, lifespan or lease is recorded as.
_INFINITE = QosTime(9223372036, 854775807)
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


@dataclass(frozen=True)
class BagInfo:
    """What `bift bag info` prints of a bag."""

    path: str
    recovered: bool  # half-written: only what was readable is counted
    duration_s: float
    start_ns: int
    messages: dict[str, tuple[str, int]]  # topic → type, count
    labels: dict[str, int]  # class → count
    unknown_classes: dict[str, int]
    problems: tuple[str, ...]  # why a vehicle could not learn from it


def offered_qos(depth: int, *, reliable: bool = True, latched: bool = False) -> Qos:
    """What a publisher that keeps the last `depth` messages offered; players offer it again."""
    return Qos(
        QosHistory.KEEP_LAST,
        depth,
        QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        _INFINITE,
        _INFINITE,
        QosLiveliness.AUTOMATIC,
        _INFINITE,
        False,
    )


def start_bag(path: Path) -> Writer:
    """Start the bag directory `path`; raises BagError where something is there already."""
    if path.exists():
        raise BagError(f"{path} exists already: remove it, or name another folder")
    writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
    writer.open()
    return writer


def camera_topic(vehicle: int) -> str:
    """A vehicle's compressed camera topic."""
    return f"/{vehicle_name(vehicle)}/camera/image_raw/compressed"


def lights_topic(vehicle: int) -> str:
    """A vehicle's label topic."""
    return f"/{vehicle_name(vehicle)}/traffic_lights"


class BagWriter:
    """Writes one vehicle's bag; a context manager. Messages must come in order of reception."""

    def __init__(self, path: Path, vehicle: int) -> None:
        """Start the bag directory `path`; raises BagError where it exists already."""
        self._writer = start_bag(path)
        self._frame_id = f"{vehicle_name(vehicle)}/camera_optical_frame"
        self._camera = self._writer.add_connection(
            camera_topic(vehicle),
            COMPRESSED_IMAGE,
            typestore=typestore(),
            offered_qos_profiles=[offered_qos(5, reliable=False)],  # sensor data
        )
        self._lights = self._writer.add_connection(
            lights_topic(vehicle),
            LIGHTS,
            typestore=typestore(),
            offered_qos_profiles=[offered_qos(10)],
        )

    def write_frame(self, received_ns: int, stamp_ns: int, jpeg: bytes) -> None:
        """A camera frame taken at `stamp_ns`."""
        data = image_cdr(stamp_ns, self._frame_id, jpeg)
        self._writer.write(self._camera, received_ns, data)

    def write_labels(self, received_ns: int, stamp_ns: int, labels: tuple[Label, ...]) -> None:
        """The lights in the frame taken at `stamp_ns`."""
        data = lights_cdr(stamp_ns, self._frame_id, labels)
        self._writer.write(self._lights, received_ns, data)

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._writer.close()
        else:
            self._writer.abort()


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


def bag_info(path: Path) -> BagInfo:
    """Count a bag's messages and labels; raises BagError where there is nothing to read."""
    with Bag(path) as bag:
        problems = []
        try:
            bag.vehicle_topics()
        except BagError as error:
            problems.append(str(error))
        known: Counter[str] = Counter()
        unknown: Counter[str] = Counter()
        damaged: list[str] = []
        for message in bag.messages():
            if message.type != LIGHTS:
                continue
            try:
                labels = parse_lights(message.data)[1]
            except MessageError as error:
                damaged.append(f"{message.topic}: {error}")
                continue
            for label in labels:
                (known if label.signal_class in CLASS_INDEX else unknown)[label.signal_class] += 1
        if unknown:
            names = ", ".join(sorted(unknown))
            problems.append(f"labels of unknown classes, which vehicles skip: {names}")
        if damaged:
            problems.append(f"{len(damaged)} unreadable messages, the first in {damaged[0]}")
        start, end = bag.span_ns
        return BagInfo(
            str(path), bag.recovered, (end - start) / 1e9, start, bag.topics,
            {name: known[name] for name in CLASS_INDEX if known[name]}, dict(unknown),
            tuple(problems),
        )  # fmt: skip
