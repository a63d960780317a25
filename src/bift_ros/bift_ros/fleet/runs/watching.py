"""Shows a fleet's state for as long as a person watches: a live table, or lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live

from bift_ros.fleet.runs.display import iteration_line, vehicle_table
from bift_ros.fleet.runs.fleet import Fleet
from bift_ros.fleet.runtimes.runtime import FleetError, Monitor
from bift_ros.monitoring.status import Statuses

Show = Callable[[Statuses], None]


def watch(fleet: Fleet, monitor: Monitor, show: Show, warn: Callable[[str], None]) -> None:
    """Show what the vehicles say until none runs any more, which raises FleetError.

    `warn` is told of each vehicle that ends meanwhile.
    """
    told: set[str] = set()
    for statuses in fleet.statuses(monitor):
        show(statuses)
        for name in fleet.ended:
            if name not in told:
                warn(fleet.end_of(name))
                told.add(name)
        if not fleet.runs:
            raise FleetError(f"every vehicle of the fleet {fleet.record.name} has ended")


@contextmanager
def live_view(
    console: Console, picture: Callable[[Statuses], RenderableType] = vehicle_table
) -> Iterator[Show]:
    """A picture that is drawn anew in a terminal; elsewhere a line for each iteration."""
    if not console.is_terminal:
        yield _iteration_lines(console)
        return
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        yield lambda statuses: live.update(picture(statuses))


def _iteration_lines(console: Console) -> Show:
    told: set[tuple[str, int]] = set()

    def show(statuses: Statuses) -> None:
        for status in filter(None, statuses.values()):
            iteration = (status.task.model_id, status.task.current_iter)
            if iteration[1] > 0 and iteration not in told:
                told.add(iteration)
                console.print(iteration_line(status))

    return show


def json_lines(fleet: Fleet) -> Show:
    """Print the fleet's rows as a line of JSON whenever more than memory has changed."""
    last: list[dict[str, Any]] = []

    def show(statuses: Statuses) -> None:
        rows = fleet.rows(statuses)
        news = [{**row, "rss_mb": None} for row in rows]
        if news != last:
            last[:] = news
            print(json.dumps(rows), flush=True)

    return show
