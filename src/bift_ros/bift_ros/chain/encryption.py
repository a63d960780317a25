"""Files that only members can read: AES-256-GCM under a key that the file names.

Layout: MAGIC, the key's name (32 bytes), the nonce (12 bytes), the ciphertext and its tag. The
nonce is a keyed hash of the plaintext. Equal files so give equal bytes, and one CID, at whichever
vehicle they are made; and no nonce comes twice for different files.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bift_ros.identity.sealing import NAME_BYTES, derive, name_of
from bift_ros.pofl.files import ModelFileError
from bift_ros.storage.interface import StorageError

MAGIC = b"bift encrypted 1\n"
OVERHEAD = len(MAGIC) + NAME_BYTES + 12 + 16
_NONCE_BYTES = 12


class EncryptionError(ModelFileError):
    """Bytes that no member's vehicle writes: not encrypted, changed, or encrypted otherwise."""


class KeyUnavailable(StorageError):  # noqa: N818 - like NotFound, it is named for what is missing
    """A key that this vehicle does not have, or not yet; the message names it."""


@dataclass(frozen=True)
class FileKey:
    """A secret of the fleet's, and the files encrypted with it."""

    secret: bytes = field(repr=False)
    """32 bytes."""

    @cached_property
    def name(self) -> bytes:
        """What files and the chain call it, 32 bytes."""
        return name_of(self.secret)

    def encrypt(self, data: bytes) -> bytes:
        """Give the file for `data`; the same each time."""
        nonce = self._nonce(data)
        head = MAGIC + self.name
        return head + nonce + self._cipher.encrypt(nonce, data, head)

    def decrypt(self, file: bytes) -> bytes:
        """Give what `encrypt` was given; raises EncryptionError for any other bytes."""
        head, rest = file[: len(MAGIC) + NAME_BYTES], file[len(MAGIC) + NAME_BYTES :]
        nonce, ciphertext = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
        if head != MAGIC + self.name or len(nonce) < _NONCE_BYTES:
            raise EncryptionError("the file is not encrypted with this key")
        try:
            data = self._cipher.decrypt(nonce, ciphertext, head)
        except InvalidTag as error:
            raise EncryptionError("the encrypted file was changed") from error
        if not hmac.compare_digest(nonce, self._nonce(data)):
            raise EncryptionError("the file is encrypted with a nonce of its maker's choice")
        return data

    def _nonce(self, data: bytes) -> bytes:
        return hmac.digest(self._nonce_key, data, "sha256")[:_NONCE_BYTES]

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(derive(self.secret, b"bift file"))

    @cached_property
    def _nonce_key(self) -> bytes:
        return derive(self.secret, b"bift file nonce")


def key_name(file: bytes) -> bytes:
    """Give the name of the key that a file needs; raises EncryptionError where it names none."""
    if not file.startswith(MAGIC) or len(file) < OVERHEAD:
        raise EncryptionError("the file is not encrypted, as this fleet's must be")
    return file[len(MAGIC) : len(MAGIC) + NAME_BYTES]
