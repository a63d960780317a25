"""What commands print: a document for machines, or lists and tables for people."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def show(as_json: bool, document: Any, *parts: str | Table) -> None:
    """Print the document as JSON, or else the parts. What vehicles say in them is no markup."""
    if as_json:
        print(json.dumps(document, allow_nan=False))
        return
    console = Console(markup=False, emoji=False)
    for part in parts:
        # Ids and addresses are for copying: lines outside tables are never broken.
        print(part) if isinstance(part, str) else console.print(part)


def listing(facts: Mapping[str, object], width: int) -> str:
    """A line for each fact, its name padded to `width`."""
    return "\n".join(f"{name.replace('_', ' '):<{width}} {fact}" for name, fact in facts.items())


def table(
    title: str | None,
    headings: Sequence[str],
    rows: Iterable[Iterable[object]],
    *,
    right: Container[str] = (),
    rigid: Container[str] = (),
) -> Table:
    """A table; `right` and `rigid`: headings of numbers, and of what is cut before it is folded."""
    made = Table(title=title, title_justify="left")
    for heading in headings:
        made.add_column(
            heading,
            justify="right" if heading in right else "left",
            overflow="ellipsis" if heading in rigid else "fold",
            no_wrap=heading in rigid,
        )
    for row in rows:
        made.add_row(*map(str, row))
    return made
