"""What the paper measured, to stand beside ours (He et al. 2022, Table VII and section VI-B).

The curves of its figures are pictures; only these numbers are in its text.
"""

from __future__ import annotations

from bift_ros.experiments.federation import NO_ATTACK
from bift_ros.experiments.plan import BIFT, SHARE, Case

_COLUMNS = ("bift", "krum", "trimmed_mean", "bulyan", "fedavg")
_TABLE_7 = {
    "label_flip": (92.3, 89.8, 90.4, 91.2, 54.1),
    "krum_attack": (92.8, 53.8, 85.3, 83.5, 87.6),
    "trimmed_mean_attack": (91.3, 76.3, 52.1, 85.2, 73.1),
    "bulyan_attack": (91.0, 82.5, 88.6, 85.7, 88.2),
}
_FIG_5 = {(NO_ATTACK, "fedavg"): 92.5, ("label_flip", "fedavg"): 54.1, ("label_flip", "bift"): 91.8}


def paper_accuracy(experiment: str, case: Case) -> float | None:
    """The paper's accuracy in percent, where its text has one.

    Its Bift stands beside both of ours; it drops late updates, so among the parts of the defence
    its number belongs to rule and lateness. The paper had 30% malicious vehicles and one split, of
    which it says nothing; we take it for independent and identically distributed.
    """
    rule = "bift" if case.rule in BIFT else case.rule
    if case.alpha is not None or case.malicious not in (SHARE, 0.0):
        return None
    if case.attack == NO_ATTACK and case.malicious:
        return None  # a reference of ours
    if experiment == "fig5" or case.attack == NO_ATTACK:
        return _FIG_5.get((case.attack, rule))
    if experiment == "defences":
        measured = "rule and lateness" if rule == "bift" else "rule alone"
        if case.part != measured:
            return None
    row = _TABLE_7.get(case.attack)
    return row[_COLUMNS.index(rule)] if row and rule in _COLUMNS else None
