"""What a run's plots show. Each is drawn only where the run holds what it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bift_ros.reports.run import Iteration, Run
from bift_ros.reports.svg import INK, LINE, PAPER, SERIES, inline, page_style

_MARKERS = "osD^vPXh"
_FEW = len(SERIES)
"""The most vehicles that have a colour each."""
_MARKED = 60
"""The most points of a line that are marked; more would hide it."""


def draw_all(run: Run) -> Mapping[str, Markup]:
    """Every plot that can be drawn, by name."""
    plots: dict[str, Markup] = {}
    with page_style():
        if run.iterations:
            plots["accuracy"] = accuracy(run.iterations)
            plots["stakes"] = stakes(run)
            plots["seconds"] = seconds(run.iterations)
        if any(vehicle.peak_rss_mb is not None for vehicle in run.vehicles):
            memory = {v.name: v.peak_rss_mb for v in run.vehicles}
            plots["memory"] = _bars("memory", "Peak memory by vehicle", "MiB", memory)
        if any(vehicle.samples is not None for vehicle in run.vehicles):
            samples = {v.name: v.samples for v in run.vehicles}
            plots["datasets"] = _bars("datasets", "Dataset sizes by vehicle", "crops", samples)
        if run.blocks:
            plots["chain"] = chain(run)
    return plots


def accuracy(iterations: Sequence[Iteration]) -> Markup:
    """Measured and claimed accuracy by iteration; the marker is the rule's."""
    figure, axes = _figure("iteration", "accuracy (%)")
    rules = sorted({iteration.rule for iteration in iterations})
    markers = dict(zip(rules, _MARKERS * len(rules), strict=False))
    lines: dict[str, list[tuple[int, float | None, str]]] = {
        "test set": [(i.number, i.test_accuracy, i.rule) for i in iterations],
        "as the chain states it": [(i.number, i.accuracy, i.rule) for i in iterations],
    }
    for (label, values), colour in zip(lines.items(), SERIES, strict=False):
        points = [(x, 100 * y, rule) for x, y, rule in values if y is not None]
        if not points:
            continue
        axes.plot([p[0] for p in points], [p[1] for p in points], color=colour, label=label)
        for rule, marker in markers.items():
            mine = [p for p in points if p[2] == rule]
            axes.scatter([p[0] for p in mine], [p[1] for p in mine], color=colour, marker=marker)
    for rule, marker in markers.items():
        axes.scatter([], [], color=INK, marker=marker, label=f"rule {rule}")
    _legend(axes)
    last = iterations[-1]
    measured = "" if last.test_accuracy is None else f", {last.test_accuracy:.1%} on the test set"
    return inline(
        figure,
        "plot-accuracy",
        "Accuracy of the global model by iteration",
        f"After iteration {last.number} the chain states {last.accuracy:.1%}{measured}.",
    )


def stakes(run: Run) -> Markup:
    """Each vehicle's stake after each iteration."""
    figure, axes = _figure("iteration", "stake")
    numbers = [0, *(iteration.number for iteration in run.iterations)]
    attackers = {vehicle.name for vehicle in run.vehicles if vehicle.attack}
    names = sorted({name for iteration in run.iterations for name in iteration.stakes})
    few = len(names) <= _FEW
    seen: set[str] = set()
    for n, name in enumerate(names):
        values = [0, *(iteration.stakes.get(name, 0) for iteration in run.iterations)]
        group = name if few else "malicious" if name in attackers else "honest"
        axes.plot(
            numbers,
            values,
            color=SERIES[n if few else name in attackers],
            linestyle="--" if name in attackers else "-",
            # Stakes are often equal: of few vehicles, those below are seen beside those above.
            linewidth=1.5 + 1.2 * (len(names) - 1 - n) if few else 1.5,
            label=None if group in seen else group,
        )
        seen.add(group)
    _legend(axes)
    last = run.iterations[-1].stakes
    return inline(
        figure,
        "plot-stakes",
        "Stake by iteration",
        f"After iteration {run.iterations[-1].number} the stakes range from "
        f"{min(last.values())} to {max(last.values())}; dashed lines are malicious vehicles'.",
    )


def seconds(iterations: Sequence[Iteration]) -> Markup:
    """How long each iteration took, and what of it was measured."""
    figure, axes = _figure("iteration", "seconds")
    numbers = [iteration.number for iteration in iterations]
    whole = [iteration.seconds for iteration in iterations]
    marker = "." if len(numbers) <= _MARKED else None
    axes.plot(numbers, whole, color=INK, marker=marker, label="block to block")
    below = [0.0] * len(iterations)
    parts = dict.fromkeys(part for i in iterations for part in i.parts or {})
    for part, colour in zip(parts, SERIES, strict=False):
        heights = [(i.parts or {}).get(part, 0.0) for i in iterations]
        axes.bar(numbers, heights, bottom=below, width=0.6, color=colour, label=part)
        below = [a + b for a, b in zip(below, heights, strict=True)]
    axes.set_ylim(bottom=0)
    _legend(axes)
    return inline(
        figure,
        "plot-seconds",
        "Seconds by iteration",
        "The line is the time from one model's block to the next, by the miners' clocks; the bars "
        "are the slowest vehicle's training, storage and consensus.",
    )


def chain(run: Run) -> Markup:
    """The blocks by height, other branches below the chain; blocks with a model are labelled."""
    top = max(block.height for block in run.blocks)
    depth = max(block.lane for block in run.blocks)
    figure = Figure(figsize=(1.2 + 0.42 * (top + 1), 1.5 + 0.45 * depth), layout="constrained")
    axes = figure.subplots()
    places = {block.hash: (block.height, -block.lane) for block in run.blocks}
    for on_chain, colour, style in ((True, LINE, "solid"), (False, INK, "dotted")):
        lines = [
            (places.get(block.previous_hash, (0, 0)), places[block.hash])
            for block in run.blocks
            if block.on_chain == on_chain
        ]
        axes.add_collection(LineCollection(lines, colors=colour, linestyles=style, zorder=1))
    axes.scatter([0], [0], marker="*", s=90, color=INK, label="genesis", zorder=2)
    rules = sorted({block.rule for block in run.blocks if block.rule is not None})
    for n, rule in enumerate([None, *rules]):
        points = [places[block.hash] for block in run.blocks if block.rule == rule]
        axes.scatter(
            [x for x, _ in points],
            [y for _, y in points],
            s=28 if rule is None else 70,
            color=PAPER if rule is None else SERIES[(n - 1) % _FEW],
            edgecolors=INK,
            marker="o" if rule is None else "s",
            label="no model" if rule is None else f"model, {rule}",
            zorder=2,
        )
    for iteration in run.iterations:
        axes.annotate(
            str(iteration.number), (iteration.height, 0), (0, 8), textcoords="offset points",
            ha="center",
        )  # fmt: skip
    axes.set_xlabel("height")
    axes.set_xlim(-0.6, top + 0.6)
    axes.set_ylim(-depth - 0.7, 0.9)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=max(4, top // 2), integer=True))
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.35), ncols=2)
    side = sum(not block.on_chain for block in run.blocks)
    return inline(
        figure,
        "plot-chain",
        "The chain and its forks",
        f"{run.height} blocks on the chain, {side} on other branches, which are dotted. "
        "The numbers are the iterations.",
    )


def _bars(name: str, title: str, unit: str, values: Mapping[str, int | None]) -> Markup:
    known = {vehicle: value for vehicle, value in values.items() if value is not None}
    figure = Figure(figsize=(7.5, 0.8 + 0.25 * len(known)), layout="constrained")
    axes = figure.subplots()
    axes.barh(list(known), list(known.values()), color=SERIES[0], height=0.7)
    axes.set_ylim(len(known) - 0.4, -0.6)  # the first one on top
    axes.set_xlabel(unit)
    axes.grid(visible=False, axis="y")
    said = f"From {min(known.values())} to {max(known.values())} {unit}."
    return inline(figure, f"plot-{name}", title, said)


def _figure(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axes: Axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure, axes


def _legend(axes: Axes) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
