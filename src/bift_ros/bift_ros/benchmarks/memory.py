"""A process's resident memory, by proc(5)."""

from __future__ import annotations

from pathlib import Path


def reset_peak(pid: int | str = "self") -> int:
    """Count the most resident memory from now on; gives what there is now, in bytes."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _resident(pid, "VmRSS")


def resident() -> int:
    """This process's resident memory now, in bytes."""
    return _resident("self", "VmRSS")


def peak(pid: int | str = "self") -> int:
    """The most resident memory so far, in bytes. (`ru_maxrss` would count what ran before exec.)"""
    return _resident(pid, "VmHWM")


def _resident(pid: int | str, field: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split(f"{field}:")[1].split()[0]) * 1024
