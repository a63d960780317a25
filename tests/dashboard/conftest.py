"""A dashboard of the synthetic fleet, and a browser to look at it."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for this room's `synthetic_fleet`

from synthetic_fleet import NOW, SyntheticFleet

from bift_ros.dashboard.server import Dashboard
from bift_ros.dashboard.watch import Watch

CHROMIUM = ["--no-sandbox", "--disable-gpu"]
"""Without the process that plays a GPU in software: there is less that could end."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Shown:
    """A fleet and the dashboard that shows it."""

    fleet: SyntheticFleet
    dashboard: Dashboard

    @property
    def url(self) -> str:
        return self.dashboard.url

    def change(self, make: Callable[[], None]) -> None:
        """Let something happen in the fleet."""
        make()
        self.dashboard.changed()


def show(fleet: SyntheticFleet, data: Path) -> Iterator[Shown]:
    """Serve a fleet for as long as the iterator lives."""

    def find_dataset(name: str) -> Path | None:
        return data / name / "dataset" if (data / name).is_dir() else None

    dashboard = Dashboard(find_dataset)
    dashboard.start(fleet.reading, Watch(fleet.traffic()), clock=lambda: NOW)
    yield Shown(fleet, dashboard)
    dashboard.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Where the vehicles' data folders are looked for."""
    return tmp_path


@pytest.fixture
def small(data: Path) -> Iterator[Shown]:
    """Three vehicles and a short chain."""
    yield from show(SyntheticFleet(vehicles=3, blocks=7, total_iter=10), data)


@pytest.fixture
def large(data: Path) -> Iterator[Shown]:
    """What the page must bear: 30 vehicles, 1,000 blocks and forks beside them."""
    yield from show(SyntheticFleet(), data)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium on the PATH: on Debian, apt-get install chromium")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=program, args=CHROMIUM)
        yield chromium
        chromium.close()


@dataclass
class Visit:
    """A page in the browser, and what went on behind it."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    """Errors and warnings of its console, and exceptions."""
    requests: list[str] = field(default_factory=list)

    def wait(self, condition: str) -> None:
        """Wait until a JavaScript expression is true."""
        # Playwright's own way evaluates a text in the page, which the page's policy forbids.
        deadline = time.monotonic() + 150
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, f"never came: {condition}; {self._stand()}"
            self.page.wait_for_timeout(20)

    def _stand(self) -> str:
        page = self.page.evaluate("""() => ({
            shown: document.visibilityState,
            loaded: document.readyState,
            connection: document.getElementById("connection")?.dataset.state,
            drawn: document.body.dataset.drawn,
            resources: performance.getEntriesByType("resource").map(
                (r) => `${r.name.split("/").pop()} ${r.responseStatus} ${r.responseEnd}`),
        })""")
        return f"the page: {page}, its complaints: {self.complaints}, asked for: {self.requests}"


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Visit]]:
    """Opens addresses; waits until as many vehicles as the fleet has are drawn."""
    contexts = []

    def open_page(shown: Shown, fragment: str = "", **settings: Any) -> Visit:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **settings})
        contexts.append(context)
        visited = Visit(context.new_page())
        page = visited.page
        page.set_default_timeout(60_000)
        page.on("request", lambda request: visited.requests.append(request.url))
        page.on("pageerror", lambda error: visited.complaints.append(str(error)))
        page.on(
            "console",
            lambda line: (
                visited.complaints.append(line.text) if line.type in ("error", "warning") else None
            ),
        )
        page.goto(shown.url + fragment)
        visited.wait(f"document.body.dataset.drawn === '{len(shown.fleet.names)}'")
        return visited

    yield open_page
    for context in contexts:
        context.close()
