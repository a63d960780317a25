"""The hashes of the pinned packages' files: what the index gives has to be what was pinned."""

from __future__ import annotations

from pathlib import Path

HASHES = Path(__file__).resolve().parents[2] / "requirements" / "hashes.txt"
"""Every pin of requirements/*.txt once more, with the SHA-256 of each of its files."""


def with_hashes(requirements: str, hashes: str) -> str:
    """Pinned requirements in pip's form with hashes; one whose hashes aren't known has none.

    `--require-hashes` refuses that one.
    """
    known: dict[str, list[str]] = {}
    for line in hashes.splitlines():
        if not line.startswith(" "):
            found = known.setdefault(_pin(line), [])
        else:
            found.append(line.removesuffix("\\").strip())
    return "".join(
        " \\\n    ".join([line, *known.get(_pin(line), [])]) + "\n"
        for line in requirements.splitlines()
    )


def _pin(line: str) -> str:
    """Name and version alone."""
    return line.partition(";")[0].removesuffix("\\").strip()
