"""bift_msgs is built once for all clones, and each clone's copy says where it lies itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bift_setup import colcon, messages
from bift_setup.messages import copy_installed, install_messages, messages_key
from bift_setup.python_environment import PythonEnvironment
from bift_setup.report import SetupError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def environment(tmp_path: Path) -> PythonEnvironment:
    path = tmp_path / "cache" / "env-0123"
    path.mkdir(parents=True)
    return PythonEnvironment(path, "", None, "cuda")


def make_clone(path: Path, definition: str = "bool x\n") -> Path:
    package = path / "src" / "bift_msgs"
    (package / "msg").mkdir(parents=True)
    (package / "package.xml").write_text("<package/>")
    (package / "msg" / "Tip.msg").write_text(definition)
    return path


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Stand in for colcon; the workspaces that something was built in."""
    built: list[Path] = []

    def build(_: object, sources: Path, package: str, workspace: Path, base: object) -> None:
        built.append(workspace)
        for folder in ("build", "log", "install/lib", f"install/share/{package}"):
            (workspace / folder).mkdir(parents=True, exist_ok=True)
        (workspace / "install" / "setup.sh").write_text(f"prefix={workspace}/install\n")
        definition = (sources / package / "msg" / "Tip.msg").read_text()
        (workspace / "install" / "share" / package / "Tip.msg").write_text(definition)
        library = b"\x7fELF\0" + bytes(workspace) + b"/build/tip.c\0"
        (workspace / "install" / "lib" / "libbift_msgs_c.so").write_bytes(library)

    monkeypatch.setattr(colcon, "build_package", build)
    return built


def test_the_key_follows_definition_and_environment_but_not_the_place(
    tmp_path: Path, environment: PythonEnvironment
) -> None:
    one, other = make_clone(tmp_path / "one"), make_clone(tmp_path / "my other")
    key = messages_key(environment, one / "src")
    assert messages_key(environment, other / "src") == key
    (other / "src" / "bift_msgs" / "msg" / "Tip.msg").write_text("bool y\n")
    elsewhere = PythonEnvironment(tmp_path / "env-4567", "", None, "cuda")
    keys = {
        key,
        messages_key(environment, other / "src"),
        messages_key(elsewhere, one / "src"),
    }
    assert len(keys) == 3


def test_a_second_clone_takes_what_the_first_built(
    tmp_path: Path, environment: PythonEnvironment, builds: list[Path]
) -> None:
    one, other = make_clone(tmp_path / "one"), make_clone(tmp_path / "my other")
    for clone in (one, other):
        install_messages(environment, clone, {})
    assert len(builds) == 1
    assert (other / "install" / "share" / "bift_msgs" / "Tip.msg").read_text() == "bool x\n"
    for clone in (one, other):
        assert (clone / "install" / "setup.sh").read_text() == f"prefix={clone}/install\n"
    assert sorted(path.name for path in builds[0].iterdir()) == ["bift-complete", "install"]


def test_a_clone_that_was_moved_names_its_new_place(
    tmp_path: Path, environment: PythonEnvironment, builds: list[Path]
) -> None:
    before = make_clone(tmp_path / "before")
    install_messages(environment, before, {})
    after = before.rename(tmp_path / "after")
    install_messages(environment, after, {})
    assert (after / "install" / "setup.sh").read_text() == f"prefix={after}/install\n"
    assert len(builds) == 1


def test_what_an_interrupted_build_left_is_built_anew(
    tmp_path: Path,
    environment: PythonEnvironment,
    builds: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clone = make_clone(tmp_path / "one")

    def fail(_: object, sources: Path, package: str, workspace: Path, base: object) -> None:
        (workspace / "install" / "left").touch()
        raise SetupError("no compiler")

    with monkeypatch.context() as broken:
        broken.setattr(colcon, "build_package", fail)
        with pytest.raises(SetupError, match="no compiler"):
            install_messages(environment, clone, {})
    install_messages(environment, clone, {})
    assert len(builds) == 1
    assert not (clone / "install" / "left").exists()


def test_only_the_newest_builds_stay_and_a_use_counts(
    tmp_path: Path, environment: PythonEnvironment, builds: list[Path]
) -> None:
    clones = [make_clone(tmp_path / str(n), f"bool x{n}\n") for n in range(messages.KEPT + 1)]
    for age, clone in enumerate(clones[:-1]):
        install_messages(environment, clone, {})
        os.utime(builds[-1] / "bift-complete", (age, age))
    install_messages(environment, clones[0], {})  # the oldest is used again
    install_messages(environment, clones[-1], {})
    kept = set(environment.path.parent.glob("messages-*"))
    assert kept == set(builds) - {builds[1]}


def test_a_copy_replaces_the_messages_and_nothing_else(tmp_path: Path) -> None:
    built, clone = tmp_path / "messages-0123", tmp_path / "clone"
    for path, text in {
        built / "install/bift_env.sh": "the builder's",
        built / "install/share/bift_msgs/Tip.msg": "bool x\n",
        clone / "install/bift_env.sh": "the clone's",
        clone / "install/kubo/ipfs": "a program",
        clone / "install/share/bift_ros/package.xml": "<package/>",
        clone / "install/share/bift_msgs/Gone.msg": "bool y\n",
        clone / "install/lib/libbift_msgs_old.so": "a library",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    library = b"\0" + bytes(built) + b"\0"
    (built / "install/libbift_msgs.so").write_bytes(library)
    copy_installed(built, clone)
    install = clone / "install"
    assert sorted(str(p.relative_to(install)) for p in install.rglob("*") if p.is_file()) == [
        "bift_env.sh",
        "kubo/ipfs",
        "libbift_msgs.so",
        "share/bift_msgs/Tip.msg",
        "share/bift_ros/package.xml",
    ]
    assert (install / "bift_env.sh").read_text() == "the clone's"
    assert (install / "libbift_msgs.so").read_bytes() == library


@pytest.mark.ros
@pytest.mark.slow
def test_set_up_of_a_second_clone_builds_no_messages(tmp_path: Path) -> None:
    pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")
    clone = tmp_path / "second clone"
    for name in ("src", "scripts", "requirements"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    kept = ("PATH", "HOME", "BIFT_CACHE", "XDG_CACHE_HOME", "BIFT_ROS_PREFIX")
    plain = {name: os.environ[name] for name in kept if name in os.environ}
    done = subprocess.run(
        [sys.executable, clone / "scripts" / "setup_environment.py"],
        env=plain,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "bift_msgs as built before" in done.stderr
    assert "colcon build of bift_msgs" not in done.stderr
    code = "import bift_msgs.msg, bift_ros; print(bift_msgs.__file__); print(bift_ros.__file__)"
    found = subprocess.check_output(
        [clone / "scripts" / "enter", "python", "-c", code], env=plain, text=True
    )
    assert all(Path(line).is_relative_to(clone) for line in found.splitlines())
