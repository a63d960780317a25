"""Which modules of the consensus are compiled, and why others are not."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
ROOMS = ("consensus", "chain", "peer", "pofl", "simulation")
"""All of their modules are compiled but those below."""
_DICTIONARY = "a compiled class has no __dict__, which cached_property needs"
_CLASS_VARIABLE = "a compiled dataclass takes a ClassVar for a field"
_PICKLED = "a compiled class has no way through a pipe"
_EXCEPTION = "of compiled exceptions mypyc takes two handlers' `error` for one type"

INTERPRETED = {
    "consensus/blocks": _DICTIONARY,
    "consensus/exceptions": _EXCEPTION,
    "consensus/genesis": _DICTIONARY,
    "consensus/group_key": _CLASS_VARIABLE,
    "consensus/payloads": _CLASS_VARIABLE,
    "consensus/quorums": _DICTIONARY,
    "consensus/state": _DICTIONARY,
    "consensus/transactions": _DICTIONARY,
    "consensus/votes": _DICTIONARY,
    "chain/encryption": _EXCEPTION,
    "chain/exceptions": _EXCEPTION,
    "chain/store_check": _EXCEPTION,
    "chain/tips": _DICTIONARY,
    "peer/owner_requests": _EXCEPTION,
    "pofl/aggregate": _EXCEPTION,
    "pofl/codec": _DICTIONARY,
    "pofl/files": _EXCEPTION,
    "pofl/round": _DICTIONARY,
    "simulation/compilation": "it does the compiling",
    "simulation/compiled_modules": "it holds but names",
    "simulation/results": _PICKLED,
    "simulation/scenario": _PICKLED,
}


def compiled_modules() -> list[str]:
    """The compiled ones as paths in the package."""
    paths = [path for room in ROOMS for path in sorted((PACKAGE / room).glob("*.py"))]
    names = [str(path.relative_to(PACKAGE)) for path in paths if path.name != "__init__.py"]
    return [name for name in names if name.removesuffix(".py") not in INTERPRETED]
