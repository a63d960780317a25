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

from bift_ros.dashboard.sampling import Sampler
from bift_ros.dashboard.server import Dashboard

CHROMIUM = ["--no-sandbox", "--disable-gpu"]
"""Without the process that plays a GPU in software: there is less that could end."""
INTERRUPTED = "ERR_NETWORK_CHANGED"
"""What Chromium ends requests with when the machine's networks change: other tests' containers."""
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
    dashboard.start(fleet.reading, Sampler(fleet.traffic()), clock=lambda: NOW)
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium. For a file and no longer: its event loop runs in the tests' thread."""
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
    drawn: str
    """When the page is there, as a JavaScript expression."""
    complaints: list[str] = field(default_factory=list)
    """Errors and warnings of its console, and exceptions."""
    requests: list[str] = field(default_factory=list)
    interruptions: int = 0

    def __post_init__(self) -> None:
        self.page.set_default_timeout(60_000)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._heard)

    def _heard(self, line: Any) -> None:
        if INTERRUPTED in line.text:
            self.interruptions += 1
        elif line.type in ("error", "warning"):
            self.complaints.append(line.text)

    def open(self, address: str) -> None:
        """Go to an address, and wait until the page is there."""
        self._load(lambda: self.page.goto(address))

    def reload(self) -> None:
        """Load the page once more, and wait until it is there."""
        self._load(self.page.reload)

    def _load(self, ask: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 150
        while True:
            before = self.interruptions
            try:
                ask()
            except Exception as error:  # Playwright's, which may not be there to be imported
                if INTERRUPTED not in str(error):
                    raise
                self.interruptions += 1
            while self.interruptions == before:
                if self.page.evaluate(self.drawn):
                    return
                assert time.monotonic() < deadline, f"never drawn; {self._stand()}"
                self.page.wait_for_timeout(20)
            ask = self.page.reload  # to go to a fragment once more would load nothing

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
def look(browser: Any) -> Iterator[Callable[..., Visit]]:
    """Opens an address in a browser of its own, until the page is there."""
    contexts = []

    def open_address(address: str, drawn: str, **settings: Any) -> Visit:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **settings})
        contexts.append(context)
        visited = Visit(context.new_page(), drawn)
        visited.open(address)
        return visited

    yield open_address
    for context in contexts:
        context.close()


@pytest.fixture
def visit(look: Callable[..., Visit]) -> Callable[..., Visit]:
    """Opens a fleet's page, until as many vehicles as the fleet has are drawn."""

    def open_page(shown: Shown, fragment: str = "", **settings: Any) -> Visit:
        drawn = f"document.body.dataset.drawn === '{len(shown.fleet.names)}'"
        return look(shown.url + fragment, drawn, **settings)

    return open_page
