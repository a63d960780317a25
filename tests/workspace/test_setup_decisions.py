"""What set-up decides: which ROS it uses, which wheels it takes, what makes it work again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bift_setup import kubo, python_environment, run, system_ros
from bift_setup.contents import key_of, locked
from bift_setup.pins import HASHES, with_hashes
from bift_setup.python_environment import (
    PythonEnvironment,
    describe_environment,
    ensure_environment,
)
from bift_setup.report import SetupError, run_logged
from bift_setup.system_ros import find_system_ros, python_for, ros_wheels, without_system_parts

ROOT = Path(__file__).resolve().parents[2]


def make_prefix(path: Path, packages: list[str], minor: int = sys.version_info[1]) -> Path:
    for package in packages:
        (path / "share" / package).mkdir(parents=True)
        (path / "share" / package / "package.xml").touch()
    (path / "lib" / f"python3.{minor}" / "site-packages").mkdir(parents=True)
    (path / "setup.sh").touch()
    return path


@pytest.fixture(autouse=True)
def default_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in for /opt/ros/jazzy, which a developer's machine may have or not."""
    path = tmp_path / "default"
    monkeypatch.setattr(system_ros, "DEFAULT_PREFIX", path)
    return path


class TestSystemRos:
    def test_none_on_a_bare_machine(self) -> None:
        assert find_system_ros({}) is None

    def test_default_place(self, default_prefix: Path) -> None:
        make_prefix(default_prefix, ["rclpy", "launch"])
        ros = find_system_ros({})
        assert ros is not None
        assert ros.packages == {"rclpy", "launch"}

    def test_sourced_underlay_wins_over_the_default_place(
        self, default_prefix: Path, tmp_path: Path
    ) -> None:
        make_prefix(default_prefix, ["rclpy"])
        underlay = make_prefix(tmp_path / "built", ["rclpy", "launch"])
        overlay = make_prefix(tmp_path / "overlay", ["my_robot"])
        sourced = {"ROS_DISTRO": "jazzy", "AMENT_PREFIX_PATH": f"{overlay}:{underlay}"}
        ros = find_system_ros(sourced)
        assert ros is not None
        assert ros.prefix == underlay

    def test_another_distribution_is_no_help(self, tmp_path: Path) -> None:
        humble = make_prefix(tmp_path / "humble", ["rclpy"])
        assert find_system_ros({"ROS_DISTRO": "humble", "AMENT_PREFIX_PATH": str(humble)}) is None

    def test_a_person_may_say_none(self, default_prefix: Path) -> None:
        make_prefix(default_prefix, ["rclpy"])
        assert find_system_ros({"BIFT_ROS_PREFIX": "none"}) is None

    def test_a_wrong_prefix_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(SetupError, match=r"BIFT_ROS_PREFIX=.*nowhere.*none"):
            find_system_ros({"BIFT_ROS_PREFIX": str(tmp_path / "nowhere")})

    def test_a_ros_for_this_python_is_used_with_it(self, tmp_path: Path) -> None:
        ros = find_system_ros({"BIFT_ROS_PREFIX": str(make_prefix(tmp_path / "ros", ["rclpy"]))})
        assert ros is not None
        assert python_for(ros) == sys.executable

    def test_a_ros_for_an_absent_python_is_left_alone(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        prefix = make_prefix(tmp_path / "ros", ["rclpy"], minor=99)
        ros = find_system_ros({"BIFT_ROS_PREFIX": str(prefix)})
        assert ros is not None
        assert python_for(ros) is None
        assert "Python 3.99" in capsys.readouterr().err


class TestWheels:
    PINS = "numpy==2.2.6\nros-jazzy-rclpy==7.1.6\nros-rclpy==7.1.6\nros-std-msgs==5.3.6\n"

    def test_every_part_comes_from_wheels_without_a_system(self) -> None:
        assert without_system_parts(self.PINS, None) == self.PINS

    def test_parts_of_the_system_are_left_out_one_by_one(self, tmp_path: Path) -> None:
        prefix = make_prefix(tmp_path / "ros", ["rclpy", "numpy"])
        ros = find_system_ros({"BIFT_ROS_PREFIX": str(prefix)})
        needed = without_system_parts(self.PINS, ros)
        assert needed == "numpy==2.2.6\nros-std-msgs==5.3.6\n"
        assert ros_wheels(needed) == ["std_msgs"]

    @pytest.mark.parametrize("name", ["bift", "vehicle"])
    def test_the_pins_hold_every_requirement_and_no_address(self, name: str) -> None:
        wanted = (ROOT / "requirements" / f"{name}.in").read_text().splitlines()
        pins = (ROOT / "requirements" / f"{name}.txt").read_text()
        pinned = {line.partition("==")[0] for line in pins.splitlines()}
        names = {line.partition(";")[0] for line in wanted if line and line[0] not in "#-"}
        assert names <= pinned
        assert "://" not in pins
        assert "--" not in pins

    def test_a_vehicle_takes_the_versions_that_are_tested(self) -> None:
        def versions(name: str) -> dict[str, set[str]]:
            found: dict[str, set[str]] = {}
            for line in (ROOT / "requirements" / f"{name}.txt").read_text().splitlines():
                package, _, version = line.partition(";")[0].strip().partition("==")
                found.setdefault(package, set()).add(version)
            return found

        tested = versions("bift")
        assert all(found <= tested[package] for package, found in versions("vehicle").items())


class TestHashes:
    HASHES = (
        "numpy==2.2.6 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
        "uv==0.1 ; x \\\n    --hash=sha256:cc\n"
    )

    def test_a_pin_gets_its_own_hashes_and_keeps_its_marker(self) -> None:
        assert with_hashes("uv==0.1 ; python_version > '3'\nnumpy==2.2.6\n", self.HASHES) == (
            "uv==0.1 ; python_version > '3' \\\n    --hash=sha256:cc\n"
            "numpy==2.2.6 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
        )

    def test_another_version_has_none(self) -> None:
        assert with_hashes("numpy==2.2.7\n", self.HASHES) == "numpy==2.2.7\n"

    @pytest.mark.parametrize("name", ["bift", "vehicle"])
    def test_every_pin_has_hashes(self, name: str) -> None:
        pins = (ROOT / "requirements" / f"{name}.txt").read_text()
        hashed = with_hashes(pins, HASHES.read_text())
        assert not re.search(r"==.*[^\\\n]$", hashed, re.MULTILINE)
        assert "://" not in HASHES.read_text()

    def test_all_that_is_installed_is_checked_by_its_hash(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commands: list[list[str | Path]] = []
        monkeypatch.setattr(
            python_environment, "run_logged", lambda command, *_: commands.append([*command])
        )
        monkeypatch.setattr(python_environment, "_localise_cmake_files", lambda _: None)
        wanted = describe_environment(tmp_path, ROOT / "requirements" / "bift.txt", None, "cuda")
        wanted.path.mkdir()
        python_environment._build(wanted, {})
        installs = [command for command in commands if "install" in command]
        assert len(installs) == 2
        for command in installs:
            assert "--require-hashes" in command
            (file,) = command[command.index("--requirement") + 1 :]
            text = Path(file).read_text()
            assert text.count("==") <= text.count("--hash=")
        assert Path(installs[0][-1]).read_text().startswith("uv==")


class TestTorch:
    PINS = (
        "cuda-toolkit==13.2.2\nnumpy==2.2.6\nnvidia-cublas==13.4\ntorch==2.15.0\n"
        "torchvision==0.29.2\ntriton==3.9.0 ; sys_platform == 'linux'\n"
    )

    @pytest.fixture
    def pins(self, tmp_path: Path) -> Path:
        pins = tmp_path / "pins.txt"
        pins.write_text(self.PINS)
        return pins

    def test_an_environment_without_cuda_is_another(self, tmp_path: Path, pins: Path) -> None:
        cuda, cpu = (describe_environment(tmp_path, pins, None, t) for t in ("cuda", "cpu"))
        assert cuda.requirements == self.PINS
        assert cpu.requirements == "numpy==2.2.6\ntorch==2.15.0\ntorchvision==0.29.2\n"
        assert cuda.path != cpu.path
        pins.write_text(cpu.requirements)
        assert describe_environment(tmp_path, pins, None, "cuda").path != cpu.path

    def test_the_pair_comes_first_and_from_its_own_index(
        self, tmp_path: Path, pins: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commands: list[list[str]] = []
        monkeypatch.setattr(
            python_environment, "run_logged", lambda command, *_: commands.append([*command])
        )
        monkeypatch.setattr(Path, "write_text", lambda *_: 0)
        ensure_environment(describe_environment(tmp_path, pins, None, "cpu"), {})
        by_uv = [command for command in commands if "--no-deps" in command]
        assert [c[c.index("--torch-backend") + 1] for c in by_uv] == ["cpu", "cpu"]
        assert by_uv[0][-2:] == ["torch==2.15.0", "torchvision==0.29.2"]

    @pytest.fixture
    def clone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Stand in for a clone; set-up makes no environment and builds nothing."""
        monkeypatch.setattr(run, "_CHOSEN_TORCH", tmp_path / "install" / "bift_torch")
        monkeypatch.setattr(run, "ensure_workspace", lambda used, *_: None)
        monkeypatch.setattr(run, "check_machine", lambda: None)
        monkeypatch.setenv("BIFT_ROS_PREFIX", "none")
        monkeypatch.setenv("BIFT_CACHE", str(tmp_path / "cache"))
        return tmp_path

    def test_a_clone_stays_with_what_it_was_set_up_with(
        self, clone: Path, pins: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[str] = []
        monkeypatch.setattr(run, "ensure_environment", lambda wanted, _: made.append(wanted.torch))
        for asked in ([], ["--torch", "cpu"], [], ["--torch", "cuda"], []):
            assert run.run(["--requirements", str(pins), *asked]) == 0
        assert made == ["cuda", "cpu", "cpu", "cuda", "cuda"]

    def test_where_its_index_is_out_of_reach_set_up_says_so_and_goes_on(
        self,
        clone: Path,
        pins: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def run_logged(command: list[str | Path], *_: object) -> None:
            if "--torch-backend" in command:
                raise SetupError("uv failed with status 2; its output ends: dns error")

        monkeypatch.setattr(python_environment, "run_logged", run_logged)

        def build(wanted: PythonEnvironment, environment: dict[str, str]) -> None:
            wanted.path.mkdir(parents=True)
            real_build(wanted, environment)

        real_build = python_environment._build
        monkeypatch.setattr(python_environment, "_build", build)
        assert run.run(["--requirements", str(pins), "--torch", "cpu"]) == 0
        said = capsys.readouterr().err
        assert "dns error" in said
        assert "going on with CUDA's" in said
        left = [path for path in (clone / "cache").glob("env-*") if path.is_dir()]
        assert left == [describe_environment(clone / "cache", pins, None, "cuda").path]
        assert run._torch_so_far() == "cuda"


class TestKeys:
    def test_a_key_follows_content_and_names_alone(self, tmp_path: Path) -> None:
        folder = tmp_path / "package"
        folder.mkdir()
        file = folder / "a.msg"
        file.write_text("bool x")
        first = key_of(texts=["3.12"], paths=[folder])

        file.touch()
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__" / "a.pyc").touch()
        assert key_of(texts=["3.12"], paths=[folder]) == first

        keys = {first, key_of(texts=["3.13"], paths=[folder])}
        file.write_text("bool y")
        keys.add(key_of(texts=["3.12"], paths=[folder]))
        file.rename(folder / "b.msg")
        keys.add(key_of(texts=["3.12"], paths=[folder]))
        (folder / "c.msg").touch()
        keys.add(key_of(texts=["3.12"], paths=[folder]))
        assert len(keys) == 5

    def test_a_missing_path_has_a_key_of_its_own(self, tmp_path: Path) -> None:
        missing = key_of(paths=[tmp_path / "launch"])
        (tmp_path / "launch").mkdir()
        (tmp_path / "launch" / "fleet.launch.py").touch()
        assert key_of(paths=[tmp_path / "launch"]) != missing


def test_a_second_set_up_waits_for_the_first(tmp_path: Path) -> None:
    lock = tmp_path / "env.lock"
    code = (
        "import sys; from pathlib import Path; from bift_setup.contents import locked\n"
        "with locked(Path(sys.argv[1])): print('got it', flush=True)"
    )
    with locked(lock):
        second = subprocess.Popen(
            [sys.executable, "-c", code, str(lock)],
            env={"PYTHONPATH": str(ROOT / "scripts"), "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert second.stderr is not None
        assert "another set-up is at work" in second.stderr.readline()
        assert second.poll() is None
    output, _ = second.communicate(timeout=60)
    assert output == "got it\n"


def test_a_failed_command_shows_its_end_and_the_remedy(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo no such wheel; exit 3"]
    with pytest.raises(SetupError, match=r"(?s)status 3.*no such wheel.*set a proxy"):
        run_logged(command, tmp_path / "log", "set a proxy", {"PATH": os.environ["PATH"]}, tmp_path)


def test_an_unsupported_python_is_told_the_remedy() -> None:
    script = ROOT / "scripts" / "setup_environment.py"
    code = (
        "import runpy, sys\n"
        "sys.version_info = (3, 9, 0)\n"
        f"runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    tried = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "/nonexistent", "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert tried.returncode == 1
    assert "this is Python 3.9" in tried.stderr
    assert "make setup PYTHON=" in tried.stderr
    assert "Traceback" not in tried.stderr


class TestKubo:
    @pytest.fixture(autouse=True)
    def clone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Stand in for this clone, whose install/kubo is not to change, and for /usr/local."""
        monkeypatch.setattr(kubo, "ROOT", tmp_path)
        monkeypatch.setattr(kubo, "_GO_PLACES", ())
        return tmp_path

    @staticmethod
    def make_program(path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    def test_the_pin_names_one_release(self) -> None:
        assert kubo.pinned_release(kubo.PIN.read_text()).startswith("v0.")
        for text in ("", "v0.43.0\nv0.42.0\n", "latest\n"):
            with pytest.raises(SetupError, match="must name one release"):
                kubo.pinned_release(text)

    def test_an_ipfs_on_the_path_is_used_as_it_is(self, tmp_path: Path) -> None:
        own = self.make_program(tmp_path / "bin" / "ipfs", "exit 0")
        assert kubo.ensure_kubo({"PATH": f"{tmp_path}/install/kubo:{own.parent}"}) == own

    def test_the_one_that_was_built_here_is_no_reason_not_to_build(self, tmp_path: Path) -> None:
        built = self.make_program(tmp_path / "install" / "kubo" / "ipfs", "exit 0")
        with pytest.raises(SetupError, match=r"Go 1\.21 or newer builds Kubo, and there is none"):
            kubo.ensure_kubo({"PATH": str(built.parent)})

    def test_without_go_only_what_must_have_it_fails(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert kubo.run(if_possible=True) == 0
        assert "will skip" in capsys.readouterr().err
        assert kubo.run(if_possible=False) == 1

    def test_a_go_that_is_too_old_is_named(self, tmp_path: Path) -> None:
        answer = """echo '{"GOVERSION": "go1.19.8", "GOOS": "linux", "GOARCH": "amd64"}'"""
        go = self.make_program(tmp_path / "bin" / "go", answer)
        with pytest.raises(SetupError, match=r"is go1\.19\.8\. Go 1\.21 or newer"):
            kubo.ensure_kubo({"PATH": str(go.parent)})

    def test_a_build_is_kept_by_what_defines_it_and_linked(self, tmp_path: Path) -> None:
        module = tmp_path / "module"
        module.mkdir()
        go = self.make_program(
            tmp_path / "bin" / "go",
            """case $1 in
            env) echo '{{"GOVERSION": "go1.26.8", "GOOS": "linux", "GOARCH": "amd64"}}' ;;
            mod) grep -q "^github.com/ipfs/kubo ${{4#*@}} h1:" go.sum && echo '{{"Dir": "{}"}}' ;;
            build) printf '#!/bin/sh\\n' > $4; chmod +x $4; echo built >> "{}" ;;
            esac""".format(module, tmp_path / "builds"),
        )
        environment = {"PATH": f"{go.parent}:/bin:/usr/bin", "BIFT_CACHE": str(tmp_path / "cache")}
        link = kubo.ensure_kubo(environment)
        assert kubo.ensure_kubo(environment) == link
        assert link == tmp_path / "install" / "kubo" / "ipfs"
        release = kubo.pinned_release(kubo.PIN.read_text())
        assert link.resolve().parent.name == f"kubo-{release}-go1.26.8-linux-amd64"
        assert (tmp_path / "builds").read_text() == "built\n"

    def test_a_release_that_cannot_be_had_is_said(self, tmp_path: Path) -> None:
        go = self.make_program(
            tmp_path / "bin" / "go",
            """case $1 in
            env) echo '{"GOVERSION": "go1.26.8", "GOOS": "linux", "GOARCH": "amd64"}' ;;
            mod) echo '{"Error": "403 Forbidden"}'; exit 1 ;;
            esac""",
        )
        environment = {"PATH": f"{go.parent}:/bin:/usr/bin", "BIFT_CACHE": str(tmp_path / "cache")}
        with pytest.raises(SetupError, match=r"(?s)403 Forbidden.*Go module proxy"):
            kubo.ensure_kubo(environment)
