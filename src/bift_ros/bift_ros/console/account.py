"""`./bift account create|list|show`: keys, and the addresses that follow from them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bift_ros.console.errors import CommandError
from bift_ros.console.keys import add_keystore_argument, ask, key_file, keystore_of
from bift_ros.identity.keyfile import (
    KeyFileError,
    load_key,
    load_public_key,
    read_passphrase,
    save_key,
)
from bift_ros.identity.keys import KeyPair, address_of
from bift_ros.identity.keystore import is_account_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sub-commands and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, summary in (
        ("create", "Make an Ed25519 key and write it to a file (mode 600)."),
        ("show", "Print the address and public key of an account; its passphrase is not needed."),
    ):
        action = actions.add_parser(
            name,
            help=summary,
            description=summary,
            epilog="ACCOUNT is a name, whose key is in the keystore, or the path of a key file, "
            "which has a slash or a dot in it.",
        )
        action.add_argument("account", metavar="ACCOUNT", help="a name, or a key file's path")
        add_keystore_argument(action)
        how = action.add_mutually_exclusive_group()
        how.add_argument(
            "--passphrase-file", type=Path, help="read the passphrase here instead of asking"
        )
        how.add_argument("--no-passphrase", action="store_true", help="the key is kept unencrypted")
        action.add_argument("--json", action="store_true", help="for machines")
    summary = "List the accounts of the keystore with their addresses; asks for no passphrase."
    action = actions.add_parser("list", help=summary, description=summary)
    add_keystore_argument(action)
    action.add_argument("--json", action="store_true", help="one object an account, as a list")


def main(arguments: argparse.Namespace) -> int:
    """Create, list or show."""
    actions = {"create": _create, "list": _list, "show": _show}
    try:
        return actions[arguments.action](arguments)
    except (KeyFileError, OSError) as error:
        raise CommandError(str(error)) from error


def _create(arguments: argparse.Namespace) -> int:
    file = Path(arguments.account)
    if is_account_name(arguments.account):
        keystore = keystore_of(arguments)
        file = keystore.file(arguments.account)
        keystore.prepare()
    if file.exists():
        raise CommandError(f"{file} exists: choose another name or move it away")
    key = KeyPair.generate()
    save_key(file, key, _new_passphrase(arguments))
    return _print(file, key.public_key, arguments.json)


def _show(arguments: argparse.Namespace) -> int:
    file = key_file(arguments.account, keystore_of(arguments))
    if arguments.passphrase_file is None and not arguments.no_passphrase:
        return _print(file, load_public_key(file), arguments.json)
    passphrase = None
    if arguments.passphrase_file is not None:
        passphrase = read_passphrase(arguments.passphrase_file)
    return _print(file, load_key(file, passphrase).public_key, arguments.json)


def _print(file: Path, public_key: bytes, as_json: bool) -> int:
    shown = {
        "address": address_of(public_key),
        "public_key": public_key.hex(),
        "file": str(file),
    }
    if as_json:
        print(json.dumps(shown))
    else:
        for name, value in shown.items():
            print(f"{name:<11} {value}")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    keystore = keystore_of(arguments)
    accounts = keystore.accounts()
    if arguments.json:
        print(json.dumps([
            {"name": a.name, "address": a.address, "public_key": a.public_key.hex(),
             "file": str(a.file)}
            for a in accounts
        ]))  # fmt: skip
    elif accounts:
        table = Table(title=f"Accounts in {keystore.folder}", title_justify="left")
        for heading in ("name", "address"):
            table.add_column(heading, no_wrap=True)
        for account in accounts:
            table.add_row(account.name, account.address)
        Console().print(table)
    else:
        print(
            f"bift: no accounts in {keystore.folder}: `bift account create NAME` makes one",
            file=sys.stderr,
        )
    return 0


def _new_passphrase(arguments: argparse.Namespace) -> bytes | None:
    if arguments.no_passphrase:
        return None
    if arguments.passphrase_file is not None:
        passphrase = read_passphrase(arguments.passphrase_file)
    else:
        if not sys.stdin.isatty():
            raise CommandError("nobody to ask: give --passphrase-file FILE or --no-passphrase")
        passphrase = ask("Passphrase: ")
        if ask("Again: ") != passphrase:
            raise CommandError("the two passphrases differ: try again")
    if not passphrase:
        raise CommandError("an empty passphrase protects nothing: say --no-passphrase instead")
    return passphrase
