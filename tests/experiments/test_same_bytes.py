"""A run's bytes depend on the run and the processor alone, whatever instructions that has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    "instructions",
    [
        {},
        {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
        {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"},
    ],
    ids=["all", "AVX2", "SSE4.1"],
)
def test_neither_other_runs_nor_threads_change_a_runs_bytes(
    instructions: dict[str, str], tmp_path: Path
) -> None:
    program = Path(__file__).with_name("print_digests.py")
    digests = set()
    for how, threads in (("together", "2"), ("alone", "1")):
        done = subprocess.run(
            [sys.executable, str(program), how, str(tmp_path / how)],
            env=os.environ | instructions | {"OMP_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        digests.add(done.stdout)
    assert len(digests) == 1
