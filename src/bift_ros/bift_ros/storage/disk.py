"""Files that appear whole and stay: replacing, linking and syncing them."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bift_ros.storage.errors import StorageError

_COPY_BYTES = 8 << 20


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path) -> Iterator[int]:
    """A descriptor to write a file by which, once it is whole and synced, takes `path`'s place.

    Raises `OSError`.
    """
    temporary = _beside(path)
    try:
        target = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            yield target
            os.fsync(target)
        finally:
            os.close(target)
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def link_over(source: Path, path: Path) -> bool:
    """Let `path` be a second name of a synced file, in one step; whether the disk could."""
    temporary = _beside(path)
    try:
        os.link(source, temporary)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def copy_file(source: Path, target: int) -> None:
    """Copy a file to a descriptor inside the kernel; raises `OSError`."""
    with source.open("rb") as file:
        while os.sendfile(target, file.fileno(), None, _COPY_BYTES):
            pass


def write_error(what: str, error: OSError) -> StorageError:
    """What to say where the disk takes no more."""
    hint = "; free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return StorageError(f"{what} cannot be written: {error}{hint}")


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name[:200]}.{secrets.token_hex(6)}")
