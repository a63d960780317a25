"""Checks of single fields: the quick ways agree with the slow ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bift_ros.consensus import fields
from bift_ros.storage.cid import CidError, check_cid_text
from bift_ros.storage.cidv1 import DAG_PB, RAW, Cid


@given(
    st.sampled_from(["bafkrei", "bafybei", "bafkqei", "bafyrei"]),
    st.text("abcdehijquxyz2467", min_size=52, max_size=52),
)
def test_the_quick_check_of_cids_passes_what_the_decoder_passes(start: str, rest: str) -> None:
    try:
        check_cid_text(start + rest)
        expected = True
    except CidError:
        expected = False
    assert bool(fields._CID.fullmatch(start + rest)) is expected


@given(st.binary(min_size=32, max_size=32), st.sampled_from([RAW, DAG_PB]))
def test_the_quick_check_passes_every_cid(digest: bytes, codec: int) -> None:
    assert fields._CID.fullmatch(str(Cid(codec, digest)))
