"""What commands print: a document for machines, or lists and tables for people."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
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


def figures(
    title: str,
    headings: Sequence[str],
    rows: Iterable[Iterable[object]],
    *,
    left: Container[str] = (),
    caption: str | None = None,
) -> Table:
    """A table of a bench's numbers; `left`: headings of words."""
    made = Table(title=title, caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in headings:
        made.add_column(heading, justify="left" if heading in left else "right", no_wrap=True)
    for row in rows:
        made.add_row(*map(str, row))
    return made


def print_lines(results: Iterable[Mapping[str, Any]], as_json: bool) -> None:
    """Print each result of a bench as soon as there is one, on a line."""
    for result in results:
        if as_json:
            print(json.dumps(result), flush=True)
        else:
            Console().print("  ".join(f"{key} {value}" for key, value in result.items()))
