"""What the parts of a fleet's file have in common: models whose fields say what they take.

A field's `title` completes "… is not TITLE", which is what a person reads who wrote something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class Section(BaseModel):
    """A mapping of known keys, whose values are taken as they stand."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


@dataclass(frozen=True)
class OneOf:
    """For `Annotated`: one of these words."""

    words: tuple[str, ...]

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.literal_schema(list(self.words))


def whole(default: int | None, description: str, low: int, high: int | None = None) -> Any:
    """A field for a whole number."""
    to = f" to {high:,}" if high is not None else ""
    title = f"a whole number from {low:,}{to}"
    return Field(default, title=title, description=description, ge=low, le=high)


def number(default: float, description: str, low: float, high: float) -> Any:
    """A field for a number."""
    title = f"a number from {low} to {high}"
    return Field(default, title=title, description=description, ge=low, le=high)


def flag(default: bool, description: str) -> Any:
    """A field for a truth value."""
    return Field(default, title="true or false", description=description)


def text(default: str | None, title: str, description: str, pattern: str | None = None) -> Any:
    """A field for a text, or for one of several words; the pattern is of the whole of it."""
    return Field(default, title=title, description=description, pattern=pattern)


def part(default: Any, description: str) -> Any:
    """A field for a section, whose title is its model's."""
    return Field(default, description=description)
