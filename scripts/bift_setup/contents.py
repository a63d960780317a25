"""Keys by content: whatever defines a thing names it, so nothing stale is ever reused."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bift_setup.report import say

_KEY_LENGTH = 16


def key_of(*, texts: Iterable[str] = (), paths: Iterable[Path] = ()) -> str:
    """Hash texts, files and the files of folders, names included; a missing path counts as such."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"text {len(text)} {text}\n".encode())
    for path in paths:
        digest.update(f"path {path.name}\n".encode())
        for file in sorted(_files_of(path)):
            content = file.read_bytes()
            digest.update(f"file {file.relative_to(path.parent)} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()[:_KEY_LENGTH]


def _files_of(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        for child in path.rglob("*"):
            if child.is_file() and not {"__pycache__"} & set(child.parts):
                yield child


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; a second set-up says so and waits. Death frees it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another set-up is at work; waiting for it ({path})")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
