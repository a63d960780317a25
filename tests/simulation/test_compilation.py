"""The compiled consensus is the interpreted one, only faster."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from bift_ros.simulation.campaign import run_seeds
from bift_ros.simulation.compilation import (
    CompilationError,
    compile_package,
    compiled_package,
)
from bift_ros.simulation.compiled_modules import INTERPRETED, PACKAGE, ROOMS, compiled_modules
from bift_ros.simulation.scenario import Scenario

SCENARIO = Scenario(vehicles=9, byzantine=3, iterations=3)
SEEDS = (1, 2, 3, 4)
_LOOK = """
import pickle, sys
sys.path.insert(0, sys.argv[1])
from bift_ros.chain import mempool
from bift_ros.peer import machine
from bift_ros.simulation import results, vehicle
for module in (mempool, machine, vehicle):
    assert module.__file__.endswith(".so"), module.__file__
violation = results.Violation("liveness", 1, 2, "stuck")  # it travels between the processes
assert pickle.loads(pickle.dumps(violation)) == violation
"""


@pytest.fixture(scope="module")
def package() -> Path:
    return compile_package()


def test_every_module_is_listed_as_compiled_or_with_the_reason_why_not() -> None:
    there = {
        str(path.relative_to(PACKAGE))
        for room in ROOMS
        for path in (PACKAGE / room).rglob("*.py")
        if path.name != "__init__.py"
    }
    listed = [*compiled_modules(), *(f"{name}.py" for name in INTERPRETED)]
    assert sorted(listed) == sorted(there)


@pytest.mark.slow
def test_it_is_found_again(package: Path) -> None:
    assert compiled_package() == package
    assert compile_package() == package


def test_the_processes_run_what_was_compiled(package: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOOK, str(package)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_seed_ends_the_same(package: Path) -> None:
    outcomes = [
        {r.seed: r.fingerprint for r in run_seeds(SCENARIO, SEEDS, 2, where)}
        for where in (package, None)
    ]
    assert outcomes[0] == outcomes[1]
    assert len(set(outcomes[0].values())) == len(SEEDS)


def test_without_mypyc_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CompilationError, match="mypyc is not installed"):
        compile_package()
