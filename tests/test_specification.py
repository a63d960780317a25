"""docs/specification.md says what the code does: names, numbers, kinds and refusals."""

from __future__ import annotations

import ast
import importlib
import operator
import pkgutil
import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest

import bift_ros.consensus
from bift_ros.chain import exceptions as own_exceptions
from bift_ros.consensus import exceptions
from bift_ros.consensus.blocks import Header, ModelInfo
from bift_ros.consensus.genesis import Policy
from bift_ros.consensus.payloads import Payload
from bift_ros.peer.phases import DUTIES, Phase

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "specification.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|\n ").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| ")
]
NAMES = sorted(set(re.findall(r"`(bift_ros(?:\.\w+)+)`", TEXT)))
BOUNDS = [row for row in ROWS if re.fullmatch(r"`bift_ros(\.\w+)+\.[A-Z_]+`", row[0])]
OPERATORS = {ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Pow: operator.pow}


def resolve(name: str) -> Any:
    """The module, class, function or constant of a dotted name."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(name)


def number(text: str) -> int:
    """The value of an integer expression such as 2**63 - 1."""

    def value(node: ast.expr) -> int:
        if isinstance(node, ast.BinOp):
            return int(OPERATORS[type(node.op)](value(node.left), value(node.right)))
        assert isinstance(node, ast.Constant)
        return int(node.value)

    return value(ast.parse(text, mode="eval").body)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_named_exists(name: str) -> None:
    resolve(name)


@pytest.mark.parametrize("row", BOUNDS, ids=lambda row: row[0].strip("`").split(".")[-1])
def test_bounds_have_their_values(row: list[str]) -> None:
    assert resolve(row[0].strip("`")) == number(row[1])


def test_every_bound_of_consensus_is_listed() -> None:
    listed = {row[0].strip("`") for row in BOUNDS}
    for module in pkgutil.iter_modules(bift_ros.consensus.__path__, "bift_ros.consensus."):
        source = Path(importlib.import_module(module.name).__file__ or "").read_text()
        for name in re.findall(r"^((?:MAX|MIN)_\w+|\w+_BYTES) = ", source, re.MULTILINE):
            if not name.startswith("_"):
                assert f"{module.name}.{name}" in listed


def test_every_kind_of_payload_has_its_fields() -> None:
    listed = {row[0]: row[1] for row in ROWS}
    for kind in get_args(Payload):
        assert listed[f"`{kind.KIND}`"] == ", ".join(field.name for field in fields(kind))


@pytest.mark.parametrize("kind", [Header, ModelInfo])
def test_lists_name_their_fields_in_order(kind: type) -> None:
    names = [field.name for field in fields(kind)]
    if kind is ModelInfo:
        names[-1] = "[contributor"
    assert ", ".join(names) in " ".join(TEXT.split())


def test_the_policy_is_listed_in_order_with_its_defaults() -> None:
    names = [field.name for field in fields(Policy)]
    listed = [row for row in ROWS if row[0].strip("`") in names]
    assert [row[0].strip("`") for row in listed] == names
    assert [ast.literal_eval(row[1]) for row in listed] == [f.default for f in fields(Policy)]


def refusals() -> list[str]:
    found = []
    for module in (exceptions, own_exceptions):
        for name, value in vars(module).items():
            if isinstance(value, type) and issubclass(
                value, (exceptions.InvalidBlock, exceptions.InvalidTransaction)
            ):
                found.append(name)
    return sorted(set(found))


@pytest.mark.parametrize("name", refusals())
def test_every_refusal_is_mentioned(name: str) -> None:
    assert re.search(rf"\b{name}\b", TEXT)


def test_refusals_in_tables_exist() -> None:
    headed = [row[0] for row in ROWS if len(row) == 3 and row[2].startswith("`bift_ros.consensus")]
    for name in headed:
        if name[0] != "`":
            assert name in refusals()


def test_every_phase_says_what_its_duty_is() -> None:
    listed = {row[0]: row for row in ROWS}
    for phase in Phase:
        _, says, collects, _ = listed[phase.name]
        duty = DUTIES[phase]
        said = {None: "–"}.get(duty.says) or f"its {duty.says.KIND.removeprefix('model_')}"
        assert says == said
        gathers = "–" if duty.collects is None else f"{duty.collects.KIND.removeprefix('model_')}s"
        assert collects.split(";")[0] == gathers


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert target.startswith("https://") or (DOCS / target).is_file()
