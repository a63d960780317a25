"""A clone that was moved or copied with its build/ is built where it lies now."""

from __future__ import annotations

from pathlib import Path

import pytest
from bift_setup.workspace import _discard_moved


@pytest.mark.parametrize(("made_for", "kept"), [("build", True), ("elsewhere", False)])
def test_what_cmake_made_for_another_folder_goes(tmp_path: Path, made_for: str, kept: bool) -> None:
    build = tmp_path / "build"
    build.mkdir()
    (build / "CMakeCache.txt").write_text(
        f"//a comment\nCMAKE_CACHEFILE_DIR:INTERNAL={tmp_path / made_for}\nX:BOOL=ON\n"
    )
    _discard_moved(build)
    assert build.exists() is kept


def test_no_build_yet_is_no_fault(tmp_path: Path) -> None:
    _discard_moved(tmp_path / "build")
    (tmp_path / "build").mkdir()
    _discard_moved(tmp_path / "build")
    assert (tmp_path / "build").exists()
