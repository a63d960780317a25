"""Which process a number meant: Linux gives the number of one that has ended to another."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class ProcessIdentity:
    """A process by number and start; no two are equal, not even after a restart of the host."""

    pid: int
    started: int
    """When, in clock ticks since the host came up."""
    boot: str
    """What Linux calls this time of the host's being up."""

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """That of a process that runs, or of a child that nobody has waited for since it ended.

        Raises ProcessLookupError where there is none.
        """
        _, started = _look(pid)
        return cls(pid, started, _boot())

    @property
    def alive(self) -> bool:
        """Whether this very process runs; one that has ended and waits for its parent doesn't."""
        with suppress(ProcessLookupError):
            state, started = _look(self.pid)
            return state not in "ZX" and (started, _boot()) == (self.started, self.boot)
        return False

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing where the process has ended."""
        with self._descriptor() as descriptor:
            if descriptor is not None:
                signal.pidfd_send_signal(descriptor, number)

    def wait(self, timeout: float) -> bool:
        """Wait until it has ended; False after `timeout` seconds."""
        with self._descriptor() as descriptor:
            if descriptor is None:
                return True
            readable, _, _ = select.select([descriptor], [], [], timeout)
            return bool(readable)

    @contextmanager
    def _descriptor(self) -> Iterator[int | None]:
        """A descriptor that stands for this process and never for another; None: it has ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            yield None
            return
        try:
            yield descriptor if self.alive else None
        finally:
            os.close(descriptor)


def _boot() -> str:
    return _BOOT.read_text().strip()


def _look(pid: int) -> tuple[str, int]:
    """State letter and start of a process, fields 3 and 22 of proc_pid_stat(5)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except FileNotFoundError:
        raise ProcessLookupError(f"there is no process {pid}") from None
    fields = text.rpartition(")")[2].split()  # a program's name may hold spaces and brackets
    return fields[0], int(fields[19])
