"""`./bift account create|show`: a vehicle's key."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from pathlib import Path

from bift_ros.console.errors import CommandError
from bift_ros.identity.keyfile import KeyFileError, load_key, read_passphrase, save_key
from bift_ros.identity.keys import KeyPair


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sub-commands and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, summary in (
        ("create", "Make an Ed25519 key and write it to a file (mode 600)."),
        ("show", "Print the address and public key of a key file."),
    ):
        action = actions.add_parser(name, help=summary, description=summary)
        action.add_argument("file", type=Path, help="the key file (PKCS#8 PEM)")
        how = action.add_mutually_exclusive_group()
        how.add_argument(
            "--passphrase-file", type=Path, help="read the passphrase here instead of asking"
        )
        how.add_argument("--no-passphrase", action="store_true", help="the key is kept unencrypted")
        action.add_argument("--json", action="store_true", help="for machines")


def main(arguments: argparse.Namespace) -> int:
    """Create or show a key."""
    try:
        if arguments.action == "create":
            if arguments.file.exists():
                raise CommandError(f"{arguments.file} exists: choose another name or move it away")
            key = KeyPair.generate()
            save_key(arguments.file, key, _passphrase(arguments, twice=True))
        else:
            key = load_key(arguments.file, _passphrase(arguments, twice=False))
    except (KeyFileError, OSError) as error:
        raise CommandError(str(error)) from error
    shown = {
        "address": key.address,
        "public_key": key.public_key.hex(),
        "file": str(arguments.file),
    }
    if arguments.json:
        print(json.dumps(shown))
    else:
        for name, value in shown.items():
            print(f"{name:<11} {value}")
    return 0


def _passphrase(arguments: argparse.Namespace, *, twice: bool) -> bytes | None:
    if arguments.no_passphrase:
        return None
    if arguments.passphrase_file is not None:
        passphrase = read_passphrase(arguments.passphrase_file)
    elif sys.stdin.isatty():
        first = getpass.getpass("Passphrase: ")
        if twice and getpass.getpass("Again: ") != first:
            raise CommandError("the two passphrases differ: try again")
        passphrase = first.encode()
    else:
        raise CommandError("nobody to ask: give --passphrase-file FILE or --no-passphrase")
    if not passphrase:
        raise CommandError("an empty passphrase protects nothing: say --no-passphrase instead")
    return passphrase
