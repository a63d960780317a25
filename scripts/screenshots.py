"""Pictures for the README, of the dashboard and of a report that `./bift report` wrote.

In the environment: scripts/enter python scripts/screenshots.py OUT_DIR/report.html
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "tests" / "dashboard"))

from synthetic_fleet import NOW, SyntheticFleet  # noqa: E402

from bift_ros.dashboard.sampling import Sampler  # noqa: E402
from bift_ros.dashboard.server import Dashboard  # noqa: E402

PICTURES = REPOSITORY / "docs" / "pictures"
SIZE = {"width": 1440, "height": 1000}


def main() -> int:
    """Write the pictures, each light and dark; 1 where there is no browser."""
    parser = argparse.ArgumentParser(description="Draw the README's pictures.")
    parser.add_argument("report", type=Path, help="what `./bift report` wrote of a demo")
    report = parser.parse_args().report.resolve(strict=True)
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        print("screenshots: needs chromium on the PATH", file=sys.stderr)
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        with dashboard() as url:
            take(browser, "dashboard", url, "#fleet tbody tr")
        take(browser, "report", f"{report.as_uri()}#accuracy", "svg")
        browser.close()
    return 0


@contextmanager
def dashboard() -> Iterator[str]:
    """Serve the page of a fleet that is made up; its address."""
    fleet = SyntheticFleet(vehicles=30, blocks=161, total_iter=120)
    served = Dashboard(lambda _: None)
    served.start(fleet.reading, Sampler(fleet.traffic()), clock=lambda: NOW)
    try:
        yield served.url
    finally:
        served.close()


def take(browser: Browser, name: str, url: str, shown: str) -> None:
    """A page by day and by night, in few colours, so that the files stay small."""
    for scheme in ("light", "dark"):
        page = browser.new_page(viewport=SIZE, color_scheme=scheme)
        page.goto(url)
        page.wait_for_selector(shown)
        picture = PICTURES / f"{name}-{scheme}.png"
        page.screenshot(path=picture, animations="disabled")
        page.close()
        with Image.open(picture) as drawn:
            # Coverage, not area: a small red mark keeps its colour.
            few = drawn.convert("RGB").quantize(
                256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
            )
            few.save(picture, optimize=True)
        print(f"{picture.relative_to(REPOSITORY)}: {picture.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    sys.exit(main())
