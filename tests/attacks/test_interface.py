"""What holds for every attack: types, ranges, determinism, and what it may know."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from views import make_view, views

from bift_ros.attacks.interface import UPDATE_LIMIT, View
from bift_ros.attacks.registry import ATTACKS, UnknownAttack, make_attack
from bift_ros.perception.classes import CLASSES
from bift_ros.pofl.codec import encode_update

GUIDE = (Path(__file__).parents[2] / "docs" / "attacks.md").read_text()
each_attack = pytest.mark.parametrize("name", ATTACKS)


@each_attack
@settings(max_examples=40)
@given(view=views())
def test_crafted_updates_are_what_the_codec_takes(name: str, view: View) -> None:
    crafted = make_attack(name).craft(view)
    assert crafted.shape == view.own.shape
    assert crafted.dtype == np.float32
    assert np.isfinite(crafted).all()
    assert np.abs(crafted).max() <= UPDATE_LIMIT
    encoded = encode_update(crafted[0], np.zeros(crafted.shape[1], np.int32))
    assert np.abs(encoded * 2.0**-14 - crafted[0]).max() <= 2.0**-15


@each_attack
@pytest.mark.parametrize("knowledge", ["full", "own"])
def test_one_seed_gives_one_result(name: str, knowledge: str) -> None:
    first, second = (
        make_attack(name).craft(make_view(knowledge, seed=seed))  # type: ignore[arg-type]
        for seed in (5, 5)
    )
    assert np.array_equal(first, second)


@each_attack
@settings(max_examples=20)
@given(seed=st.integers(0, 1000))
def test_own_knowledge_never_looks_at_honest_updates(name: str, seed: int) -> None:
    def crafted(honest: float) -> np.ndarray:
        rng = np.random.default_rng(seed)
        own = rng.normal(0, 0.1, (3, 20)).astype(np.float32)
        zeros = np.zeros(20, np.float32)
        view = View.of(
            "own",
            honest=np.full((7, 20), honest, np.float32),
            own=own,
            global_model=zeros,
            previous=zeros,
            rng=rng,
        )
        return make_attack(name).craft(view)

    assert np.array_equal(crafted(0.0), crafted(np.nan))


@each_attack
def test_the_view_and_the_crops_stay_as_they_are(name: str) -> None:
    view = make_view()
    for array in (view.honest, view.own, view.global_model, view.previous):
        array.setflags(write=False)
    make_attack(name).craft(view)
    images, labels = np.zeros((20, 3, 32, 32), np.uint8), np.arange(20) % len(CLASSES)
    images.setflags(write=False)
    labels.setflags(write=False)
    make_attack(name).poison(images, labels, np.random.default_rng(0))


@each_attack
@settings(max_examples=20)
@given(
    labels=hnp.arrays(np.int64, st.integers(0, 30), elements=st.integers(0, len(CLASSES) - 1)),
    seed=st.integers(0, 1000),
)
def test_poisoned_crops_are_crops(name: str, labels: np.ndarray, seed: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (len(labels), 3, 32, 32), np.uint8)
    results = [
        make_attack(name).poison(images, labels, np.random.default_rng(seed)) for _ in range(2)
    ]
    for poisoned, new in results:
        assert poisoned.dtype == np.uint8
        assert poisoned.shape == images.shape
        assert new.dtype == np.int64
        assert new.shape == labels.shape
        assert np.isin(new, np.arange(len(CLASSES))).all()
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


def test_the_guide_lists_every_attack() -> None:
    rows = [line.split("`")[1] for line in GUIDE.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(ATTACKS)


def test_the_guides_program_crafts_updates() -> None:
    known = make_view()
    names = {
        "images": np.zeros((4, 3, 32, 32), np.uint8), "labels": np.arange(4), "rng": known.rng,
        "honest": known.honest, "own": known.own, "model": known.global_model,
        "movement": known.previous,
    }  # fmt: skip
    exec(GUIDE.split("```python\n")[1].split("```")[0], names)
    assert names["updates"].shape == known.own.shape


def test_an_unknown_attack_names_those_there_are() -> None:
    with pytest.raises(UnknownAttack, match=r"'labelflip'.*label_flip, krum_attack"):
        make_attack("labelflip")


def test_an_unknown_knowledge_is_refused() -> None:
    view = make_view()
    with pytest.raises(ValueError, match="choose full or own"):
        View.of(
            "partial",  # type: ignore[arg-type]
            **{
                field.name: getattr(view, field.name)
                for field in dataclasses.fields(view)
                if field.name not in ("knowledge", "members")
            },
        )


@each_attack
def test_an_attack_waits_where_it_uses_what_others_send(name: str) -> None:
    attack = make_attack(name)
    view = make_view("full")
    others = dataclasses.replace(view, honest=view.honest[::-1] * 2, rng=np.random.default_rng(1))
    same = np.array_equal(attack.craft(view), attack.craft(others))
    assert attack.waits is not same


def test_the_guide_says_which_attacks_wait() -> None:
    for name in ATTACKS:
        (line,) = (line for line in GUIDE.splitlines() if line.startswith(f"| `{name}` |"))
        gain = line.split("|")[-2].strip()
        assert make_attack(name).waits is (gain != "nothing"), name
