"""What of a folder other users of the host may read or write."""

from __future__ import annotations

from pathlib import Path


def open_to_others(folder: Path) -> list[str]:
    """The files and folders below a folder, and itself, whose mode gives others anything."""
    every = [folder, *folder.rglob("*")]
    return [str(path) for path in every if path.lstat().st_mode & 0o077 and not path.is_symlink()]
