"""What a finished run came to: `report.json`, `accuracy.png` and a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from bift_ros.chain.verification import Verification
from bift_ros.consensus.genesis import Genesis
from bift_ros.monitoring.colours import SERIES
from bift_ros.monitoring.status import Statuses, VehicleStatus


def build(
    outcomes: Mapping[str, Verification],
    genesis: Genesis,
    statuses: Statuses,
    iterations: Mapping[int, Mapping[str, VehicleStatus]],
    accuracy: Mapping[int, float],
    malicious: Mapping[str, str],
    wall_seconds: float,
) -> dict[str, Any]:
    """The content of `report.json`.

    `statuses` is each vehicle's last status; `iterations` holds, by iteration and vehicle, the
    status in which the vehicle first stood on that iteration's model; `malicious` is the attack of
    each vehicle that was set to carry one out.
    """
    outcome = next(iter(outcomes.values()))
    state, task = outcome.state, outcome.state.latest_task
    history = [m for m in outcome.models if task is not None and m.model_id == task.model_id]
    accuracies = [accuracy.get(i) for i in range(1, len(history) + 1)]
    known = {**genesis.by_address, **state.members}  # by vote, others may have joined
    names = {address: member.name for address, member in known.items()}
    paid = sum(len(i.contributors) for i in history) * genesis.policy.reward
    return {
        "vehicles": len(outcomes),
        "mode": genesis.policy.mode,
        "iterations": len(history),
        "agreed": len({o.state.tip_hash for o in outcomes.values()}) == 1,
        "tip": state.tip_hash.hex(),
        "height": state.height,
        "heights": {name: o.state.height for name, o in outcomes.items()},
        "verified": {name: o.problem or True for name, o in outcomes.items()},
        "accuracy": accuracies,
        "final_accuracy": accuracies[-1] if accuracies else None,
        "rules": [i.rule for i in history],
        "contributors": [[names.get(a, a) for a in i.contributors] for i in history],
        "balances": {names.get(a, a): balance for a, balance in state.balances.items()},
        "balances_add_up": sum(state.balances.values()) == paid,
        "malicious": dict(malicious),
        "dataset_sizes": {n: s.dataset.samples if s else None for n, s in statuses.items()},
        "update_bytes": max((s.training.update_bytes for s in statuses.values() if s), default=0),
        "global_cids": [i.global_cid for i in history],
        "seconds": [_seconds(iterations.get(i, {})) for i in range(1, len(history) + 1)],
        "peak_rss_mb": {n: s.resources.peak_rss_mb if s else None for n, s in statuses.items()},
        "wall_seconds": round(wall_seconds, 1),
    }


def _seconds(vehicles: Mapping[str, VehicleStatus]) -> dict[str, float]:
    """The slowest vehicle's share of an iteration, by what it went into."""
    parts = [s.training for s in vehicles.values()]
    return {
        "training": round(max((p.training_seconds for p in parts), default=0.0), 3),
        "storage": round(max((p.storage_seconds for p in parts), default=0.0), 3),
        "consensus": round(max((p.consensus_seconds for p in parts), default=0.0), 3),
    }


def final_table(report: Mapping[str, Any]) -> Table:
    """The report for people."""
    table = Table(title="Result", title_justify="left")
    table.add_column("vehicle")
    for heading in ("samples", "stake", "peak RSS MB"):
        table.add_column(heading, justify="right")
    table.add_column("chain verify")
    for name, verified in report["verified"].items():
        attack = report["malicious"].get(name)
        table.add_row(
            f"{name} ({attack})" if attack else name,
            str(report["dataset_sizes"].get(name)),
            str(report["balances"].get(name)),
            str(report["peak_rss_mb"].get(name)),
            "passed" if verified is True else f"FAILED: {verified}",
        )
    final = report["final_accuracy"]
    table.caption = (
        f"{report['iterations']} iterations in {report['wall_seconds']} s; "
        f"{'all stand on' if report['agreed'] else 'NOT all stand on'} tip "
        f"{report['height']} {report['tip'][:12]}; final accuracy "
        + (f"{final:.1%}" if final is not None else "not measured")
    )
    return table


def plot_accuracy(report: Mapping[str, Any], path: Path) -> None:
    """Draw the global model's test accuracy by iteration, the rule of each as its marker."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    axes.set_prop_cycle(color=[light for light, _ in SERIES])
    points = [
        (i, a, r)
        for i, (a, r) in enumerate(zip(report["accuracy"], report["rules"], strict=True), 1)
        if a is not None
    ]
    axes.plot([p[0] for p in points], [100 * p[1] for p in points], color="0.6", zorder=1)
    for rule in sorted({p[2] for p in points}):
        mine = [p for p in points if p[2] == rule]
        axes.scatter([p[0] for p in mine], [100 * p[1] for p in mine], label=rule, zorder=2)
    axes.set_xlabel("iteration")
    axes.set_ylabel("accuracy on the held-out test set (%)")
    axes.set_title(f"Global model of {report['vehicles']} vehicles")
    axes.grid(alpha=0.3)
    if points:
        axes.legend(title="rule", loc="lower right")
    figure.savefig(path, dpi=120)
    plt.close(figure)
