"""Files that only their owner reads, and folders that nobody else has prepared."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from bift_ros.identity.private_files import (
    SharedFolderError,
    make_private_folder,
    open_own_file,
    own_temporary_folder,
    private_files,
)


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files, which all users share."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_written_meanwhile_is_private(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with private_files():
            (tmp_path / "private").write_text("x")
        (tmp_path / "open").write_text("x")
    finally:
        os.umask(before)
    assert mode(tmp_path / "private") == 0o600
    assert mode(tmp_path / "open") == 0o644


def test_a_folder_is_closed_even_where_it_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    make_private_folder(folder)
    assert mode(folder) == 0o700
    folder.chmod(0o775)
    make_private_folder(folder)
    assert mode(folder) == 0o700


def test_a_file_in_a_folder_of_ours(shared: Path) -> None:
    for _ in range(2):
        with own_temporary_folder("ours") as folder:
            os.close(open_own_file(folder, "1"))
    assert mode(shared / "ours") == 0o700
    assert mode(shared / "ours" / "1") == 0o600


def test_a_link_in_it_is_not_followed(shared: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    with own_temporary_folder("ours") as folder:
        (shared / "ours" / "1").symlink_to(victim)
        with pytest.raises(OSError, match="symbolic link"):
            open_own_file(folder, "1")
    assert victim.read_text() == "precious"


def refused(name: str) -> str:
    said = "remove it, or set TMPDIR"
    with pytest.raises(SharedFolderError, match=said) as error, own_temporary_folder(name):
        pass
    return str(error.value)


def test_a_link_in_its_place_is_refused(shared: Path) -> None:
    (shared / "elsewhere").mkdir(mode=0o700)
    (shared / "ours").symlink_to(shared / "elsewhere")
    assert "no folder" in refused("ours")
    (shared / "dangling").symlink_to(shared / "nowhere")
    assert "no folder" in refused("dangling")
    (shared / "file").touch()
    assert "no folder" in refused("file")


def test_a_folder_that_others_can_write_is_refused(shared: Path) -> None:
    (shared / "ours").mkdir()
    (shared / "ours").chmod(0o777)
    assert "open to others (mode 777)" in refused("ours")


def test_a_folder_of_somebody_else_is_refused(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shared / "ours").mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert f"user {os.getuid()}'s" in refused("ours")
