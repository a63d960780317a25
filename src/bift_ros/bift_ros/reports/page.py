"""A run as one HTML file: no script in it, and nothing that it would fetch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import resources

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from bift_ros.history.iterations import Outcome
from bift_ros.monitoring.colours import custom_properties
from bift_ros.reports.plots import draw_all
from bift_ros.reports.run import Run

_CELLS = {
    Outcome.CONTRIBUTED: Markup('<td class="contributed" title="contributed">✓</td>'),
    Outcome.LEFT_OUT: Markup('<td class="left-out" title="left out by the rule">✗</td>'),
    Outcome.NOT_REVEALED: Markup('<td title="committed, and did not reveal">○</td>'),
    Outcome.NOT_COMMITTED: Markup('<td title="did not commit">·</td>'),
    Outcome.ABSENT: Markup('<td title="no update in the block">·</td>'),
}


@dataclass(frozen=True)
class _Row:
    """A vehicle in the matrix of contributions."""

    name: str
    attack: str | None
    outcomes: tuple[str, ...]
    """One for each iteration."""


def render(run: Run) -> str:
    """The page. All that comes from the run is escaped."""
    folder = resources.files("bift_ros.reports")
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters["utc"] = _utc
    environment.filters["numeric"] = lambda names: [f"#{name}" for name in names]
    template = environment.from_string((folder / "page.html").read_text(encoding="utf-8"))
    plots = draw_all(run)
    return template.render(
        run=run,
        css=Markup(_colours() + (folder / "page.css").read_text(encoding="utf-8")),
        plots=plots,
        cells={outcome.value: cell for outcome, cell in _CELLS.items()},
        matrix=list(_matrix(run)),
        attackers=sum(vehicle.attack is not None for vehicle in run.vehicles),
        parts=list(dict.fromkeys(part for i in run.iterations for part in i.parts or {})),
        classes=next((list(v.classes) for v in run.vehicles if v.classes is not None), []),
        sections=list(_sections(run, "memory" in plots, "datasets" in plots)),
    )


def _colours() -> str:
    """By the reader's system; what is printed or mailed is opened by old browsers too."""
    properties = custom_properties().items()
    light = " ".join(f"--{name}: {shade};" for name, (shade, _) in properties)
    dark = " ".join(f"--{name}: {shade};" for name, (_, shade) in properties)
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"


def _sections(run: Run, memory: bool, datasets: bool) -> Iterator[tuple[str, str]]:
    """The headings that the page has, and their ids."""
    there = {
        "vehicles": True,
        "accuracy": bool(run.iterations),
        "contributions": bool(run.iterations),
        "refused": True,
        "stakes": bool(run.iterations),
        "seconds": bool(run.iterations),
        "memory": memory,
        "datasets": datasets,
        "chain": True,
    }
    return ((name, name.capitalize()) for name, shown in there.items() if shown)


def _matrix(run: Run) -> Iterator[_Row]:
    """Who contributed when: everybody who has or had stake, members that left included."""
    attacks = {vehicle.name: vehicle.attack for vehicle in run.vehicles}
    names = dict.fromkeys(attacks)
    for iteration in run.iterations:
        names |= dict.fromkeys(iteration.stakes)
    for name in names:
        absent = Outcome.ABSENT.value
        outcomes = tuple(i.outcomes.get(name, absent) for i in run.iterations)
        yield _Row(name, attacks.get(name), outcomes)


def _utc(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
    return moment.strftime("%Y-%m-%d %H:%M:%S")
