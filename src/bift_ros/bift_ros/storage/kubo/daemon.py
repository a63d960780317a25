"""Kubo daemons as processes: made, started, stopped and looked at, one for each vehicle."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from bift_ros.storage.errors import StorageError
from bift_ros.storage.gateway_urls import gateway_url, is_wildcard
from bift_ros.storage.kubo.api import START_TIMEOUT, KuboApi, Unreachable
from bift_ros.storage.kubo.config import (
    KuboSettings,
    api_address,
    gateway_port,
    listening_host,
    peer_addresses,
    peer_id,
    swarm_address,
    write_settings,
)

STOP_TIMEOUT = 20.0
"""Seconds that a daemon may take to close its repository before it is killed."""

_PROCESS_FILE = "bift-daemon.json"
_POLL = 0.05
_LOG_TAIL = 12
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


@dataclass(frozen=True)
class KuboStatus:
    """What a person wants to know about one daemon."""

    repository: str
    running: bool
    peer_id: str
    swarm_address: str
    api: str
    gateway_port: int
    pid: int | None = None
    version: str | None = None
    peers: tuple[str, ...] = ()
    repository_bytes: int | None = None
    storage_max_bytes: int | None = None


class KuboDaemon:
    """The daemon whose repository is one folder, running or not. Raises `StorageError`."""

    def __init__(self, repository: Path) -> None:
        self.repository = repository.absolute()
        self.log = self.repository / "daemon.log"
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def initialised(self) -> bool:
        """Whether there is a repository."""
        return (self.repository / "config").is_file()

    @property
    def api(self) -> KuboApi:
        """Its API, whether it answers or not."""
        return KuboApi(api_address(self.repository))

    def init(self, settings: KuboSettings) -> None:
        """Make the repository, or bring the settings of one that stands still in line."""
        if self.pid is not None:
            raise StorageError(
                f"the Kubo daemon of {self.repository} runs and reads its settings only when it "
                f"starts: `bift storage kubo stop --repo {self.repository}` first"
            )
        if not self.initialised:
            self.repository.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._run("init", "--empty-repo", "--profile=flatfs")
        write_settings(self.repository, settings)

    def url(self, advertised_host: str) -> str:
        """What other vehicles find its files at, if they reach it at `advertised_host`."""
        return gateway_url(advertised_host, gateway_port(self.repository))

    def start(self, *, attached: bool = False, timeout: float = START_TIMEOUT) -> None:
        """Start the daemon unless it runs, and wait until its API answers.

        An attached one ends with this process; any other goes on until it is stopped.
        """
        peer_id(self.repository)  # says what to do where there is no repository
        if self.pid is None:
            self._spawn(attached)
        api, deadline = self.api, time.monotonic() + timeout
        while True:
            if self.pid is None:
                raise self._start_error("ended as it started")
            # Written once it listens: before, somebody else may be at that port.
            if (self.repository / "api").exists():
                with suppress(Unreachable):
                    api.version()
                    return
            if time.monotonic() > deadline:
                self.stop()
                raise self._start_error(f"did not answer within {timeout:g} s and was stopped")
            time.sleep(_POLL)

    def connect_peers(self) -> dict[str, str]:
        """Connect to every peer of the settings at once; why those failed that did.

        The daemon itself tries them only some seconds after its start, and then ever again.
        """
        api, failed = self.api, {}
        for address in peer_addresses(self.repository):
            try:
                api.connect(address)
            except StorageError as error:
                failed[address] = str(error)
        return failed

    def stop(self, timeout: float = STOP_TIMEOUT) -> bool:
        """Have the daemon close its repository and end; False where none ran."""
        process = self._process()
        if process is None:
            return False
        with suppress(psutil.NoSuchProcess):
            process.terminate()
            try:
                self._wait(process, timeout)
            except psutil.TimeoutExpired:
                process.kill()
                self._wait(process, timeout)
        (self.repository / _PROCESS_FILE).unlink(missing_ok=True)
        return True

    def wait(self) -> int | None:
        """Wait for the daemon's end; its exit status, None where that can't be told."""
        child = self._child
        if child is not None:
            return child.wait()
        process = self._process()
        if process is not None:
            with suppress(psutil.NoSuchProcess):
                process.wait()
        return None

    def status(self) -> KuboStatus:
        """What there is to know; a daemon that runs but does not answer raises `StorageError`."""
        host = listening_host(self.repository)
        stopped = KuboStatus(
            repository=str(self.repository),
            running=False,
            peer_id=peer_id(self.repository),
            swarm_address=swarm_address(self.repository, host),
            api=api_address(self.repository),
            gateway_port=gateway_port(self.repository),
        )
        pid = self.pid
        if pid is None:
            return stopped
        api = self.api
        size = api.repository()
        # On every interface, only the daemon knows which addresses those are.
        reached = api.addresses() if is_wildcard(host) else []
        return replace(
            stopped,
            running=True,
            pid=pid,
            swarm_address=reached[0] if reached else stopped.swarm_address,
            version=api.version(),
            peers=tuple(api.peers()),
            repository_bytes=size["RepoSize"],
            storage_max_bytes=size["StorageMax"],
        )

    @property
    def pid(self) -> int | None:
        """The process ID of the running daemon."""
        process = self._process()
        return None if process is None else process.pid

    def _process(self) -> psutil.Process | None:
        """The daemon that was started here, told from a process that got its number later."""
        if self._child is not None and self._child.poll() is not None:
            self._child = None  # reaped, or it would count as running
        try:
            noted = json.loads((self.repository / _PROCESS_FILE).read_text())
            process = psutil.Process(noted["pid"])
            same = process.create_time() == noted["created"]
            alive = same and process.status() != psutil.STATUS_ZOMBIE
        except (OSError, ValueError, KeyError, TypeError, psutil.Error):
            return None
        return process if alive else None

    def _wait(self, process: psutil.Process, timeout: float) -> None:
        if self._child is not None and self._child.pid == process.pid:
            try:
                self._child.wait(timeout)
            except subprocess.TimeoutExpired as error:
                raise psutil.TimeoutExpired(timeout, process.pid) from error
            self._child = None
        else:
            process.wait(timeout)

    def _spawn(self, attached: bool) -> None:
        command = [find_ipfs(), "daemon", "--enable-gc", "--migrate=false"]
        end_with_parent: Callable[[], None] | None = _end_with_parent if attached else None
        (self.repository / "api").unlink(missing_ok=True)  # a killed one leaves it
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                cwd=self.repository,
                start_new_session=True,  # a Ctrl-C is for the vehicle, which then stops it
                preexec_fn=end_with_parent,
            )
        pid = self._child.pid
        noted = {"pid": pid, "created": psutil.Process(pid).create_time()}
        (self.repository / _PROCESS_FILE).write_text(json.dumps(noted))

    def _run(self, *arguments: str) -> None:
        finished = subprocess.run(
            [find_ipfs(), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self._environment(),
            check=False,
        )
        if finished.returncode != 0:
            raise StorageError(f"ipfs {arguments[0]} failed: {finished.stderr.strip()}")

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "IPFS_PATH": str(self.repository),
            "IPFS_TELEMETRY": "off",
            "LIBP2P_FORCE_PNET": "1",  # rather no daemon than one outside the private swarm
            "LIBP2P_TCP_MUX": "false",
        }

    def _start_error(self, what: str) -> StorageError:
        """Says how a start failed, with the end of the log."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError as error:
            lines = [f"(it cannot be read: {error})"]
        tail = "\n".join(lines[-_LOG_TAIL:])
        return StorageError(
            f"the Kubo daemon of {self.repository} {what}; its log {self.log} ends:\n{tail}"
        )


def find_ipfs() -> str:
    """The Kubo program. Raises `StorageError`."""
    found = shutil.which("ipfs")
    if found is None:
        raise StorageError(
            "there is no `ipfs` on the PATH: install Kubo, or `make kubo` builds it with Go "
            "(scripts/enter and ./bift then find it)"
        )
    return found


def _end_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
