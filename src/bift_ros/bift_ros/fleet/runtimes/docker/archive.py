"""What a container is given, as the archive that the engine's API unpacks in it."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from bift_ros.fleet.runtimes.docker.containers import USER, Input

_IN_MEMORY = 16 << 20
"""Bytes; a larger archive, with a long bag, goes through a temporary file."""


@contextmanager
def archive(inputs: Sequence[Input]) -> Iterator[IO[bytes]]:
    """A tar file, to be unpacked at /, whose files the container's user alone may read.

    Copied and not mounted: the container then holds no path of the host, whose own files keep
    their owner and mode.
    """
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for given in inputs:
                tar.add(given.source, given.target.lstrip("/"), filter=_owned)
        file.seek(0)
        yield file


def _owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = USER
    member.uname = member.gname = ""
    member.mode = 0o500 if member.isdir() else 0o400
    return member
