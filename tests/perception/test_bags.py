"""Bags: valid rosbag2, readable by others, and damaged ones handled. Uses the sample bag."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml
from recorded import parse_image, read_bag, replay
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer

from bift_ros.perception import messages
from bift_ros.perception.bag_info import bag_info
from bift_ros.perception.bag_writer import BagWriter
from bift_ros.perception.bags import Bag, BagError
from bift_ros.perception.classes import CLASSES, Label
from bift_ros.perception.images import CompressedImage
from bift_ros.perception.messages import COMPRESSED_IMAGE, DEFINITIONS, LIGHTS
from bift_ros.perception.pipeline import Pipeline

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "rosbags" / "sample"
LABELS = (Label("off", 1, 2, 30, 40), Label("red_left", 5, 6, 7, 8))


def test_the_definitions_are_those_of_bift_msgs() -> None:
    folder = ROOT / "src" / "bift_msgs" / "msg"
    if not folder.is_dir():
        pytest.skip("src/bift_msgs is not in this checkout")
    for name, text in DEFINITIONS.items():
        lines = (folder / f"{name.rpartition('/')[2]}.msg").read_text().splitlines()
        fields = [line.partition("#")[0].strip() for line in lines]
        assert [field for field in fields if field] == text.splitlines()


def test_the_type_hashes_are_those_that_rosidl_computes() -> None:
    """As found in the share folder of a built bift_msgs."""
    assert {name: messages.typestore().hash_rihs01(name) for name in DEFINITIONS} == {
        "bift_msgs/msg/TrafficLight": "RIHS01_"
        "7f376610113eb2f17a1c6adf139f1d5c69bf9ed67f9ae0ca5d3f61e0c03d17e8",
        "bift_msgs/msg/TrafficLightArray": "RIHS01_"
        "c787680ddcc63129aecbafc14ab6a10ed5687c7b334fa19b7309d20fc1300a16",
    }


def test_the_sample_is_small_and_whole() -> None:
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) <= 2_000_000
    info = bag_info(SAMPLE)
    assert not info.recovered
    assert info.problems == ()
    assert info.messages == {
        "/vehicle_00/camera/image_raw/compressed": (COMPRESSED_IMAGE, 40),
        "/vehicle_00/traffic_lights": (LIGHTS, 40),
    }
    assert info.duration_s == pytest.approx(3.9, abs=0.1)
    assert set(info.labels) <= set(CLASSES)
    assert len(info.labels) >= 8


def test_the_sample_becomes_a_dataset(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path)
    replay(SAMPLE, pipeline)
    pipeline.finish()
    statistics = pipeline.statistics
    assert statistics.skips == {}
    assert statistics.frames_seen == 40
    assert dict(bag_info(SAMPLE).labels) == {k: v for k, v in statistics.per_class.items() if v}


def test_metadata_is_as_jazzy_writes_it() -> None:
    data = yaml.safe_load((SAMPLE / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert data["version"] == 9
    assert data["storage_identifier"] == "mcap"
    camera, lights = (t["topic_metadata"] for t in data["topics_with_message_count"])
    assert camera["offered_qos_profiles"][0]["reliability"] == "best_effort"
    assert lights["offered_qos_profiles"][0]["reliability"] == "reliable"
    assert all(t["type_description_hash"].startswith("RIHS01_") for t in (camera, lights))


def test_a_reader_that_knows_only_the_bag_understands_it() -> None:
    """AnyReader takes every type from the bag's own schemas: they must be complete."""
    with AnyReader([SAMPLE]) as reader:
        latencies = []
        names: Counter[str] = Counter()
        for link, timestamp, data in reader.messages():
            message = reader.deserialize(data, link.msgtype)
            stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
            latencies.append(timestamp - stamp)
            assert message.header.frame_id == "vehicle_00/camera_optical_frame"
            if link.msgtype == LIGHTS:
                names.update(light.signal_class for light in message.lights)
        schema = next(c for c in reader.connections if c.msgtype == LIGHTS).msgdef.data
    assert dict(names) == bag_info(SAMPLE).labels
    assert 0 < min(latencies) < max(latencies) < 100_000_000
    for dependency in ("bift_msgs/TrafficLight", "sensor_msgs/RegionOfInterest", "std_msgs/Header"):
        assert f"MSG: {dependency}\n" in schema


def test_messages_round_trip() -> None:
    stamp = 1_700_000_000_123_456_789
    assert messages.parse_lights(messages.lights_cdr(stamp, "f", LABELS)) == (stamp, LABELS)
    got, image = parse_image(messages.image_cdr(stamp, "f", b"jpeg"))
    assert got == stamp
    assert isinstance(image, CompressedImage)
    assert bytes(image.data) == b"jpeg"


def test_damaged_messages_are_errors_or_other_messages() -> None:
    whole = bytearray(messages.lights_cdr(7, "frame", LABELS))
    for length in range(len(whole)):
        with pytest.raises(messages.MessageError):
            messages.parse_lights(bytes(whole[:length]))
    for at in range(len(whole)):
        changed = whole.copy()
        changed[at] ^= 0xFF
        with contextlib.suppress(messages.MessageError):
            messages.parse_lights(bytes(changed))


def make_bag(path: Path, frames: int = 60) -> Path:
    """A bag of several MCAP chunks."""
    with BagWriter(path, 3) as bag:
        for n in range(frames):
            bag.write_frame(n * 10**8 + 5, n * 10**8, bytes([n]) * 100_000)
            bag.write_labels(n * 10**8 + 9, n * 10**8, LABELS)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bag(tmp_path_factory.mktemp("bags") / "whole")


def test_order_and_content(whole: Path) -> None:
    got = list(read_bag(whole))
    assert len(got) == 120
    assert [m.timestamp_ns for m in got] == sorted(m.timestamp_ns for m in got)
    assert {m.topic for m in got} == {
        "/vehicle_03/camera/image_raw/compressed",
        "/vehicle_03/traffic_lights",
    }


@pytest.mark.parametrize("share", [0.99999, 0.9, 0.5, 0.3])
def test_a_half_written_bag_gives_what_is_readable(
    whole: Path, tmp_path: Path, share: float, caplog: pytest.LogCaptureFixture
) -> None:
    copy = tmp_path / "half"
    shutil.copytree(whole, copy)
    (copy / "metadata.yaml").unlink()
    file = next(copy.glob("*.mcap"))
    size = int(file.stat().st_size * share)
    with file.open("r+b") as handle:
        handle.truncate(size)
    original = list(read_bag(whole))
    got = list(read_bag(copy))
    assert got == original[: len(got)]
    # A chunk is 1 MiB of the 6: at most that is lost, and the one being written.
    assert len(got) >= 120 * share - 25
    assert "half-written (it has no metadata.yaml)" in caplog.text
    assert bag_info(copy).recovered


def test_a_truncated_file_beside_its_metadata_is_recovered_too(whole: Path, tmp_path: Path) -> None:
    copy = tmp_path / "half"
    shutil.copytree(whole, copy)
    file = next(copy.glob("*.mcap"))
    with file.open("r+b") as handle:
        handle.truncate(file.stat().st_size // 2)
    with Bag(copy) as bag:
        assert bag.recovered
        assert len(list(bag.messages())) > 30


@pytest.mark.parametrize("keep", [0, 5, 8, 30])
def test_a_bag_without_one_whole_record_is_an_error(whole: Path, tmp_path: Path, keep: int) -> None:
    copy = tmp_path / "bad"
    copy.mkdir()
    data = next(whole.glob("*.mcap")).read_bytes()[:keep]
    (copy / "bad.mcap").write_bytes(data)
    with pytest.raises(BagError, match=r"not an MCAP file|no complete record"):
        list(read_bag(copy))


def test_no_bag_at_all(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="no bag at"):
        list(read_bag(tmp_path / "nothing"))
    with pytest.raises(BagError, match=r"no \.mcap file in it"):
        list(read_bag(tmp_path))
    (tmp_path / "metadata.yaml").write_text("rosbag2_bagfile_information: [")
    with pytest.raises(BagError, match="not a readable bag"):
        list(read_bag(tmp_path))


def test_a_flipped_bit_is_an_error_not_a_crash(whole: Path, tmp_path: Path) -> None:
    data = next(whole.glob("*.mcap")).read_bytes()
    for at in range(60, len(data), len(data) // 12):
        copy = tmp_path / str(at)
        copy.mkdir()
        changed = bytearray(data)
        changed[at] ^= 0xFF
        (copy / "x.mcap").write_bytes(changed)
        with contextlib.suppress(BagError):  # where the bit is in a message's bytes, it is read
            list(read_bag(copy))


def test_missing_topics_are_named(tmp_path: Path) -> None:
    store = messages.typestore()
    with Writer(tmp_path / "odd", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        link = writer.add_connection("/imu", "std_msgs/msg/String", typestore=store)
        text = store.types["std_msgs/msg/String"]("hello")
        writer.write(link, 1, store.serialize_cdr(text, "std_msgs/msg/String"))
    with Bag(tmp_path / "odd") as bag, pytest.raises(BagError, match=r"no camera topic.*only /imu"):
        bag.vehicle_topics()
    assert "no camera topic" in bag_info(tmp_path / "odd").problems[0]


def test_unknown_classes_are_reported(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag", 0) as bag:
        bag.write_frame(5, 0, b"jpeg")
        bag.write_labels(9, 0, (Label("purple", 1, 2, 3, 4), LABELS[0]))
    info = bag_info(tmp_path / "bag")
    assert info.unknown_classes == {"purple": 1}
    assert info.labels == {"off": 1}
    assert "purple" in info.problems[0]


def test_a_bag_is_never_overwritten(whole: Path) -> None:
    with pytest.raises(BagError, match="exists already"):
        BagWriter(whole, 0)
