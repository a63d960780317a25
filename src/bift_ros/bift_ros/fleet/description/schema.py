"""The JSON Schema of a fleet's file, and what is wrong in one as sentences to act on.

`python -m bift_ros.fleet.description.schema > config/fleet.schema.json` writes it for editors.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import ErrorDetails, core_schema

from bift_ros.fleet.description.document import KINDS, FleetDocument
from bift_ros.fleet.description.located_yaml import Place, Problem


class _Generator(GenerateJsonSchema):
    """A file says nothing instead of null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if made.get("default") is None or isinstance(made["default"], dict):
            made.pop("default", None)
        return made


@cache
def fleet_schema() -> dict[str, Any]:
    """The JSON Schema. Every `title` says what a value must be: "… is not TITLE"."""
    schema = FleetDocument.model_json_schema(schema_generator=_Generator)
    return {"$schema": _Generator.schema_dialect, **schema}


def schema_at(place: Place) -> dict[str, Any] | None:
    """That of the value at a place; None where nothing can stand there."""
    schema: dict[str, Any] | None = fleet_schema()
    for step in place:
        if schema is None:
            return None
        kinds = [schema, *schema.get("oneOf", ())]
        if isinstance(step, int):
            schema = next((kind["items"] for kind in kinds if "items" in kind), None)
        else:
            schema = schema.get("properties", {}).get(step)
        schema = schema and _resolved(schema)
    return schema


def document_problems(document: Any) -> tuple[FleetDocument | None, list[Problem]]:
    """The document as a model, None where it is none; all that is wrong, in no particular order."""
    found, made = [], None
    try:
        made = FleetDocument.model_validate(document)
    except ValidationError as error:
        found = [_problem(details) for details in error.errors(include_url=False)]
    told = {problem.place for problem in found}
    found += [_not_its_title(p, None) for p in _nulls(document) if p not in told and schema_at(p)]
    return (None if found else made), found


def did_you_mean(word: str, known: list[str]) -> str:
    """`; did you mean 'seed'?` where a known word is close, else nothing."""
    close = get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The same with what it refers to."""
    name = schema.get("$ref", "").removeprefix("#/$defs/")
    return {**fleet_schema()["$defs"][name], **schema} if name else schema


def _problem(details: ErrorDetails) -> Problem:
    place, value = _place(details["loc"]), details["input"]
    match details["type"]:
        case "extra_forbidden":
            key = str(place[-1])
            known = sorted((schema_at(place[:-1]) or {}).get("properties", ()))
            guess = did_you_mean(key, known) or "; there are " + ", ".join(known)
            return Problem(place, f"no such key{guess}")
        case "missing":
            return Problem(place[:-1], f"{place[-1]} is missing: it is {_title(place)}")
        case "literal_error":
            choices = ", ".join((schema_at(place) or {})["enum"])
            said = f"no such {_title(place)} {_shown(value)}; choose one of {choices}"
            return Problem(place, said)
        case _:
            return _not_its_title(place, value)


def _place(location: tuple[int | str, ...]) -> Place:
    """The library names the kind, too, of what may be a list."""
    before = ("", *location)
    return tuple(
        step
        for last, step in zip(before, location, strict=False)
        if not (last in ("vehicles", "bag") and step in KINDS)
    )


def _not_its_title(place: Place, value: Any) -> Problem:
    return Problem(place, f"{_shown(value)} is not {_title(place)}")


def _title(place: Place) -> str:
    return str((schema_at(place) or {}).get("title", "what belongs there"))


def _nulls(value: Any, place: Place = ()) -> Iterator[Place]:
    """Where nothing stands behind a key."""
    if value is None:
        yield place
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _nulls(item, (*place, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _nulls(item, (*place, number))


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


if __name__ == "__main__":
    print(json.dumps(fleet_schema(), indent=2))
