"""bift_msgs: built once for all clones, named by its content, complete or not there.

Its build takes a minute or two and its sources change rarely, so it happens outside the clone, in
`<cache>/messages-<key>`, and a clone takes a copy of what was installed there. The key has no part
of the clone's path in it. The marker file is written last: a folder without it is what an
interrupted set-up left, and is deleted. Each use touches the marker; the newest few folders stay.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from bift_setup import colcon
from bift_setup.contents import key_of, locked
from bift_setup.python_environment import PythonEnvironment
from bift_setup.report import say, step
from bift_setup.shell_environment import shell_environment

PACKAGE = "bift_msgs"
_DEFINING = ("package.xml", "CMakeLists.txt", "msg", "srv", "action")
_MARKER = "bift-complete"
KEPT = 6
"""So many builds, of some 17 MB each, stay in the cache: what several branches need."""


def messages_key(environment: PythonEnvironment, sources: Path) -> str:
    """Name the build of the messages below `sources`, wherever that folder lies."""
    return key_of(
        texts=[str(environment.path), shell_environment(environment, Path("workspace"))],
        paths=[*(sources / PACKAGE / name for name in _DEFINING), Path(colcon.__file__)],
    )


def install_messages(environment: PythonEnvironment, root: Path, base: Mapping[str, str]) -> None:
    """Put the built messages into the install/ of the clone at `root`. Raises SetupError."""
    cache = environment.path.parent
    sources = root / "src"
    built = cache / f"messages-{messages_key(environment, sources)}"
    with locked(cache / "messages.lock"):
        if (built / _MARKER).is_file():
            say(f"{PACKAGE} as built before, from {built}")
        else:
            shutil.rmtree(built, ignore_errors=True)
            with step(f"colcon build of {PACKAGE}, which takes a minute or two"):
                colcon.write_environment(environment, built)
                colcon.build_package(environment, sources, PACKAGE, built, base)
            for folder in ("build", "log"):
                shutil.rmtree(built / folder)
        (built / _MARKER).touch()
        copy_installed(built, root)
        _discard_old(cache)


def copy_installed(built: Path, root: Path) -> None:
    """Replace the messages in a clone's install/ by those of another workspace.

    What colcon writes as text names the workspace's path, which becomes the clone's.
    """
    install = root / "install"
    for old in list(install.rglob(f"*{PACKAGE}*")):  # every file of a package bears its name
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink(missing_ok=True)  # its folder may have gone before
    for file in sorted((built / "install").rglob("*")):
        target = install / file.relative_to(built / "install")
        if file.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        if file.name == colcon.ENVIRONMENT_FILE:
            continue  # the clone has its own
        shutil.copy2(file, target)
        content = file.read_bytes()
        moved = content.replace(bytes(built), bytes(root))
        if moved != content and b"\0" not in content:  # in libraries, it is in debug texts alone
            target.write_bytes(moved)


def _discard_old(cache: Path) -> None:
    """Delete all builds but the newest: clones have copies, so nobody misses them."""
    markers = [path / _MARKER for path in cache.glob("messages-*") if path.is_dir()]
    complete = sorted((m for m in markers if m.is_file()), key=lambda m: m.stat().st_mtime_ns)
    for marker in complete[:-KEPT]:
        shutil.rmtree(marker.parent)
