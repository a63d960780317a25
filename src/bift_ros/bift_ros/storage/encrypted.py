"""A store whose files are encrypted on their way in and decrypted on their way out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bift_ros.storage.interface import Storage

Change = Callable[[bytes], bytes]


class EncryptedFiles:
    """Model files in a `Storage`: the CID names what is stored, which is the encrypted file."""

    def __init__(self, storage: Storage, encrypt: Change, decrypt: Change) -> None:
        """`encrypt` and `decrypt` raise StorageError where the key for it is not known."""
        self._storage, self._encrypt, self._decrypt = storage, encrypt, decrypt

    def put(self, data: bytes) -> str:
        """Encrypt and store a file durably; return the encrypted file's CID."""
        return self._storage.put(self._encrypt(data))

    def get(self, cid: str, providers: Sequence[str] = ()) -> bytes:
        """Give a file's plaintext. Raises like `Storage.get`, or EncryptionError."""
        return self._decrypt(self._storage.get(cid, providers))

    def pin(self, cid: str) -> None:
        """Keep the file until it is unpinned."""
        self._storage.pin(cid)
