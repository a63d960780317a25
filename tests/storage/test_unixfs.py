from __future__ import annotations

import math
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bift_ros.storage import unixfs
from bift_ros.storage.cidv1 import DAG_PB, RAW, Cid
from bift_ros.storage.dagpb import InvalidFile, Link, decode_node, encode_node
from bift_ros.storage.unixfs import blocks_of, levels, read_file

LINKS = 174


def tree_of(data: bytes, chunk_size: int) -> tuple[Cid, dict[Cid, bytes]]:
    blocks = [(cid, bytes(block)) for cid, block in blocks_of(data, chunk_size)]
    return blocks[-1][0], dict(blocks)


def node(*links: Link) -> tuple[Cid, bytes]:
    block = encode_node(links)
    return Cid.of(DAG_PB, block), block


def leaf(data: bytes) -> tuple[Cid, bytes]:
    return Cid.of(RAW, data), data


@given(st.binary(max_size=3000), st.integers(1, 400))
@example(b"", 1)
@example(bytes(LINKS), 1)
@example(bytes(range(256)) * 120, 1)
def test_a_file_comes_back(data: bytes, chunk_size: int) -> None:
    root, blocks = tree_of(data, chunk_size)
    assert read_file(root, blocks.__getitem__) == data


@given(st.integers(0, 40_000), st.integers(20, 99))
def test_the_tree_is_balanced_and_full(size: int, chunk_size: int) -> None:
    root, blocks = tree_of(bytes(size), chunk_size)
    tree = list(levels(root, blocks.__getitem__))
    width = max(1, math.ceil(size / chunk_size))
    for level in reversed(tree):
        assert len(level) == width
        width = math.ceil(width / LINKS)
    assert len(tree[0]) == 1
    assert all(part.cid.codec == DAG_PB for level in tree[:-1] for part in level)
    assert all(part.cid.codec == RAW for part in tree[-1])


@given(st.binary(max_size=300))
def test_any_bytes_decode_canonically_or_are_refused(block: bytes) -> None:
    with suppress(InvalidFile):
        assert encode_node(decode_node(block)) == block


@given(st.integers(0, 400), st.integers(0, 255), st.booleans())
def test_a_changed_node_decodes_canonically_or_is_refused(at: int, byte: int, cut: bool) -> None:
    root, blocks = tree_of(bytes(range(100)), 13)
    block = bytearray(blocks[root])
    block[at % len(block)] = byte
    if cut:
        del block[at % len(block) :]
    with suppress(InvalidFile):
        assert encode_node(decode_node(bytes(block))) == block


def test_a_block_that_cannot_be_had_is_the_getters_error() -> None:
    root, blocks = tree_of(bytes(range(100)), 10)
    del blocks[Cid.of(RAW, bytes(range(10)))]
    with pytest.raises(KeyError):
        read_file(root, blocks.__getitem__)


@pytest.mark.parametrize(("size", "chunk"), [(1000, 10), (1000, 1000)])
def test_a_file_over_the_limit_is_refused(size: int, chunk: int) -> None:
    root, blocks = tree_of(bytes(size), chunk)
    assert read_file(root, blocks.__getitem__, max_size=size) == bytes(size)
    with pytest.raises(InvalidFile, match="999"):
        read_file(root, blocks.__getitem__, max_size=size - 1)


def test_the_size_limit_holds_before_any_chunk_is_asked_for() -> None:
    root, blocks = tree_of(bytes(1000), 10)
    asked: list[Cid] = []

    def get(cid: Cid) -> bytes:
        asked.append(cid)
        return blocks[cid]

    with pytest.raises(InvalidFile):
        read_file(root, get, max_size=999)
    assert asked == [root]


def test_false_sizes_are_refused() -> None:
    chunk_cid, chunk = leaf(b"abc")
    for declared in (2, 4):
        root, block = node(Link(chunk_cid, declared, 3))
        with pytest.raises(InvalidFile, match="3 bytes"):
            read_file(root, {root: block, chunk_cid: chunk}.__getitem__)
    inner, inner_block = node(Link(chunk_cid, 3, 3))
    root, block = node(Link(inner, 4, 3))
    with pytest.raises(InvalidFile, match="declares 4"):
        read_file(root, {root: block, inner: inner_block, chunk_cid: chunk}.__getitem__)


def test_parts_without_bytes_are_refused() -> None:
    chunk_cid, chunk = leaf(b"")
    root, block = node(*[Link(chunk_cid, 0, 0)] * 5)
    with pytest.raises(InvalidFile, match="without bytes"):
        read_file(root, {root: block, chunk_cid: chunk}.__getitem__)


def test_a_node_without_links_is_refused() -> None:
    with pytest.raises(InvalidFile, match="0 links"):
        decode_node(b"\x0a\x04\x08\x02\x18\x00")  # Kubo's empty file, not raw
    with pytest.raises(InvalidFile, match="0 links"):
        decode_node(b"")


def test_a_leaf_that_is_no_raw_block_is_refused() -> None:
    other = Cid.of(RAW, b"a").to_bytes().replace(b"\x01\x55", b"\x01\x71")
    block = encode_node([Link(Cid.of(RAW, b"a"), 1, 1)])
    with pytest.raises(InvalidFile, match="neither raw"):
        decode_node(block.replace(Cid.of(RAW, b"a").to_bytes(), other))
    with pytest.raises(InvalidFile, match="0 sizes"):
        decode_node(block + b"\x0a\x00")
    with pytest.raises(InvalidFile, match="canonical"):
        decode_node(b"\x18\x01" + block)


def test_unbalanced_trees_are_refused() -> None:
    chunk_cid, chunk = leaf(b"a")
    inner, inner_block = node(Link(chunk_cid, 1, 1))
    root, block = node(Link(chunk_cid, 1, 1), Link(inner, 1, 1))
    with pytest.raises(InvalidFile, match="balanced"):
        read_file(root, {root: block, inner: inner_block, chunk_cid: chunk}.__getitem__)


def test_a_chain_of_nodes_is_refused() -> None:
    cid, block = leaf(b"a")
    blocks = {cid: block}
    for _ in range(unixfs.MAX_DEPTH + 1):
        cid, block = node(Link(cid, 1, 1))
        blocks[cid] = block
    with pytest.raises(InvalidFile, match="deeper"):
        read_file(cid, blocks.__getitem__)


def test_few_blocks_that_unfold_into_many_are_refused_early() -> None:
    """Six kilobytes whose links multiply to 174^5 one-byte chunks."""
    cid, block = leaf(b"a")
    blocks, size = {cid: block}, 1
    for _ in range(5):
        cid, block = node(*[Link(cid, size, size)] * LINKS)
        blocks[cid], size = block, size * LINKS
    asked = 0

    def get(wanted: Cid) -> bytes:
        nonlocal asked
        asked += 1
        return blocks[wanted]

    with pytest.raises(InvalidFile, match=f"{unixfs.MAX_PARTS} blocks"):
        read_file(cid, get, max_size=size)
    assert asked < 5
