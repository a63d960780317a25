"""The attacks by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from bift_ros.attacks.backdoor import Backdoor
from bift_ros.attacks.free_riders import CopyingFreeRider, DisguisedFreeRider
from bift_ros.attacks.interface import Attack
from bift_ros.attacks.krum_attack import BulyanAttack, KrumAttack
from bift_ros.attacks.label_flip import LabelFlip
from bift_ros.attacks.perturbations import (
    ALittleIsEnough,
    Gaussian,
    InnerProduct,
    MinMax,
    SignFlip,
)
from bift_ros.attacks.robust_attack import RobustAttack
from bift_ros.attacks.trimmed_mean_attack import TrimmedMeanAttack

ATTACKS: Mapping[str, Callable[[], Attack]] = {
    "label_flip": LabelFlip,
    "krum_attack": KrumAttack,
    "trimmed_mean_attack": TrimmedMeanAttack,
    "bulyan_attack": BulyanAttack,
    "robust_attack": RobustAttack,
    "alie": ALittleIsEnough,
    "inner_product": InnerProduct,
    "min_max": MinMax,
    "sign_flip": SignFlip,
    "gaussian": Gaussian,
    "backdoor": Backdoor,
    "free_rider_copy": CopyingFreeRider,
    "free_rider_noise": DisguisedFreeRider,
}


class UnknownAttack(ValueError):  # noqa: N818 - read as a statement
    """There is no attack of that name; lists those there are."""


def make_attack(name: str) -> Attack:
    """The attack of that name with its default settings. Raises UnknownAttack."""
    if name not in ATTACKS:
        raise UnknownAttack(f"unknown attack {name!r}: choose one of {', '.join(ATTACKS)}")
    return ATTACKS[name]()


def summary(attack: Attack) -> str:
    """What an attack does, in a line: its docstring's first."""
    return (inspect.getdoc(type(attack)) or "").splitlines()[0]
