from __future__ import annotations

from contextlib import suppress

import pytest
from files import EXPECTED, VECTORS, sample
from hypothesis import given
from hypothesis import strategies as st
from multiformats import CID

from bift_ros.storage.cid import CidError, check_cid_text, cid_of
from bift_ros.storage.cidv1 import DAG_PB, RAW, Cid
from bift_ros.storage.interface import StorageError

EMPTY = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


@pytest.mark.parametrize("case", VECTORS, ids=lambda v: f"{v['size']}-by-{v['chunk_size']}")
def test_files_get_the_cids_that_kubo_gives(case: dict) -> None:
    assert cid_of(sample(case["size"]), case["chunk_size"]) == case["cid"]


def test_the_default_chunk_is_kubos() -> None:
    assert cid_of(sample(10_000_000)) == EXPECTED[10_000_000]


@given(st.sampled_from([RAW, DAG_PB]), st.binary(min_size=32, max_size=32))
def test_text_agrees_with_the_multiformats_library(codec: int, digest: bytes) -> None:
    cid = Cid(codec, digest)
    peer = CID("base32", 1, codec, ("sha2-256", digest))
    assert str(cid) == str(peer)
    assert cid.to_bytes() == bytes(peer)
    assert Cid.parse(str(peer)) == Cid.from_bytes(bytes(peer)) == cid
    assert check_cid_text(str(cid)) == str(cid)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "59 characters"),
        (EMPTY[:-1], "59 characters"),
        (EMPTY + "a", "59 characters"),
        (EMPTY.upper(), "59 characters"),
        ("b" + EMPTY[1:].upper(), "base32"),
        (EMPTY[:-1] + "v", "canonical"),  # same bytes, other unused bits
        (EMPTY[:-1] + "1", "base32"),
        (EMPTY[:-1] + "ß", "base32"),
        (EMPTY[:-1] + "=", "base32"),
        ("QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH", "59 characters"),
        (str(CID("base32", 1, "dag-json", ("sha2-256", bytes(32)))), "59 characters|codec"),
        (str(CID("base32", 1, "dag-cbor", ("sha2-256", bytes(32)))), "codec 0x71"),
        (str(CID("base32", 1, "raw", ("sha3-256", bytes(32)))), "multihash"),
        (None, "NoneType"),
        (b"bafk", "bytes"),
        (7, "int"),
    ],
)
def test_other_texts_are_refused_with_the_reason(text: object, reason: str) -> None:
    with pytest.raises(CidError, match=reason):
        check_cid_text(text)  # type: ignore[arg-type]


@given(st.text(max_size=70) | st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=59, max_size=59))
def test_any_text_parses_canonically_or_is_refused(text: str) -> None:
    with suppress(CidError):
        assert str(Cid.parse(text)) == text


@pytest.mark.parametrize("chunk_size", [0, -1, 1_048_577])
def test_chunk_sizes_that_kubo_refuses_are_refused(chunk_size: int) -> None:
    with pytest.raises(StorageError, match="chunk"):
        cid_of(b"x", chunk_size)
