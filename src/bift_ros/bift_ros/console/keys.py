"""Whose key a command uses: an account of the keystore, or any key file."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path

from bift_ros.console.errors import CommandError, reporting
from bift_ros.identity.keyfile import KeyFileError, is_encrypted, load_key, unlock_key
from bift_ros.identity.keys import KeyPair
from bift_ros.identity.keystore import Keystore, default_folder, is_account_name


def add_keystore_argument(parser: argparse.ArgumentParser) -> None:
    """Where the accounts are."""
    parser.add_argument(
        "--keystore",
        type=Path,
        default=default_folder(os.environ),
        metavar="FOLDER",
        help="of the accounts (%(default)s)",
    )


def add_key_arguments(parser: argparse.ArgumentParser, whose: str, required: bool = False) -> None:
    """Who signs; the help says `whose` key it is."""
    parser.add_argument(
        "--key",
        required=required,
        metavar="ACCOUNT",
        help=f"{whose}: an account's name, or a key file (with a slash or dot in it)",
    )
    parser.add_argument("--passphrase-file", type=Path, help="for an encrypted key")
    add_keystore_argument(parser)


def key_file(text: str, keystore: Keystore) -> Path:
    """The key file of an account's name, or the path itself. Raises CommandError."""
    if not is_account_name(text):
        return Path(text)
    with reporting(KeyFileError):
        return keystore.account(text).file


def unlock(file: Path, passphrase_file: Path | None) -> KeyPair:
    """Load a key; a terminal is asked for a passphrase that is needed. Raises CommandError."""
    with reporting(KeyFileError, OSError):
        if passphrase_file is None and is_encrypted(file):
            return load_key(file, ask(f"Passphrase of {file}: "))
        return unlock_key(file, passphrase_file)


def ask(prompt: str) -> bytes:
    """A passphrase from the terminal. Raises CommandError where there is none."""
    if not sys.stdin.isatty():
        raise CommandError("nobody to ask for the passphrase: give --passphrase-file FILE")
    return getpass.getpass(prompt).encode()


def signing_key(arguments: argparse.Namespace) -> KeyPair:
    """The key that `add_key_arguments` named, or else that of the only account.

    Raises CommandError.
    """
    keystore = Keystore(arguments.keystore)
    if arguments.key is not None:
        return unlock(key_file(arguments.key, keystore), arguments.passphrase_file)
    with reporting(KeyFileError):
        accounts = keystore.accounts()
    if len(accounts) != 1:
        found = ", ".join(account.name for account in accounts) or "none"
        raise CommandError(
            f"whose key? --key takes an account of {keystore.folder} (there: {found}) or a key "
            "file; where there is one account only, it is taken"
        )
    return unlock(accounts[0].file, arguments.passphrase_file)
