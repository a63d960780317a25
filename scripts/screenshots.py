"""Pictures of the dashboard for the README: scripts/screenshots"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "tests" / "dashboard"))

from synthetic_fleet import NOW, SyntheticFleet  # noqa: E402

from bift_ros.dashboard.server import Dashboard  # noqa: E402
from bift_ros.dashboard.watch import Watch  # noqa: E402

PICTURES = REPOSITORY / "docs" / "pictures"
SIZE = {"width": 1440, "height": 1000}


def main() -> int:
    """Write dashboard-light.png and dashboard-dark.png; 1 where there is no browser."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        print("screenshots: needs chromium on the PATH", file=sys.stderr)
        return 1
    fleet = SyntheticFleet(vehicles=30, blocks=161, total_iter=120)
    dashboard = Dashboard(lambda _: None)
    dashboard.start(fleet.reading, Watch(fleet.traffic()), clock=lambda: NOW)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            for scheme in ("light", "dark"):
                take(browser, dashboard.url, scheme)
            browser.close()
    finally:
        dashboard.close()
    return 0


def take(browser: Browser, url: str, scheme: str) -> None:
    """One picture of the page, in few colours, so that the file stays small."""
    page = browser.new_page(viewport=SIZE, color_scheme=scheme)
    page.goto(url)
    page.wait_for_selector("#fleet tbody tr")
    picture = PICTURES / f"dashboard-{scheme}.png"
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
