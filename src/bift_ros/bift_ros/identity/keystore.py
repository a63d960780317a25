"""A person's accounts: key files in one folder, each named for its account."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bift_ros.identity.keyfile import KeyFileError, load_public_key
from bift_ros.identity.keys import address_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SUFFIX = ".pem"


def is_account_name(text: str) -> bool:
    """Tell an account's name from the path of a key file: it has neither dots nor slashes."""
    return _NAME.fullmatch(text) is not None


def default_folder(environment: Mapping[str, str]) -> Path:
    """Where accounts are kept: `bift/keystore` of the XDG base directories' data folder."""
    base = environment.get("XDG_DATA_HOME", "")
    # Relative paths are to be ignored, says the specification.
    data = Path(base) if os.path.isabs(base) else Path.home() / ".local" / "share"
    return data / "bift" / "keystore"


@dataclass(frozen=True)
class Account:
    """What can be said of an account without its passphrase."""

    name: str
    public_key: bytes
    """Ed25519, 32 bytes."""
    file: Path

    @property
    def address(self) -> str:
        """The account's name on the chain."""
        return address_of(self.public_key)


class Keystore:
    """The key files of one folder, which need not be there yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, name: str) -> Path:
        """Where the account's key is, or would be. Raises KeyFileError for what is no name."""
        if not is_account_name(name):
            raise KeyFileError(
                f"{name!r:.80} is no account's name: it has letters, digits, underscores and "
                "hyphens, at most 64, the first a letter or digit"
            )
        return self.folder / f"{name}{_SUFFIX}"

    def prepare(self) -> None:
        """Make the folder, for its owner alone. Raises KeyFileError."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise KeyFileError(
                f"can't make the keystore {self.folder}: {error.strerror}; --keystore names another"
            ) from error

    def account(self, name: str) -> Account:
        """One account. Raises KeyFileError where there is none, or its file can't be read."""
        file = self.file(name)
        if not file.exists():
            known = ", ".join(a.name for a in self.accounts()) or "none"
            raise KeyFileError(
                f"no account {name} in {self.folder} (there: {known}): `bift account create {name}`"
                " makes it; a key file elsewhere is named by its path"
            )
        return Account(name, load_public_key(file), file)

    def accounts(self) -> list[Account]:
        """All accounts by name. Raises KeyFileError for a file that can't be read."""
        files = sorted(self.folder.glob(f"*{_SUFFIX}")) if self.folder.is_dir() else []
        return [
            Account(file.stem, load_public_key(file), file)
            for file in files
            if is_account_name(file.stem)
        ]
