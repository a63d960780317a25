"""Which runs each of the paper's tables and figures needs (He et al. 2022, section VI-B)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bift_ros.attacks.interface import Knowledge
from bift_ros.experiments.federation import NO_ATTACK, Settings
from bift_ros.pofl.aggregate import RULES

BIFT = tuple(rule for rule in ("robust", "mixed") if rule in RULES)
"""What counts as Bift: the default rule, and the paper's draw from three."""
SINGLE = ("krum", "trimmed_mean", "bulyan")
NO_DEFENCE = "fedavg"
ATTACKS = ("label_flip", "krum_attack", "trimmed_mean_attack", "bulyan_attack")
SHARE = 0.3
SHARES = (0.1, 0.2, 0.3)


@dataclass(frozen=True)
class Scale:
    """How much is trained and tested."""

    vehicles: int
    crops: int
    """Of each vehicle."""
    test_crops: int
    """Where crops are synthesized."""
    local_epochs: int
    batch_size: int
    learning_rate: float
    iterations: int
    seeds: int


PRESETS: Mapping[str, Scale] = {
    # table7 within 20 minutes on two cores.
    "quick": Scale(30, 200, 1500, 2, 10, 0.001, 20, 1),
    # Tables V and VI; the 50 iterations stand in the text of section VI-B.
    "paper": Scale(30, 500, 3000, 10, 10, 0.001, 50, 3),
}


@dataclass(frozen=True)
class Part:
    """A part of Bift's defence: what it leaves to the attackers."""

    knowledge: Knowledge
    lateness: bool
    """Whether updates that wait for others' come too late."""


PARTS: Mapping[str, Part] = {
    "rule alone": Part("full", False),
    "rule and lateness": Part("full", True),
    "commit–reveal": Part("own", False),
    "all": Part("own", True),
}


@dataclass(frozen=True)
class Case:
    """What is asked of one run of each seed."""

    attack: str
    rule: str
    malicious: float
    alpha: float | None
    part: str = "rule alone"
    """A name in PARTS."""

    def settings(self, seed: int, scale: Scale, data: str) -> Settings:
        """The run that answers it; several cases may have the same."""
        part = PARTS[self.part]
        return Settings(
            attack=self.attack,
            rule=self.rule,
            malicious=self.malicious,
            knowledge=part.knowledge,
            late=part.lateness,
            alpha=self.alpha,
            seed=seed,
            vehicles=scale.vehicles,
            crops=scale.crops,
            local_epochs=scale.local_epochs,
            batch_size=scale.batch_size,
            learning_rate=scale.learning_rate,
            data=data,
        ).simplest()


@dataclass(frozen=True)
class Figure:
    """One of the paper's figures: test errors of Bift and of what it is compared with."""

    attack: str
    rival: str
    """The rule beside Bift's."""
    over: str
    """`iterations`, with 30% malicious vehicles, or `malicious`, their share, at the end."""


FIGURES: Mapping[str, Figure] = {
    "fig5": Figure("label_flip", NO_DEFENCE, "iterations"),
    "fig6": Figure("label_flip", NO_DEFENCE, "malicious"),
    "fig7": Figure("krum_attack", "krum", "malicious"),
    "fig8": Figure("krum_attack", "krum", "iterations"),
    "fig9": Figure("trimmed_mean_attack", "trimmed_mean", "iterations"),
    "fig10": Figure("trimmed_mean_attack", "trimmed_mean", "malicious"),
    "fig11": Figure("bulyan_attack", "bulyan", "iterations"),
    "fig12": Figure("bulyan_attack", "bulyan", "malicious"),
}


@dataclass(frozen=True)
class Choice:
    """What a person may choose; empty: the experiment's own."""

    attacks: Sequence[str] = ()
    rules: Sequence[str] = ()
    shares: Sequence[float] = ()
    alphas: Sequence[float | None] = (None,)


def cases(experiment: str, choice: Choice) -> list[Case]:
    """An experiment's cases, each once, in the order of its table."""
    found = (
        case
        for alpha in choice.alphas
        for case in (
            _figure(FIGURES[experiment], choice, alpha)
            if experiment in FIGURES
            else _table7(choice, alpha)
            if experiment == "table7"
            else _defences(choice, alpha)
        )
    )
    return list(dict.fromkeys(found))


def runs_of(asked: Sequence[Case], scale: Scale, data: str) -> list[tuple[Case, Settings]]:
    """Each case with the run of each of its seeds, from 1."""
    seeds = range(1, scale.seeds + 1)
    return [(case, case.settings(seed, scale, data)) for case in asked for seed in seeds]


def _baseline(alpha: float | None) -> Case:
    """Plain FedAvg that nobody attacks."""
    return Case(NO_ATTACK, NO_DEFENCE, 0.0, alpha)


def _left_out(share: float, alpha: float | None) -> Case:
    """Plain FedAvg of the others: what a defence comes to that finds each attacker at once."""
    return Case(NO_ATTACK, NO_DEFENCE, share, alpha, "rule and lateness")


def _table7(choice: Choice, alpha: float | None) -> Iterator[Case]:
    for share in choice.shares or (SHARE,):
        for attack in choice.attacks or ATTACKS:
            for rule in choice.rules or (*BIFT, *SINGLE, NO_DEFENCE):
                yield Case(attack, rule, share, alpha)
        yield _left_out(share, alpha)
    yield _baseline(alpha)


def _figure(figure: Figure, choice: Choice, alpha: float | None) -> Iterator[Case]:
    over_shares = figure.over == "malicious"
    if not over_shares:
        yield _baseline(alpha)
    for rule in (*BIFT, figure.rival):
        for share in choice.shares or (SHARES if over_shares else (SHARE,)):
            yield Case(figure.attack, rule, share, alpha)


def _defences(choice: Choice, alpha: float | None) -> Iterator[Case]:
    """Each rule with each part, and Bift's own rule with all of them."""
    for share in choice.shares or (SHARE,):
        for attack in choice.attacks or ATTACKS:
            for rule in dict.fromkeys((*(choice.rules or (*SINGLE, *BIFT)), BIFT[0])):
                for part in PARTS:
                    if part != "all" or rule == BIFT[0]:
                        yield Case(attack, rule, share, alpha, part)
