"""Fleets of real processes: bags for them, a ROS domain of their own, and who is left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from docker.client import DockerClient
from docker.errors import ImageNotFound

sys.path.insert(0, str(Path(__file__).parent))  # for this room's `engine_fleet`

from engine_fleet import BASE, bift

from bift_ros.fleet.runtimes.docker.engine import connect
from bift_ros.fleet.runtimes.domain import ros_environment
from bift_ros.fleet.runtimes.runtime import FleetError
from bift_ros.synthesis.synth import synthesize

DEADLINE = 240.0
"""Seconds that a whole fleet may take on a busy machine."""


@dataclass
class Started:
    """A process that runs beside the test."""

    process: subprocess.Popen[str]

    def stop(self, how: signal.Signals = signal.SIGINT) -> str:
        """End it, as Ctrl-C does, and well; what it printed."""
        self.process.send_signal(how)
        printed, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, printed
        return printed


@dataclass(frozen=True)
class Surroundings:
    """What the processes of one module's tests are told, and know each other by."""

    environment: dict[str, str]
    token: str

    def bift(
        self, *arguments: object, timeout: float = DEADLINE
    ) -> subprocess.CompletedProcess[str]:
        """Run a console command to its end."""
        return subprocess.run(
            self.command(*arguments),
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    @contextmanager
    def start(self, *command: str) -> Iterator[Started]:
        """Have a command run, such as that of a vehicle; end it if it still does."""
        started = Started(
            subprocess.Popen(
                command,
                env=os.environ | self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                # Where the tests are a shell's background job, SIGINT is ignored.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        )
        try:
            yield started
        finally:
            started.process.kill()
            started.process.communicate()

    def interrupted(
        self, *arguments: object, out: Path, logs: Sequence[Path], ready: bytes
    ) -> None:
        """Run a command until all its vehicles' logs say `ready`, then press Ctrl-C.

        It must end at once, say so, and leave no process.
        """
        with (out / "printed").open("wb") as printed:
            running = subprocess.Popen(
                self.command(*arguments),
                env=os.environ | self.environment,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # Where the tests are a shell's background job, SIGINT is ignored.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        try:
            deadline = time.monotonic() + 120
            while not all(log.exists() and ready in log.read_bytes() for log in logs):
                assert running.poll() is None, (out / "printed").read_text()
                assert time.monotonic() < deadline, "the vehicles did not start"
                time.sleep(0.1)
            os.killpg(running.pid, signal.SIGINT)  # as a terminal does
            code = running.wait(120)
        finally:
            running.kill()
            running.wait()
        said = (out / "printed").read_text()
        assert code == 130, said
        assert "bift: interrupted" in said
        assert "Traceback" not in said
        for log in logs:
            assert "Traceback" not in log.read_text()
        assert self.left_over() == []

    @staticmethod
    def command(*arguments: object) -> list[str]:
        return [sys.executable, "-m", "bift_ros.console", *map(str, arguments)]

    def left_over(self) -> list[str]:
        """The command lines of processes that were started in these surroundings and live on.

        multiprocessing's resource tracker sees with a delay that all whom it served have ended.
        """
        found = {}
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and (
                    process.environ().get("BIFT_TEST_TOKEN") == self.token
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found[process] = " ".join(process.cmdline())
            except psutil.Error:
                continue
        _, alive = psutil.wait_procs(found, timeout=5)
        return [found[process] for process in alive]


@pytest.fixture(scope="module")
def surroundings() -> Iterator[Surroundings]:
    token = uuid.uuid4().hex
    with ros_environment() as (ros, _), pytest.MonkeyPatch.context() as patch:
        environment = {**ros, "BIFT_TEST_TOKEN": token}
        for name, value in environment.items():
            patch.setenv(name, value)
        yield Surroundings(environment, token)


@pytest.fixture(scope="session")
def bags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tiny bags and a tiny test set."""
    folder = tmp_path_factory.mktemp("fleet") / "bags"
    synthesize(3, 40, folder, seed=1, test_crops=60)
    return folder


@pytest.fixture(scope="session")
def engine() -> DockerClient:
    try:
        return connect()
    except FleetError as error:
        pytest.skip(f"{error} (scripts/docker-engine)")


@pytest.fixture(scope="session")
def image(engine: DockerClient) -> None:
    """The image of this very source, of which an engine keeps most layers."""
    try:
        engine.images.get(BASE)
    except ImageNotFound:
        pytest.skip(f"the engine has no image {BASE}: scripts/docker-base makes it")
    bift("build", "--base", BASE)
