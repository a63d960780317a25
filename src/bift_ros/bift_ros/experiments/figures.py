"""The paper's Figures 5 to 12, drawn from our rows, with the numbers that the paper's text has."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bift_ros.experiments.plan import FIGURES
from bift_ros.experiments.results import Row, label, split_label
from bift_ros.monitoring.colours import SERIES

_CAPTIONS = {
    "fig5": "Fig. 5: Bift's performance under {share} label-flip malicious nodes",
    "fig6": "Fig. 6: label-flip malicious nodes in different percentages",
    "fig7": "Fig. 7: Krum-attack malicious nodes in different percentages",
    "fig8": "Fig. 8: Bift's performance under {share} Krum-attack malicious nodes",
    "fig9": "Fig. 9: Bift's performance under {share} trim-attack malicious nodes",
    "fig10": "Fig. 10: trim-attack malicious nodes in different percentages",
    "fig11": "Fig. 11: Bift's performance under {share} Bulyan-attack malicious nodes",
    "fig12": "Fig. 12: Bulyan-attack malicious nodes in different percentages",
}
Line = tuple[str, float]
"""A rule, and the share of malicious vehicles."""


def draw(
    experiment: str, rows: Sequence[Row], classes: Mapping[str, Mapping[str, int]], path: Path
) -> None:
    """Write a figure as PNG: a panel for each split of the data.

    Figure 7 has one more, of ``classes`` (train and test → class → crops): the paper's captions of
    Figures 3 and 7 are interchanged, so either reading of it is there.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    alphas = list(dict.fromkeys(row["alpha"] for row in rows))
    panels = len(alphas) + (experiment == "fig7")
    figure, all_axes = plt.subplots(
        1, panels, figsize=(5.5 * panels, 4.2), layout="constrained", squeeze=False
    )
    for axes, alpha in zip(all_axes[0], alphas, strict=False):
        chosen = [row for row in rows if row["alpha"] == alpha]
        axes.set_prop_cycle(color=[light for light, _ in SERIES])
        draw_panel = _over_iterations if FIGURES[experiment].over == "iterations" else _over_shares
        draw_panel(axes, chosen)
        axes.set_title(split_label(alpha))
        axes.set_ylabel("test error")
        axes.set_ylim(0, 1)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    if experiment == "fig7":
        _class_counts(all_axes[0][-1], classes)
    shares = " and ".join(f"{s:.0%}" for s in sorted({r["malicious"] for r in rows} - {0.0}))
    figure.suptitle(_CAPTIONS[experiment].format(share=shares))
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _lines(rows: Sequence[Row]) -> dict[Line, list[Row]]:
    lines: dict[Line, list[Row]] = {}
    for row in rows:
        lines.setdefault((row["rule"], row["malicious"]), []).append(row)
    return lines


def _error(accuracy: float) -> float:
    """Percent of right answers → share of wrong ones."""
    return 1.0 - accuracy / 100.0


def _over_iterations(axes: Any, rows: Sequence[Row]) -> None:
    """The seeds' mean, from the best to the worst of them, and where the paper's curve ends."""
    for (rule, share), runs in _lines(rows).items():
        errors = [[_error(value) for value in row["curve"]] for row in runs]
        steps = range(1, len(errors[0]) + 1)
        middle = [statistics.fmean(values) for values in zip(*errors, strict=True)]
        (line,) = axes.plot(steps, middle, label=f"{label(rule)}, {share:.0%} malicious")
        if len(runs) > 1:
            low, high = ([pick(v) for v in zip(*errors, strict=True)] for pick in (min, max))
            axes.fill_between(steps, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
        if (paper := runs[0]["paper_accuracy"]) is not None:
            axes.plot(steps[-1], _error(paper), "x", color=line.get_color())
    _explain_crosses(axes, rows)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("iteration")


def _over_shares(axes: Any, rows: Sequence[Row]) -> None:
    """The seeds' mean with bars to the best and the worst, one line a rule."""
    by_rule: dict[str, list[tuple[float, list[Row]]]] = {}
    for (rule, share), runs in _lines(rows).items():
        by_rule.setdefault(rule, []).append((100 * share, runs))
    for rule, points in by_rule.items():
        errors = [[_error(row["accuracy"]) for row in runs] for _, runs in points]
        middle = [statistics.fmean(values) for values in errors]
        reach = [
            [m - min(values) for m, values in zip(middle, errors, strict=True)],
            [max(values) - m for m, values in zip(middle, errors, strict=True)],
        ]
        bars = axes.errorbar(
            [share for share, _ in points], middle, reach, marker="o", capsize=3, label=label(rule)
        )
        for share, runs in points:
            if (paper := runs[0]["paper_accuracy"]) is not None:
                axes.plot(share, _error(paper), "x", color=bars.lines[0].get_color())
    _explain_crosses(axes, rows)
    axes.set_xlabel("malicious vehicles (%)")


def _explain_crosses(axes: Any, rows: Sequence[Row]) -> None:
    if any(row["paper_accuracy"] is not None for row in rows):
        axes.plot([], [], "x", color="0.4", label="the paper's text, at the end")


def _class_counts(axes: Any, classes: Mapping[str, Mapping[str, int]]) -> None:
    """How many crops of each class there are to train and to test on."""
    left = dict.fromkeys(classes["train"], 0)
    for split, counts in classes.items():
        axes.barh(list(counts), list(counts.values()), left=list(left.values()), label=split)
        left = {name: left[name] + count for name, count in counts.items()}
    axes.set_title("traffic-light crops")
    axes.set_xlabel("crops")
    axes.invert_yaxis()
    axes.legend(fontsize="small")
