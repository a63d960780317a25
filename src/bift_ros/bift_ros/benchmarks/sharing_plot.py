"""The paper's Figs. 13 and 14 drawn: average speed by the number of clients at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bift_ros.benchmarks.sharing import Row

_TITLES = {"sftp": "SFTP", "embedded": "Bift, embedded store", "kubo": "Bift, Kubo"}
_MARKERS = {"sftp": "s", "embedded": "o", "kubo": "^"}


def plot(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw a figure of each direction, a line of each backend; returns the PNG files."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    paths = []
    for direction in dict.fromkeys(row.direction for row in rows):
        figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
        mine = [row for row in rows if row.direction == direction]
        for backend in dict.fromkeys(row.backend for row in mine):
            points = sorted((row.clients, row.mb_per_s) for row in mine if row.backend == backend)
            clients, speeds = zip(*points, strict=True)
            axes.plot(clients, speeds, marker=_MARKERS[backend], label=_TITLES[backend])
        if direction == "upload":
            axes.set_yscale("log")  # publishing is far from sending
        axes.set_xlabel("clients at once")
        axes.set_ylabel(f"average {direction} speed (MB/s)")
        links = mine[0].mbit_per_s
        shaped = f"{links:g} Mbit/s each" if links else "links of any speed"
        axes.set_title(f"{direction.capitalize()}, {shaped}")
        axes.set_xticks(sorted({row.clients for row in mine}))
        axes.grid(alpha=0.3, which="both")
        axes.legend()
        paths.append(folder / f"storage-{direction}.png")
        figure.savefig(paths[-1], dpi=120)
        plt.close(figure)
    return paths
