"""Every command of every document is run: by a test of its own, or here as far as it goes."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from bift_ros.console.main import COMMANDS, build_parser

REPOSITORY = Path(__file__).parents[2]
PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md")),
    *REPOSITORY.glob("docs/**/*.md"),
    *REPOSITORY.glob("src/*/README.md"),
    REPOSITORY / "rosbags" / "README.md",
]
# Pages with commands, and the tests that run them; what takes hours only has to parse.
RUN_BY = {
    "README.md": "tests/documents/test_readme.py",
    "CONTRIBUTING.md": None,
    "docs/attacks.md": "tests/fleet/test_demo_attack.py",
    "docs/console.md": "tests/documents/test_console_reference.py",
    "docs/containers.md": "tests/fleet/test_engine.py",
    "docs/dashboard.md": "tests/dashboard/test_guide.py",
    "docs/experiments.md": "tests/console/test_paper_experiments.py",
    "docs/fleets.md": "tests/fleet/test_fleet_run.py",
    "docs/formal.md": "tests/formal/test_finality.py",
    "docs/guide.md": "tests/documents/test_guide.py",
    "docs/kubo.md": "tests/documents/test_kubo_guide.py",
    "docs/monitoring.md": "tests/nodes/test_monitoring_guide.py",
    "docs/report.md": "tests/documents/test_reports_guide.py",
    "docs/results/fleets.md": None,
    "docs/rviz.md": "tests/nodes/test_rviz_config.py",
    "docs/security.md": "tests/documents/test_security_guide.py",
    "docs/setup.md": None,
}


def blocks_of(page: Path) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def test_every_page_with_commands_is_run_by_a_test_that_reads_it() -> None:
    shown = {str(page.relative_to(REPOSITORY)) for page in PAGES if blocks_of(page)}
    assert shown == set(RUN_BY)
    for page, test in RUN_BY.items():
        if test is not None:
            assert Path(page).name in (REPOSITORY / test).read_text(), page


@pytest.mark.parametrize("page", [page for page, test in RUN_BY.items() if test is None])
def test_what_no_test_runs_is_at_least_a_command(page: str) -> None:
    for line in "".join(blocks_of(REPOSITORY / page)).replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[0] == "make":
            command = [*words, "--dry-run", "--directory", str(REPOSITORY)]
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        elif words[0] != "sed":
            assert words[0] == "./bift", line
            build_parser(words[1]).parse_args(words[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_whatever_is_called_is_there(page: Path) -> None:
    text = page.read_text()
    assert set(re.findall(r"\./bift ([a-z]\w*)", text)) <= set(COMMANDS)
    targets = set(re.findall(r"[`\n]make ([a-z]+(?:-[a-z]+)*)", text))
    makefile = (REPOSITORY / "Makefile").read_text()
    assert {target for target in targets if not re.search(rf"^{target}:", makefile, re.M)} == set()
