"""A long run drawn: disk and memory by iteration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the fullest vehicle's disk and all vehicles' memory."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    iterations = [row["iteration"] for row in rows]
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for field, label in (
        ("memory_mib", "memory of all vehicles"),
        ("disk_mib", "disk of the fullest vehicle"),
        ("chain_mib", "its chain's part"),
    ):
        axes.plot(iterations, [row[field] for row in rows], label=label)
    axes.set_xlabel("iterations")
    axes.set_ylabel("MiB")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)
