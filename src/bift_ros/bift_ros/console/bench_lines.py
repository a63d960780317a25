"""Results of a bench, a line each, for people or for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console


def print_lines(results: Iterable[Mapping[str, Any]], as_json: bool) -> None:
    """Print each result as soon as there is one."""
    for result in results:
        if as_json:
            print(json.dumps(result), flush=True)
        else:
            Console().print("  ".join(f"{key} {value}" for key, value in result.items()))
