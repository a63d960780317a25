"""``./bift bench storage``: sharing files among many vehicles, or with ``--loopback`` with one."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bift_ros.benchmarks import sharing, sharing_plot, storage_loopback
from bift_ros.console.arguments import Parser
from bift_ros.console.errors import CommandError, reporting
from bift_ros.console.output import figures, print_lines

CLIENTS = (1, 5, 10, 20, 30)
SIZE = 10_000_000
MAX_CLIENTS = 100
"""A network has room for more, a machine's memory hardly."""

_SIZE = re.compile(r"(\d+)(KB|MB)?")
_UNITS = {"KB": 1000, "MB": 1_000_000}


def add_arguments(parser: Parser) -> None:
    """The options of ``bench storage``."""
    parser.epilog = (
        "Without --loopback it needs root, for network namespaces, and uses OpenSSH's sshd and "
        "sftp, and Kubo (`make kubo`); what is missing is named and left out. A client's speed is "
        "the file's size by its own seconds, without SFTP's login."
    )
    parser.add_argument(
        "--clients",
        type=_clients,
        default=CLIENTS,
        metavar="N[,N…]",
        help="vehicles at once (default 1,5,10,20,30)",
    )
    parser.add_argument(
        "--size",
        type=_size,
        metavar="SIZE",
        help="of a file, such as 512KB; a bare number counts MB (default 10MB, or 100MB)",
    )
    parser.add_argument("--plot", action="store_true", help="draw the paper's Figs. 13 and 14")
    parser.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="for the plots (default: here)"
    )
    parser.add_argument("--loopback", action="store_true", help="one client on this machine")
    parser.add_json("one JSON object a line")


@reporting(sharing.SharingError)
def main(args: argparse.Namespace) -> None:
    """Run the bench and print it."""
    if args.loopback:
        size = args.size or storage_loopback.SIZE_MB * 1_000_000
        print_lines(storage_loopback.run(max(1, round(size / 1e6))), args.json)
        return
    if args.plot and not args.out.is_dir():
        raise CommandError(f"--out {args.out} is no folder: make it first")
    notes = Console(stderr=True)
    rows = []
    with notes.status("") as status:

        def note(text: str, lasting: bool = False) -> None:
            if lasting or not notes.is_terminal:
                notes.print(text, markup=False, highlight=False)
            else:
                status.update(text)

        for row in sharing.run(args.clients, args.size or SIZE, note):
            rows.append(row)
            if args.json:
                print_lines([asdict(row)], as_json=True)
    if not args.json:
        Console().print(_table(rows))
    if args.plot:
        for path in sharing_plot.plot(rows, args.out):
            print(f"Written: {path}", file=sys.stderr)


def _table(rows: Sequence[sharing.Row]) -> Table:
    links = rows[0].mbit_per_s if rows else None
    cells = (
        (
            row.direction,
            row.clients,
            row.backend,
            f"{row.mb_per_s:.2f}",
            "–" if row.over_sftp is None else f"{row.over_sftp:.1f}×",
        )
        for row in sorted(rows, key=lambda row: (row.direction, row.clients))
    )
    return figures(
        "Average speed of each client, MB/s",
        ("direction", "clients", "backend", "MB/s", "SFTP's times"),
        cells,
        left=("direction", "backend"),
        caption=f"links of {links:g} Mbit/s" if links else "links were not shaped",
    )


def _clients(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(1 <= number <= MAX_CLIENTS for number in numbers):
        raise argparse.ArgumentTypeError(
            f"{text!r}: whole numbers from 1 to {MAX_CLIENTS} separated by commas are wanted"
        )
    return numbers


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text.upper())
    if not match or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r}: a size such as 512KB, 10MB or 10 is wanted")
    return int(match[1]) * _UNITS[match[2] or "MB"]
