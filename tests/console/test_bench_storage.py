"""./bift bench storage among vehicles: options, what is printed, and a small real run."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from bift_ros.benchmarks import sharing, sharing_sftp
from bift_ros.benchmarks.sharing import Row
from bift_ros.benchmarks.sharing_backends import BACKENDS
from bift_ros.benchmarks.sharing_plot import plot
from bift_ros.console import bench_storage
from bift_ros.console.arguments import Parser
from bift_ros.console.errors import CommandError
from bift_ros.fleet.runtimes.network import NetworkError, fleet_network

COMMAND = [sys.executable, "-m", "bift_ros.console", "bench", "storage"]


def parse(*arguments: str) -> argparse.Namespace:
    parser = Parser()
    bench_storage.add_arguments(parser)
    return parser.parse_args(arguments)


def test_the_defaults_are_the_papers() -> None:
    assert parse().clients == (1, 5, 10, 20, 30)
    assert (parse().size or bench_storage.SIZE) == 10_000_000


@pytest.mark.parametrize(
    ("text", "size"), [("10MB", 10_000_000), ("512KB", 512_000), ("3", 3_000_000), ("1mb", 10**6)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse("--size", text).size == size


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--size", "0MB"),
        ("--size", "1GB"),
        ("--size", "-1"),
        ("--clients", "1,0"),
        ("--clients", "one"),
        ("--clients", "1000"),
        ("--clients", ""),
    ],
)
def test_nonsense_is_refused_by_name(
    option: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(f"{option}={text}")
    assert repr(text) in capsys.readouterr().err


def test_plots_need_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="make it first"):
        bench_storage.main(parse("--plot", "--out", str(tmp_path / "none")))


def test_a_figure_of_each_direction_is_drawn(tmp_path: Path) -> None:
    rows = [
        Row(backend, direction, clients, 3.0 / clients, None, None)
        for backend in BACKENDS
        for direction in sharing.DIRECTIONS
        for clients in (1, 5)
    ]
    assert [path.name for path in plot(rows, tmp_path)] == [
        "storage-download.png",
        "storage-upload.png",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())


def test_without_the_right_to_namespaces_the_remedy_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise NetworkError("run it as root")

    monkeypatch.setattr(sharing, "fleet_network", refuse)
    with pytest.raises(CommandError, match="as root"):
        bench_storage.main(parse("--clients", "1", "--size", "1KB", "--json"))


def test_what_is_not_installed_is_left_out_and_its_remedy_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sharing_sftp, "_find", lambda name: None)
    monkeypatch.setenv("PATH", "/nowhere")
    said: list[str] = []
    assert sharing.available(lambda text, lasting=False: said.append(text)) == ["embedded"]
    assert "openssh-server" in said[0]
    assert "make kubo" in said[1]


@pytest.fixture
def network() -> None:
    """Skips where the real thing can't run."""
    if missing := sharing_sftp.missing_programs():
        pytest.skip(f"there is no {', '.join(missing)}: {sharing_sftp.REMEDY}")
    try:
        with fleet_network(["a"]):
            pass
    except NetworkError as error:
        pytest.skip(str(error))


def left_over(folder: Path) -> list[str]:
    """Command lines of processes that work below a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(folder) in " ".join(process.cmdline()) or str(folder) in process.cwd():
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


@pytest.mark.slow
@pytest.mark.kubo
@pytest.mark.usefixtures("network", "ipfs")
def test_two_vehicles_share_through_every_backend(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--clients", "1,2", "--size", "300KB", "--json", "--plot"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {(row["backend"], row["direction"], row["clients"]) for row in rows} == {
        (backend, direction, clients)
        for backend in ("sftp", "embedded", "kubo")
        for direction in ("download", "upload")
        for clients in (1, 2)
    }
    assert len(rows) == 12
    speeds = {(r["backend"], r["direction"], r["clients"]): r["mb_per_s"] for r in rows}
    for row in rows:
        assert row["mb_per_s"] > 0
        beside = speeds["sftp", row["direction"], row["clients"]]
        assert row["over_sftp"] == pytest.approx(row["mb_per_s"] / beside, rel=0.05)
        if row["mbit_per_s"] is None:
            assert "can't be shaped" in done.stderr
    if rows[0]["mbit_per_s"]:
        # The burst that passes at once apart, nothing is faster than the links.
        assert max(speeds["sftp", d, n] for d in ("download", "upload") for n in (1, 2)) < 10
    assert sorted(path.name for path in tmp_path.glob("*")) == [
        "storage-download.png",
        "storage-upload.png",
    ]
    assert left_over(tmp_path) == []


@pytest.mark.slow
@pytest.mark.usefixtures("network")
def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    bench = subprocess.Popen(
        [*COMMAND, "--clients", "2", "--size", "30MB", "--json"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs, maybe these tests, ignore the interrupt and pass that on.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
    )
    assert bench.stderr is not None
    try:
        assert any("download by 2" in line for line in bench.stderr)
        assert left_over(tmp_path) != []
        bench.send_signal(signal.SIGINT)
        assert bench.wait(60) == 130
    finally:
        bench.kill()
        bench.wait()
    assert left_over(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
