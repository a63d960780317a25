"""The schema of a fleet's description, and its findings as sentences that a person can act on."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from bift_ros.fleet.description.located_yaml import Problem


@cache
def fleet_schema() -> dict[str, Any]:
    """The JSON Schema. Every `title` says what a value must be: "… is not TITLE"."""
    text = (resources.files("bift_ros.fleet.description") / "fleet.schema.json").read_text(
        encoding="utf-8"
    )
    schema: dict[str, Any] = json.loads(text)
    return schema


def schema_problems(document: Any) -> list[Problem]:
    """All that the schema finds wrong in a description, in no particular order."""
    found = [p for e in _validator().iter_errors(document) for p in _explain(e)]
    return list(dict.fromkeys(found))  # the library says once for each missing key what lacks


def did_you_mean(word: str, known: list[str]) -> str:
    """`; did you mean 'seed'?` where a known word is close, else nothing."""
    close = get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


@cache
def _validator() -> Draft202012Validator:
    schema = fleet_schema()
    Draft202012Validator.check_schema(schema)
    # The standard takes 3.0 for an integer and NaN for a number, and finds patterns anywhere.
    types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: type(value) is int,
            "number": lambda _, value: type(value) in (int, float) and math.isfinite(value),
        }
    )
    return extend(Draft202012Validator, {"pattern": _whole_pattern}, type_checker=types)(schema)


def _whole_pattern(
    validator: Any, pattern: str, value: Any, schema: Any
) -> Iterator[ValidationError]:
    if isinstance(value, str) and not re.fullmatch(pattern, value):
        yield ValidationError("does not match")


def _explain(error: ValidationError) -> Iterator[Problem]:
    place, value, schema = tuple(error.absolute_path), error.instance, error.schema
    assert isinstance(schema, dict)
    match error.validator:
        case "additionalProperties":
            known = sorted(schema["properties"])
            for key in value:
                if key not in known:
                    guess = did_you_mean(key, known)
                    yield Problem(
                        (*place, key), f"no such key{guess or '; there are ' + ', '.join(known)}"
                    )
        case "required":
            for key in error.validator_value:
                if key not in value:
                    yield Problem(place, f"{key} is missing: it is {_title(schema, key)}")
        case "enum":
            known = schema["enum"]
            yield Problem(
                place,
                f"no such {schema['title']} {_shown(value)}; choose one of {', '.join(known)}",
            )
        case _:
            yield Problem(place, f"{_shown(value)} is not {schema['title']}")


def _title(schema: dict[str, Any], key: str) -> str:
    property_ = schema["properties"][key]
    reference = property_.get("$ref", "").removeprefix("#/$defs/")
    title: str = (fleet_schema()["$defs"][reference] if reference else property_)["title"]
    return title


def _shown(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list():
            return "a list" if value else "an empty list"
        case _:
            return f"{value!r:.60}"
