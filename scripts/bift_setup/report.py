"""What set-up says while it works, and how it fails."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_TAIL_LINES = 30


class SetupError(Exception):
    """Set-up can't go on. The message names the cause and the remedy."""


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"set-up: {text}", file=sys.stderr, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Announce a step, and say how long it took."""
    say(f"{what} ...")
    started = time.monotonic()
    yield
    say(f"{what}: done in {time.monotonic() - started:.0f} s")


def run_logged(
    command: Sequence[str | Path], log: Path, remedy: str, environment: Mapping[str, str], cwd: Path
) -> None:
    """Run a command with its output in `log`.

    Raises SetupError with the end of the log and the remedy where it fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as output:
        finished = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=cwd,
            check=False,
        )
    if finished.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
        raise SetupError(
            f"{Path(command[0]).name} failed with status {finished.returncode}; "
            f"its output ends:\n{tail}\n{remedy}\nThe whole output: {log}"
        )
