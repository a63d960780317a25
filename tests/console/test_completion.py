"""The scripts that complete commands: in real shells, where they are installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="commands need ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.console.completion import SHELLS
from bift_ros.console.main import COMMANDS


@pytest.fixture
def scripts(bift: Any, tmp_path: Path) -> dict[str, Path]:
    files = {shell: tmp_path / f"_bift.{shell}" for shell in SHELLS}
    for shell, file in files.items():
        made = bift("completion", shell)
        assert made.code == 0, made.err
        file.write_text(made.out)
    return files


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_reads_its_script(scripts: dict[str, Path], shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} on the PATH")
    done = subprocess.run([program, "-n", scripts[shell]], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "offered", "not_offered"),
    [
        (["ta"], {"task"}, {"tx"}),
        ([""], set(COMMANDS), set()),
        (["miner", ""], {"start", "stop"}, {"run"}),
        (["node", "run", "--gp"], {"--gpu"}, {"--genesis"}),
        (["chain", "export", "--format", ""], {"json", "csv", "dot"}, set()),
        (["account", "show", "./ke"], {"./key.pem"}, {"./other"}),
        (["genesis", "create", "g.json", "--no"], {"--no-defend"}, {"--rule"}),
    ],
)
def test_bash_offers_what_fits(
    scripts: dict[str, Path],
    tmp_path: Path,
    words: list[str],
    offered: set[str],
    not_offered: set[str],
) -> None:
    """As `./bift WORDS` and then Tab."""
    bash = shutil.which("bash")
    assert bash is not None
    for name in ("key.pem", "other"):
        (tmp_path / name).touch()
    script = (
        f'source {scripts["bash"]}; complete -p bift >&2; COMP_WORDS=(./bift "$@"); '
        "COMP_CWORD=$#; "
        '_shtab_bift ./bift "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        [bash, "--norc", "-c", script, "bash", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    replies = {reply.strip() for reply in done.stdout.splitlines()}
    assert offered <= replies, done
    assert not replies & not_offered
