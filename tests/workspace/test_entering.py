"""./bift, scripts/enter and the make targets: how a person gets into the environment."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bift_setup.python_environment import PythonEnvironment
from bift_setup.shell_environment import shell_environment

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Lay out a clone that is not set up, in a folder whose name has a space in it."""
    clone = tmp_path / "my clone"
    (clone / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "bift", clone)
    shutil.copy(ROOT / "scripts" / "enter", clone / "scripts")
    return clone


def set_up(clone: Path) -> None:
    """Write the clone's environment file, for an environment with this very Python."""
    environment = PythonEnvironment(clone / "env", "", None, "cuda")
    environment.python.parent.mkdir(parents=True)
    environment.python.symlink_to(sys.executable)
    (clone / "install").mkdir()
    (clone / "install" / "bift_env.sh").write_text(shell_environment(environment, clone))


def variables(clone: Path, before: dict[str, str]) -> dict[str, str]:
    """Return the variables of a process that entered the clone's environment."""
    output = subprocess.check_output(
        [clone / "scripts" / "enter", "env", "-0"], env={"PATH": os.environ["PATH"], **before}
    )
    entries = output.decode().rstrip("\0").split("\0")
    return dict(entry.split("=", 1) for entry in entries)


def test_without_set_up_the_command_says_what_to_run(clone: Path) -> None:
    tried = subprocess.run([clone / "bift", "--help"], capture_output=True, text=True, check=False)
    assert tried.returncode == 1
    assert "make setup" in tried.stderr
    assert str(clone) in tried.stderr


def test_a_deleted_environment_says_what_to_run(clone: Path) -> None:
    set_up(clone)
    shutil.rmtree(clone / "env")
    tried = subprocess.run([clone / "bift", "--help"], capture_output=True, text=True, check=False)
    assert tried.returncode == 1
    assert "make setup" in tried.stderr


def test_own_source_and_built_messages_come_first(clone: Path) -> None:
    set_up(clone)
    entered = variables(clone, {})
    source, built = entered["PYTHONPATH"].split(":")
    assert source == str(clone / "src" / "bift_ros")
    assert built.startswith(str(clone / "install" / "lib"))
    assert entered["AMENT_PREFIX_PATH"].split(":")[0] == str(clone / "install")
    assert entered["LD_LIBRARY_PATH"].split(":")[0] == str(clone / "install" / "lib")
    assert entered["PATH"].split(":")[0] == str(clone / "env" / "bin")
    assert entered["RMW_IMPLEMENTATION"] == "rmw_fastrtps_cpp"


def test_another_ros_does_not_leak_in_and_own_folders_stay(clone: Path) -> None:
    set_up(clone)
    entered = variables(
        clone,
        {
            "ROS_DISTRO": "humble",
            "AMENT_PREFIX_PATH": "/opt/ros/humble",
            "PYTHONPATH": "/opt/ros/humble/lib/python3.10/site-packages:/home/me/my models",
            "LD_LIBRARY_PATH": "/opt/cuda/lib64",
        },
    )
    assert "humble" not in entered["PYTHONPATH"] + entered["AMENT_PREFIX_PATH"]
    assert entered["PYTHONPATH"].endswith(":/home/me/my models")
    assert entered["LD_LIBRARY_PATH"].endswith(":/opt/cuda/lib64")
    assert entered["ROS_DISTRO"] == "jazzy"


def test_entering_twice_changes_nothing_that_is_searched(clone: Path) -> None:
    set_up(clone)
    once = variables(clone, {})
    twice = variables(clone, once)
    assert twice["PYTHONPATH"] == once["PYTHONPATH"]
    assert twice["AMENT_PREFIX_PATH"] == once["AMENT_PREFIX_PATH"]


def test_signals_and_status_reach_the_command_itself(clone: Path) -> None:
    set_up(clone)
    entered = subprocess.Popen(
        [clone / "scripts" / "enter", "sh", "-c", "echo $$; exit 7"], stdout=subprocess.PIPE
    )
    output, _ = entered.communicate(timeout=60)
    assert int(output) == entered.pid
    assert entered.returncode == 7


def test_a_link_to_the_command_works_from_anywhere(clone: Path, tmp_path: Path) -> None:
    set_up(clone)
    console = clone / "src" / "bift_ros" / "bift_ros" / "console"
    console.mkdir(parents=True)
    for package in (console.parent, console):
        (package / "__init__.py").touch()
    (console / "__main__.py").write_text("import sys; print(sys.argv[1:])")
    link = tmp_path / "bift"
    link.symlink_to(clone / "bift")
    output = subprocess.check_output([link, "two words", ""], cwd="/", text=True)
    assert output == "['two words', '']\n"


@pytest.mark.parametrize(
    ("given", "flags"),
    [
        ([], []),
        (["VEHICLES=3", "ITERATIONS=2"], ["--vehicles", "3", "--iterations", "2"]),
        (["OUT=my runs/a", "SEED=0"], ["--seed", "0", "--out", "my runs/a"]),
    ],
)
def test_make_demo_passes_on_only_what_is_given(given: list[str], flags: list[str]) -> None:
    names = ("VEHICLES", "ITERATIONS", "BAGS", "RULE", "DEVICE", "SEED", "OUT", "MAKEFLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    plan = subprocess.check_output(
        ["make", "--dry-run", "--directory", str(ROOT), "demo", *given], env=environment, text=True
    )
    [demo] = [line for line in plan.splitlines() if line.startswith("./bift ")]
    assert shlex.split(demo) == ["./bift", "demo", *flags]
