"""docs/report.md, from a demo and a described fleet to their pages."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.ros
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_guide_to_reports_works_from_top_to_bottom(
    tmp_path: Path, session: Callable[..., str]
) -> None:
    guide = (REPOSITORY / "docs" / "report.md").read_text()
    (fleet,) = re.findall(r"^```yaml\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    (tmp_path / "hamlet.yaml").write_text(fleet)
    out = tmp_path / "out" / "report"
    try:
        printed = session("docs/report.md")
        for page in (out / "demo" / "report.html", out / "fleets" / "hamlet" / "report.html"):
            assert str(page.relative_to(tmp_path)) in printed
            assert "all verified" in page.read_text()
        assert json.loads((out / "demo.json").read_text())["missing"] == []
    finally:
        down = [REPOSITORY / "bift", "fleet", "down", "hamlet", "--fleets", out / "fleets"]
        subprocess.run(down, capture_output=True, timeout=120, check=False)
