"""A fleet's progress in the terminal: a row per vehicle, a row per iteration."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bift_ros.monitoring.status import Statuses, VehicleStatus


def vehicle_table(vehicles: Statuses) -> Table:
    """What every vehicle is doing."""
    table = Table(title="Vehicles", title_justify="left", expand=False)
    for heading in ("vehicle", "state", "tip"):
        table.add_column(heading, no_wrap=True)
    table.add_column("final", justify="right", no_wrap=True)
    table.add_column("mines", no_wrap=True)
    for heading in ("frames", "samples", "epoch", "loss", "stake", "refused", "RSS MB"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, status in vehicles.items():
        if status is None:
            table.add_row(name, "starting", *[""] * 10)
            continue
        table.add_row(
            name,
            status.state,
            f"{status.chain.height} {status.chain.tip[:8]}",
            str(status.chain.final_height),
            "yes" if status.mines else "no",
            str(status.dataset.frames_seen),
            str(status.dataset.samples),
            f"{status.training.epoch}/{status.training.local_epochs}",
            f"{status.training.loss:.3f}",
            str(status.chain.balance),
            str(status.chain.refused),
            str(status.resources.rss_mb),
        )
    return table


def equivocation_table(vehicles: Statuses) -> Table | None:
    """Who signed two blocks on one parent, and which vehicles hold the proof; None: nobody."""
    holders: dict[str, list[str]] = {}
    for name, status in vehicles.items():
        for line in status.chain.equivocations if status else ():
            holders.setdefault(line, []).append(name)
    if not holders:
        return None
    table = Table(title="Signed two blocks", title_justify="left", expand=False)
    table.add_column("what")
    table.add_column("proof held by")
    for line, names in sorted(holders.items()):
        table.add_row(Text(line), ", ".join(names))  # what vehicles say is no markup
    return table


def iteration_table(
    iterations: Mapping[int, VehicleStatus], accuracy: Mapping[int, float]
) -> Table:
    """What every finished iteration came to."""
    table = Table(title="Iterations", title_justify="left", expand=False)
    for heading in ("iteration", "rule", "contributors", "accuracy", "train s", "consensus s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for number, status in sorted(iterations.items()):
        measured = f"{accuracy[number]:.1%}" if number in accuracy else "…"
        table.add_row(
            f"{number}/{status.task.total_iter}",
            status.task.rule,
            str(status.task.contributors),
            measured,
            f"{status.training.training_seconds:.1f}",
            f"{status.training.consensus_seconds:.2f}",
        )
    return table


def iteration_line(status: VehicleStatus) -> str:
    """What the last finished iteration came to, where a table can't be drawn over and over."""
    return (
        f"iteration {status.task.current_iter}/{status.task.total_iter}: {status.task.rule}, "
        f"{status.task.contributors} contributors, tip {status.chain.tip[:12]}"
    )


def progress(
    headline: str,
    vehicles: Statuses,
    iterations: Mapping[int, VehicleStatus],
    accuracy: Mapping[int, float],
) -> RenderableType:
    """The whole live display."""
    return Group(Text(headline), vehicle_table(vehicles), iteration_table(iterations, accuracy))
