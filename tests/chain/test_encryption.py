"""Encrypted files: one form for each content, nothing to read, nothing to change unseen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bift_ros.chain.encryption import MAGIC, OVERHEAD, EncryptionError, FileKey, key_name
from bift_ros.pofl.codec import MODEL_EXPONENT, ModelSpec, TensorSpec
from bift_ros.pofl.files import ModelFileError, serialize_model

KEY, OTHER = FileKey(bytes(range(32))), FileKey(bytes(range(1, 33)))
SPEC = ModelSpec((TensorSpec("weight", (4, 8)),))
MODEL = serialize_model(SPEC, np.arange(32, dtype=np.int32), MODEL_EXPONENT)


@given(st.binary(max_size=300))
def test_round_trip_always_to_the_same_bytes(data: bytes) -> None:
    file = KEY.encrypt(data)
    assert KEY.decrypt(file) == data
    assert FileKey(KEY.secret).encrypt(data) == file
    assert len(file) == len(data) + OVERHEAD
    assert key_name(file) == KEY.name
    assert OTHER.encrypt(data) != file


def test_nothing_of_a_model_can_be_read() -> None:
    file = KEY.encrypt(MODEL)
    for part in (b"weight", b"bift-model", b"__metadata__", b"dtype", MODEL[-16:]):
        assert part in MODEL
        assert part not in file


@given(st.data())
def test_a_changed_file_is_refused(data: st.DataObject) -> None:
    file = bytearray(KEY.encrypt(MODEL))
    at = data.draw(st.integers(0, len(file) - 1))
    file[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(EncryptionError):
        KEY.decrypt(bytes(file))


@given(st.integers(0, len(MODEL) + OVERHEAD - 1))
def test_a_cut_file_is_refused(length: int) -> None:
    with pytest.raises(EncryptionError):
        KEY.decrypt(KEY.encrypt(MODEL)[:length])


def test_another_key_opens_nothing() -> None:
    with pytest.raises(EncryptionError, match="not encrypted with this key"):
        OTHER.decrypt(KEY.encrypt(MODEL))


def test_a_nonce_of_choice_is_refused() -> None:
    """A member could else give an update of another's a second CID."""
    head, nonce = MAGIC + KEY.name, bytes(12)
    file = head + nonce + KEY._cipher.encrypt(nonce, MODEL, head)
    with pytest.raises(EncryptionError, match="nonce of its maker's choice"):
        KEY.decrypt(file)


@pytest.mark.parametrize("file", [b"", MAGIC, MODEL, MAGIC + bytes(59)])
def test_what_is_not_encrypted_names_no_key(file: bytes) -> None:
    with pytest.raises(EncryptionError, match="must be"):
        key_name(file)
    assert issubclass(EncryptionError, ModelFileError)
