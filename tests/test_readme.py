"""Every command that the README shows runs as it is written there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bift_ros.console.main import COMMANDS
from bift_ros.storage.kubo.api import VERSIONS
from bift_ros.storage.kubo.daemon import KuboDaemon

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text()


def commands_of(document: str) -> list[str]:
    """The blocks of shell commands in a document."""
    return re.findall(r"^```sh\n(.*?)^```$", document, re.DOTALL | re.MULTILINE)


BLOCKS = commands_of(README)
# CI itself runs these two: the second is what runs this test.
RUN_BY_CI = ("make demo", "make test")


def test_the_readme_shows_the_two_commands_first() -> None:
    assert all(command in BLOCKS[0] for command in RUN_BY_CI)


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    assert [t for t in targets if not (REPOSITORY / t).exists()] == []


def test_the_guide_to_kubo_names_the_range_that_was_tested() -> None:
    oldest, newest = (f"{major}.{minor}" for major, minor in VERSIONS)
    guide = (REPOSITORY / "docs" / "kubo.md").read_text()
    assert f"tested with Kubo {oldest} to {newest}" in guide
    assert f"\nv{newest}." in (REPOSITORY / "requirements" / "kubo.txt").read_text()


@pytest.mark.kubo
def test_the_guide_to_kubo_works(tmp_path: Path, ipfs: str) -> None:
    (tmp_path / "bift").symlink_to(REPOSITORY / "bift")
    guide = (REPOSITORY / "docs" / "kubo.md").read_text()
    blocks = commands_of(guide)
    bash = shutil.which("bash")
    assert bash is not None
    try:
        done = subprocess.run(
            [bash, "-c", "set -euo pipefail\n" + "".join(blocks)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    finally:
        for repository in tmp_path.glob("out/kubo/*/kubo"):
            KuboDaemon(repository).stop()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("running:       yes") == 3


def run_session(blocks: list[str], folder: Path, **environment: str) -> str:
    """Run commands one after the other in a folder with `bift`; what they print."""
    (folder / "bift").symlink_to(REPOSITORY / "bift")
    # What a failed command leaves running would hold the pipes open.
    script = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run(
        [bash, "-c", script + "".join(blocks)],
        cwd=folder,
        env={**os.environ, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", **environment},
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.ros
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_guide_works_from_top_to_bottom(tmp_path: Path) -> None:
    printed = run_session(BLOCKS[1:], tmp_path)
    assert "valid: 5 blocks, PoFL recomputed for 2" in printed
    assert all(f"vehicle_0{n}" in printed for n in range(3))
    assert "the old town" in printed
    copies = [(tmp_path / "out" / "tour" / name).read_bytes() for name in ("tile.pbf", "copy.pbf")]
    assert copies[0] == copies[1]


@pytest.mark.ros
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_consoles_reference_works_from_top_to_bottom(tmp_path: Path) -> None:
    reference = (REPOSITORY / "docs" / "console.md").read_text()
    printed = run_session(commands_of(reference), tmp_path, XDG_DATA_HOME=str(tmp_path / "data"))
    assert "valid: " in printed
    assert "car mines no more" in printed
    assert "bus mines" in printed
    assert "gives 5 to bus" in printed
    watched = (tmp_path / "out" / "console" / "watch.jsonl").read_text()
    assert watched.count('"name": "van"') == 3
    names = {path.name for path in (tmp_path / "out" / "console").iterdir()}
    assert {"chain.json", "chain.csv", "chain.dot", "_bift"} <= names


@pytest.mark.ros
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_guide_to_reports_works_from_top_to_bottom(tmp_path: Path) -> None:
    guide = (REPOSITORY / "docs" / "report.md").read_text()
    (fleet,) = re.findall(r"^```yaml\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    (tmp_path / "hamlet.yaml").write_text(fleet)
    out = tmp_path / "out" / "report"
    try:
        printed = run_session(commands_of(guide), tmp_path)
        for page in (out / "demo" / "report.html", out / "fleets" / "hamlet" / "report.html"):
            assert str(page.relative_to(tmp_path)) in printed
            assert "all verified" in page.read_text()
        assert json.loads((out / "demo.json").read_text())["missing"] == []
    finally:
        down = [REPOSITORY / "bift", "fleet", "down", "hamlet", "--fleets", out / "fleets"]
        subprocess.run(down, capture_output=True, timeout=120, check=False)


def test_the_consoles_reference_names_every_command() -> None:
    reference = (REPOSITORY / "docs" / "console.md").read_text()
    assert [name for name in COMMANDS if f"`{name}" not in reference] == []
