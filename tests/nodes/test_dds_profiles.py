"""Large messages are dropped by Fast DDS itself, before they take memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.nodes.vehicle.dds_profiles import bounded_messages

pytestmark = pytest.mark.ros
PROGRAM = Path(__file__).with_name("large_messages.py")
SIZE, COUNT = 20_000_000, 5


def heard_by(role: str) -> tuple[int, int]:
    """How many messages a victim is handed, and the MiB that they took."""
    domain = str(os.getpid() % 100 + 101)
    environment = os.environ | {
        "ROS_DOMAIN_ID": domain,
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }
    pipe = subprocess.PIPE
    stranger = subprocess.Popen(
        [sys.executable, PROGRAM, "publish", str(SIZE), str(COUNT)], env=environment, stdin=pipe
    )
    with stranger:
        try:
            victim = subprocess.run(
                [sys.executable, PROGRAM, role],
                env=environment,
                stdout=pipe,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=120,
                check=True,
            )
            stranger.communicate(timeout=60)
        finally:
            stranger.kill()
    count, megabytes = map(int, victim.stdout.split())  # and not a line of log
    return count, megabytes


def test_a_vehicle_is_handed_no_large_message_and_keeps_none() -> None:
    count, megabytes = heard_by("listen")
    assert count == 1
    assert megabytes < 10


def test_without_the_profiles_it_would_keep_all_of_them() -> None:
    count, megabytes = heard_by("listen_unbounded")
    assert count == 1 + COUNT
    assert megabytes > 20


def test_the_file_is_there_only_while_nodes_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTRTPS_DEFAULT_PROFILES_FILE", raising=False)
    with bounded_messages():
        file = Path(os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"])
        assert "/bift/blocks" in file.read_text()
    assert not file.exists()
    assert "RMW_FASTRTPS_USE_QOS_FROM_XML" not in os.environ


def test_a_file_of_ones_own_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "own.xml")
    with bounded_messages():
        assert os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] == "own.xml"
        assert "RMW_FASTRTPS_USE_QOS_FROM_XML" not in os.environ
    assert os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] == "own.xml"
