"""The part of a report that needs no run: refusals in logs."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="the room below needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.reports.refusals import read_refusals
from bift_ros.reports.run import Refusal


def test_refusals_are_summed_up_by_sender_and_kind(tmp_path: Path) -> None:
    begin = "[WARN] [1795654025.093249788]"
    logs = {
        "bus": f"""[INFO] [1.2] [bus.peer]: tip 7 00009
{begin} [bus.peer]: refused block from van: block 4 0000: it leaves out 1 of 1 commits
{begin} [bus.peer]: refused block from van: block 5 0000: too early
{begin} [bus.peer]: something else was refused
""",
        "car": f"""{begin} [car.peer]: refused block from van: block 4 0000: late
{begin} [car.peer]: refused transaction: malformed
""",
    }
    for name, text in logs.items():
        (tmp_path / name).write_text(text)
    assert read_refusals({name: tmp_path / name for name in logs}) == (
        Refusal("van", "block", 3, ("bus", "car"), "block 4 0000: late"),
        Refusal("", "transaction", 1, ("car",), "malformed"),
    )
