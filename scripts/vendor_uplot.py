#!/usr/bin/env python3
"""Fetch the dashboard's charting library from npm and check it: scripts/vendor_uplot.py

What it writes is part of the repository; run it again only to move the pin.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "uplot@1.6.32"
SHA512 = "KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw=="
"""As npm states it, in base64."""
FILES = {
    "package/dist/uPlot.esm.js": "uPlot.esm.js",
    "package/dist/uPlot.min.css": "uPlot.min.css",
    "package/LICENSE": "uPlot.LICENSE.txt",
}
VENDOR = Path(__file__).parents[1] / "src/bift_ros/bift_ros/dashboard/static/vendor"


def main() -> int:
    """Write the files; 1 where npm gave others than those that are pinned."""
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(
            ["npm", "pack", "--json", PACKAGE], cwd=folder, check=True, stdout=subprocess.PIPE
        )
        archive = Path(folder, json.loads(packed.stdout)[0]["filename"])
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if digest != SHA512:
            print(f"{PACKAGE} is not what it was: its SHA-512 is {digest}", file=sys.stderr)
            return 1
        with tarfile.open(archive) as tar:
            for member, name in FILES.items():
                content = tar.extractfile(member)
                assert content is not None
                (VENDOR / name).write_bytes(content.read())
    return 0


if __name__ == "__main__":
    sys.exit(main())
