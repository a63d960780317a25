"""Vehicles' log files, read to their end and while they grow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bift_ros.fleet.runtimes.log_files import read_logs


def test_logs_are_read_one_after_the_other(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("a", "b", "c")}
    files["a"].write_text("one\ntwo\n")
    files["b"].write_bytes(b"three\n\nfo\xffur")
    assert list(read_logs(files)) == [
        ("a", "one"),
        ("a", "two"),
        ("b", "three"),
        ("b", ""),
        ("b", "fo\N{REPLACEMENT CHARACTER}ur"),
    ]


def test_what_comes_later_is_read_when_its_line_is_whole(tmp_path: Path) -> None:
    files = {"a": tmp_path / "a", "b": tmp_path / "b"}

    def writes() -> Iterator[bool]:
        files["a"].write_text("fi")
        yield True
        with files["a"].open("a") as log:
            log.write("rst\nlast")
        files["b"].write_text("late\n")
        yield True
        yield False

    steps = writes()
    lines = list(read_logs(files, lambda: next(steps)))
    assert lines == [("a", "first"), ("b", "late"), ("a", "last")]
