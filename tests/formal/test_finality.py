"""Finality.tla, checked by TLC: what it promises holds, and what TLC finds where it must not."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
TLC = REPOSITORY / "scripts" / "tlc"
GUIDE = (REPOSITORY / "docs" / "formal.md").read_text()
MODEL = (HERE / "Finality.tla").read_text()

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="session", autouse=True)
def tlc() -> None:
    fetched = subprocess.run([TLC, "--fetch"], capture_output=True, text=True)
    if fetched.returncode == 3:
        pytest.skip(fetched.stderr.strip())
    assert fetched.returncode == 0, fetched.stderr


def check(folder: Path, config: str) -> str:
    run = subprocess.run([TLC, folder, "Fleet", config], capture_output=True, text=True)
    return run.stdout + run.stderr


@pytest.mark.parametrize("config", ["OneLiar.cfg", "MembersLeave.cfg", "HalfLie.cfg"])
def test_what_is_promised_holds_in_every_state(config: str) -> None:
    said = check(HERE, config)
    assert "Model checking completed. No error has been found." in said, said
    [distinct] = re.findall(r"(\d+) distinct states found, 0 states left", said)
    assert int(distinct) > 3_000


def test_where_half_lie_rivals_become_final() -> None:
    assert "Invariant Agreement is violated" in check(HERE, "HalfLieAgreement.cfg")


@pytest.mark.parametrize(
    ("promise", "rule", "fault", "config"),
    [
        (
            "Agreement",
            "IsQuorum(voters, low, high) == MoreThanThirds(2, voters, low, high)",
            "IsQuorum(voters, low, high) == MoreThanThirds(1, voters, low, high)",
            "OneLiar.cfg",
        ),
        (
            "Innocence",
            r"/\ \A t \in prevotes[m]: t.round <= s.round",
            "",
            "OneLiar.cfg",
        ),
        (
            "Innocence",
            r"/\ \A t \in prevotes[m] \cup precommits[m]: t.round < r",
            "",
            "OneLiar.cfg",
        ),
        (
            "Evidence",
            r"t.source.round < s.round /\ s.round < t.round",
            "FALSE",
            "HalfLie.cfg",
        ),
    ],
)
def test_planted_faults_are_found(
    tmp_path: Path, promise: str, rule: str, fault: str, config: str
) -> None:
    for file in HERE.glob("*.*"):
        shutil.copy(file, tmp_path)
    assert MODEL.count(rule) == 1
    (tmp_path / "Finality.tla").write_text(MODEL.replace(rule, fault))
    said = check(tmp_path, config)
    assert re.search(rf"Invariant {promise} is violated", said), said


def test_the_guide_has_a_row_for_each_action() -> None:
    actions = re.findall(r"^(\w+)\(m, .*\) ==$", MODEL, re.MULTILINE)
    assert set(re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE)) == {
        *actions, "IsQuorum", "IsDouble", "IsJustified",
    }  # fmt: skip
