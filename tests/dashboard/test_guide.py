"""The guide's commands run as they are written, and it tells of all that the page shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bift_ros.dashboard.pages import STATIC
from bift_ros.fleet.runtimes.domain import ros_environment

pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

REPOSITORY = Path(__file__).parents[2]
GUIDE = (REPOSITORY / "docs" / "dashboard.md").read_text()


@pytest.mark.ros
def test_the_guide_works_from_top_to_bottom(tmp_path: Path) -> None:
    (tmp_path / "bift").symlink_to(REPOSITORY / "bift")
    (tmp_path / "out" / "demo").mkdir(parents=True)
    blocks = re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    bash = shutil.which("bash")
    assert bash is not None
    script = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
    with ros_environment() as (environment, _):
        done = subprocess.run(
            [bash, "-c", script + "".join(blocks)],
            cwd=tmp_path,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"whole": true' in done.stdout


def test_it_names_every_panel() -> None:
    page = (STATIC / "index.html").read_text()
    panels = re.findall(r"<h2[^>]*>([\w ]+?) ?<", page)
    assert len(panels) >= 8
    assert [panel for panel in panels if panel.lower() not in GUIDE.lower()] == []


def test_its_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", GUIDE)
    assert targets
    assert [t for t in targets if not (REPOSITORY / "docs" / t).exists()] == []
