"""Which runs each table and figure asks for, and which of them are one and the same."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bift_ros.attacks.registry import make_attack
from bift_ros.experiments.federation import Settings
from bift_ros.experiments.paper_results import paper_accuracy
from bift_ros.experiments.plan import BIFT, FIGURES, PRESETS, Case, Choice, cases

QUICK = PRESETS["quick"]


def runs(asked: Sequence[Case]) -> list[Settings]:
    """The different runs behind cases."""
    return list(dict.fromkeys(case.settings(1, QUICK, "") for case in asked))


def test_the_paper_preset_is_tables_v_and_vi() -> None:
    paper = PRESETS["paper"]
    assert paper.vehicles * paper.crops == 15_000
    assert (paper.vehicles, paper.test_crops, paper.local_epochs) == (30, 3000, 10)
    assert (paper.batch_size, paper.learning_rate, paper.iterations) == (10, 0.001, 50)
    assert paper.seeds == 3


def test_table_7_is_the_papers_and_two_baselines() -> None:
    asked = cases("table7", Choice())
    assert len(asked) == 4 * (len(BIFT) + 4) + 2
    assert {case.malicious for case in asked} == {0.3, 0.0}
    numbers = [paper_accuracy("table7", case) for case in asked if case.rule not in BIFT[1:]]
    assert numbers == [
        92.3, 89.8, 90.4, 91.2, 54.1,
        92.8, 53.8, 85.3, 83.5, 87.6,
        91.3, 76.3, 52.1, 85.2, 73.1,
        91.0, 82.5, 88.6, 85.7, 88.2,
        None, 92.5,
    ]  # fmt: skip


def test_splits_shares_attacks_and_rules_multiply() -> None:
    choice = Choice(["alie"], ["krum", "fedavg"], [0.1, 0.2], [None, 0.5])
    assert len(cases("table7", choice)) == 2 * (2 * (2 + 1) + 1)
    assert paper_accuracy("table7", Case("krum_attack", "krum", 0.3, 0.5)) is None
    assert paper_accuracy("table7", Case("krum_attack", "krum", 0.2, None)) is None
    assert paper_accuracy("table7", Case("alie", "krum", 0.3, None)) is None


@pytest.mark.parametrize("name", FIGURES)
def test_figures_compare_bift_with_their_rival(name: str) -> None:
    asked, figure = cases(name, Choice()), FIGURES[name]
    attacked = [case for case in asked if case.malicious]
    assert {case.attack for case in attacked} == {figure.attack}
    assert {case.rule for case in attacked} == {*BIFT, figure.rival}
    shares = {0.3, 0.0} if figure.over == "iterations" else {0.1, 0.2, 0.3}
    assert {case.malicious for case in asked} == shares
    at_30 = set(runs([case for case in asked if case.malicious in (0.3, 0.0)]))
    assert at_30 <= set(runs(cases("table7", Choice())))  # shared with the table


def test_figure_5_has_the_numbers_of_the_text() -> None:
    numbers = {paper_accuracy("fig5", case) for case in cases("fig5", Choice())}
    assert numbers == {92.5, 91.8, 54.1}


def settings(attack: str, part: str, rule: str = "krum", malicious: float = 0.3) -> Settings:
    return Case(attack, rule, malicious, None, part).settings(1, QUICK, "")


def test_the_bulyan_attack_is_the_krum_attack() -> None:
    for part in ("rule alone", "commit–reveal"):
        assert settings("bulyan_attack", part) == settings("krum_attack", part)
    bulyan, krum = type(make_attack("bulyan_attack")), type(make_attack("krum_attack"))
    assert set(vars(bulyan)) & {"poison", "craft", "vectors", "_largest_lambda"} == set()
    assert bulyan.__mro__[1] is krum


def test_data_poisoning_is_the_same_in_every_part() -> None:
    same = {settings("label_flip", part) for part in ("rule alone", "rule and lateness")}
    assert same == {settings("label_flip", "commit–reveal")}
    assert not settings("label_flip", "rule and lateness").late


def test_late_attackers_are_left_out_whatever_they_craft() -> None:
    krum, trim = (settings(f"{n}_attack", "rule and lateness") for n in ("krum", "trimmed_mean"))
    assert krum == trim
    assert krum.late
    assert krum.attackers == 9
    assert krum != settings("none", "rule alone")


def test_with_commit_and_reveal_nothing_is_worth_waiting_for() -> None:
    assert settings("alie", "all") == settings("alie", "commit–reveal")
    assert settings("alie", "all").knowledge == "own"
    assert settings("alie", "all") != settings("alie", "rule alone")


def test_nobody_attacks_where_nobody_is_malicious() -> None:
    assert settings("alie", "all", malicious=0.0) == settings("none", "rule alone", malicious=0.0)


def test_only_bifts_own_rule_has_all_parts() -> None:
    asked = cases("defences", Choice(rules=["krum"]))
    assert {case.rule for case in asked if case.part == "all"} == {BIFT[0]}
    parts = [case.part for case in asked if case.rule == "krum" and case.attack == "label_flip"]
    assert parts == ["rule alone", "rule and lateness", "commit–reveal"]


def test_the_assumed_number_is_the_policys() -> None:
    run = settings("krum_attack", "rule and lateness")
    assert (run.attackers, run.assumed_among(30), run.assumed_among(21)) == (9, 9, 6)
