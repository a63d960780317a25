"""Files and folders for their owner alone: a vehicle's pictures, keys, chain and logs are.

In a folder that all users share, such as /tmp, whatever has the wanted name may be somebody else's,
or a link to where nothing should be written: so it is opened as it is, and judged.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OTHERS = 0o077


class SharedFolderError(Exception):
    """A place in a shared folder is not this user's alone; says whose it is and what to do."""


def keep_files_private() -> int:
    """Make what this process writes from now on its owner's alone; the mask until now."""
    return os.umask(_OTHERS)


@contextmanager
def private_files() -> Iterator[None]:
    """Make what this process writes meanwhile its owner's alone."""
    before = keep_files_private()
    try:
        yield
    finally:
        os.umask(before)


def make_private_folder(folder: Path) -> None:
    """Make a folder for its owner alone, and close one to others that was open. Raises OSError.

    One of another user, such as the root of a container's volume, stays as it is.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid == os.geteuid() and status.st_mode & _OTHERS:
        folder.chmod(stat.S_IMODE(status.st_mode) & ~_OTHERS)


@contextmanager
def own_temporary_folder(name: str) -> Iterator[int]:
    """A descriptor of this user's own folder `name` among the temporary ones, made if missing.

    Raises SharedFolderError where somebody else has taken the name, and OSError.
    """
    path = Path(tempfile.gettempdir()) / name
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (NotADirectoryError, FileExistsError) as error:
        raise _not_ours(path, "no folder") from error
    except OSError as error:
        raise _not_ours(path, error.strerror or "closed") from error
    try:
        status = os.fstat(folder)
        if status.st_uid != os.geteuid():
            raise _not_ours(path, f"user {status.st_uid}'s")
        if status.st_mode & _OTHERS:
            raise _not_ours(path, f"open to others (mode {stat.S_IMODE(status.st_mode):o})")
        yield folder
    finally:
        os.close(folder)


def open_own_file(folder: int, name: str) -> int:
    """Open a file of a folder to write, made for its owner alone if missing; links aren't followed.

    Raises OSError.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(name, flags, 0o600, dir_fd=folder)


def _not_ours(path: Path, what: str) -> SharedFolderError:
    return SharedFolderError(
        f"{path} is to be a folder of this user alone, and is {what}: remove it, or set TMPDIR to "
        "a folder of your own"
    )
