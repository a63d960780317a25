"""What a document shows, and a session that runs its commands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def session(tmp_path: Path) -> Callable[..., str]:
    """Run a document's blocks of commands one after the other, in a folder with `bift`."""

    def run(document: str, *, skip: int = 0, **environment: str) -> str:
        text = (REPOSITORY / document).read_text()
        blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)[skip:]
        (tmp_path / "bift").symlink_to(REPOSITORY / "bift")
        # What a failed command leaves running would hold the pipes open.
        script = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
        bash = shutil.which("bash")
        assert bash is not None
        done = subprocess.run(
            [bash, "-c", script + "".join(blocks)],
            cwd=tmp_path,
            env={**os.environ, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", **environment},
            capture_output=True,
            text=True,
            timeout=800,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    return run
