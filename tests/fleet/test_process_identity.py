"""A process is told from another that has its number later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bift_ros.fleet.runtimes.process_identity import ProcessIdentity

DEADLINE = 30.0


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """One that waits for its input's end, under a name that looks like fields of /proc."""
    code = (
        "import sys; open('/proc/self/comm', 'w').write('a) Z 1 ('); "
        "print('up', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == b"up\n"
        yield started
        started.kill()


def test_a_process_lives_until_it_has_ended(process: subprocess.Popen[bytes]) -> None:
    identity = ProcessIdentity.of(process.pid)
    assert identity.alive
    assert not identity.wait(timeout=0)
    identity.send(signal.SIGTERM)
    assert identity.wait(DEADLINE)
    assert not identity.alive  # though its parent has not asked yet how it ended
    assert ProcessIdentity.of(process.pid) == identity  # and its parent may still write down who
    assert process.wait() == -signal.SIGTERM
    assert not identity.alive
    assert identity.wait(timeout=0)
    identity.send(signal.SIGTERM)
    with pytest.raises(ProcessLookupError):
        ProcessIdentity.of(process.pid)


@pytest.mark.parametrize("other", [{"started": 1}, {"boot": "before"}])
def test_another_process_of_the_number_is_left_alone(
    process: subprocess.Popen[bytes], other: dict[str, object]
) -> None:
    former = replace(ProcessIdentity.of(process.pid), **other)
    assert not former.alive
    assert former.wait(timeout=0)
    former.send(signal.SIGKILL)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(DEADLINE) == 0  # ended by itself


def test_this_process_lives() -> None:
    assert ProcessIdentity.of(os.getpid()).alive
