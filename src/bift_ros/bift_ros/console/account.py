"""`./bift account create|list|show`: keys, and the addresses that follow from them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bift_ros.console.arguments import Parser
from bift_ros.console.errors import CommandError, reporting
from bift_ros.console.keys import add_keystore_argument, ask, key_file
from bift_ros.console.output import show, table
from bift_ros.identity.keyfile import (
    KeyFileError,
    load_public_key,
    read_passphrase,
    save_key,
    unlock_key,
)
from bift_ros.identity.keys import KeyPair, address_of
from bift_ros.identity.keystore import Keystore, is_account_name


def add_arguments(parser: Parser) -> None:
    """Sub-commands and their options."""
    for name, summary, handler in (
        ("create", "Make an Ed25519 key and write it to a file (mode 600).", _create),
        (
            "show",
            "Print the address and public key of an account; its passphrase is not needed.",
            _show,
        ),
    ):
        action = parser.add_action(
            name,
            summary,
            handler,
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
        action.add_json()
    summary = "List the accounts of the keystore with their addresses; asks for no passphrase."
    action = parser.add_action("list", summary, _list)
    add_keystore_argument(action)
    action.add_json("one object an account, as a list")


@reporting(KeyFileError, OSError)
def _create(arguments: argparse.Namespace) -> None:
    file = Path(arguments.account)
    if is_account_name(arguments.account):
        keystore = Keystore(arguments.keystore)
        file = keystore.file(arguments.account)
        keystore.prepare()
    if file.exists():
        raise CommandError(f"{file} exists: choose another name or move it away")
    key = KeyPair.generate()
    save_key(file, key, _new_passphrase(arguments))
    _print(file, key.public_key, arguments.json)


@reporting(KeyFileError, OSError)
def _show(arguments: argparse.Namespace) -> None:
    file = key_file(arguments.account, Keystore(arguments.keystore))
    if arguments.passphrase_file is None and not arguments.no_passphrase:
        public_key = load_public_key(file)
    else:
        public_key = unlock_key(file, arguments.passphrase_file).public_key
    _print(file, public_key, arguments.json)


def _print(file: Path, public_key: bytes, as_json: bool) -> None:
    facts = {"address": address_of(public_key), "public_key": public_key.hex(), "file": str(file)}
    show(as_json, facts, *(f"{name:<11} {fact}" for name, fact in facts.items()))


@reporting(KeyFileError, OSError)
def _list(arguments: argparse.Namespace) -> None:
    keystore = Keystore(arguments.keystore)
    accounts = keystore.accounts()
    if not accounts and not arguments.json:
        print(
            f"bift: no accounts in {keystore.folder}: `bift account create NAME` makes one",
            file=sys.stderr,
        )
        return
    document = [
        {"name": a.name, "address": a.address, "public_key": a.public_key.hex(),
         "file": str(a.file)}
        for a in accounts
    ]  # fmt: skip
    rows = ((account.name, account.address) for account in accounts)
    title, headings = f"Accounts in {keystore.folder}", ("name", "address")
    show(arguments.json, document, table(title, headings, rows, rigid=headings))


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
