"""Trees that are made to cost memory and disk, attacked with and served over real HTTP."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest
from aiohttp import web

from bift_ros.storage import quota
from bift_ros.storage.blockstore import BlockStore
from bift_ros.storage.cidv1 import DAG_PB, RAW, Cid
from bift_ros.storage.dagpb import InvalidFile, Link, encode_node
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.storage.errors import StorageError
from bift_ros.storage.fetch import MAX_IN_FLIGHT
from bift_ros.storage.node_log import log_record, read_node_log
from bift_ros.storage.unixfs import (
    BYTES_OF_A_PART,
    MAX_BLOCK_SIZE,
    MAX_DEPTH,
    MAX_TREE_BYTES,
    levels,
    most_parts,
)

Vehicle = Callable[..., EmbeddedStorage]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Provider = Callable[[Handler], str]

_MIB = 1 << 20


def node(*links: Link) -> tuple[Cid, bytes]:
    block = encode_node(links)
    return Cid.of(DAG_PB, block), block


def serving(blocks: Mapping[Cid, bytes], asked: list[str]) -> Handler:
    by_text = {str(cid): block for cid, block in blocks.items()}

    async def serve(request: web.Request) -> web.StreamResponse:
        asked.append(request.path.removeprefix("/ipfs/"))
        block = by_text.get(asked[-1])
        if block is None or "Range" in request.headers:
            raise web.HTTPNotFound
        return web.Response(body=block)

    return serve


def bytes_on_disk(folder: Path) -> int:
    files = (path.stat() for path in folder.rglob("*") if path.is_file())
    return sum(512 * status.st_blocks for status in files)


def unfolding(chunk: bytes, fan: int, depth: int) -> tuple[Cid, int, dict[Cid, bytes]]:
    """One chunk, linked `fan` times in each of `depth` nodes above one another; and its size."""
    cid, size = Cid.of(RAW, chunk), len(chunk)
    blocks = {cid: chunk}
    for _ in range(depth):
        cid, block = node(*[Link(cid, size, size)] * fan)
        blocks[cid], size = block, size * fan
    return cid, size, blocks


def big_nodes(count: int, honest_size: bool) -> tuple[Cid, dict[Cid, bytes]]:
    """A root over nodes as large as blocks can be: with false sizes, or with no links at all."""
    blocks, links = {}, []
    for seed in range(count):
        if honest_size:
            cid = Cid.of(RAW, bytes([seed]))
            fitting = (MAX_BLOCK_SIZE - 64) // (len(encode_node([Link(cid, 1, 1)])) + 2)
            block = encode_node([Link(cid, 1, 1)] * fitting)
        else:
            block = random.Random(seed).randbytes(MAX_BLOCK_SIZE)
        cid = Cid.of(DAG_PB, block)
        blocks[cid] = block
        links.append(Link(cid, 7, 7))
    root, block = node(*links)
    return root, blocks | {root: block}


@pytest.mark.parametrize("honest_size", [True, False], ids=["false sizes", "noise"])
def test_nodes_are_judged_one_by_one_and_none_that_is_refused_is_kept(
    vehicle: Vehicle, provider: Provider, tmp_path: Path, honest_size: bool
) -> None:
    root, blocks = big_nodes(40, honest_size)
    victim, asked = vehicle(), list[str]()
    with pytest.raises(InvalidFile):
        victim.get(str(root), [provider(serving(blocks, asked))])
    # What was on its way with the first that was refused.
    assert len(asked) <= 1 + 2 * MAX_IN_FLIGHT
    assert bytes_on_disk(tmp_path) < _MIB


def test_a_few_kilobytes_unfold_no_further_than_the_file_may_be_large(
    vehicle: Vehicle, provider: Provider, tmp_path: Path
) -> None:
    root, size, blocks = unfolding(bytes(1_915), 64, 3)
    assert (size > 500_000_000, sum(map(len, blocks.values())) < 12_000) == (True, True)
    victim, asked = vehicle(), list[str]()
    url = provider(serving(blocks, asked))
    chunk = next(cid for cid in blocks if cid.codec == RAW)
    victim.get(str(chunk), [url])  # so that not a byte of content has to travel
    tracemalloc.start()
    try:
        for get in (
            lambda: victim.get(str(root), [url], largest=100_000),
            lambda: victim.get_file(str(root), tmp_path / "file", [url], largest=100_000),
        ):
            with pytest.raises(InvalidFile, match=f"{size} bytes where 100000"):
                get()
        assert tracemalloc.get_traced_memory()[1] < 16 * _MIB
    finally:
        tracemalloc.stop()
    assert bytes_on_disk(tmp_path) < _MIB


def test_what_repeats_a_block_that_is_here_is_refused_before_it_is_copied(
    vehicle: Vehicle, provider: Provider, tmp_path: Path
) -> None:
    """A full store must not be found to be full only after the copies were written."""
    root, _, blocks = unfolding(random.Random(1).randbytes(100_000), 100, 1)
    victim, asked = vehicle(max_bytes=_MIB), list[str]()
    url = provider(serving(blocks, asked))
    chunk = next(cid for cid in blocks if cid.codec == RAW)
    victim.get(str(chunk), [url])
    with pytest.raises(StorageError, match="full"):
        victim.get(str(root), [url])
    # A store that bounds what it holds must not have held more for a while: holes are what is left.
    assert bytes_on_disk(tmp_path) <= 2 * _MIB


def test_leaves_are_counted_each_time_they_are_repeated() -> None:
    root, size, blocks = unfolding(b"a", 182, 2)
    assert most_parts(size) < 182**2
    with pytest.raises(InvalidFile, match=f"over {most_parts(size)} blocks"):
        list(levels(root, blocks.__getitem__))


def test_a_small_file_has_no_more_parts_than_its_size_allows() -> None:
    assert most_parts(0) == most_parts(100) == 32_768
    assert most_parts(10 * _MIB) < 40_000
    assert most_parts(1 << 40) == 262_144


def test_nodes_that_link_one_node_each_do_not_multiply() -> None:
    """Without this a file of n bytes could have n nodes on every level."""
    chunks = [Link(Cid.of(RAW, bytes([n])), 1, 1) for n in range(3)]
    single = [node(link) for link in chunks]
    pair = node(*chunks[:2])
    bad, bad_block = node(Link(single[0][0], 1, 1), Link(pair[0], 2, 2))
    good, good_block = node(Link(pair[0], 2, 2), Link(single[2][0], 1, 1))
    blocks = dict([*single, pair, (bad, bad_block), (good, good_block)])
    assert [len(level) for level in levels(good, blocks.__getitem__)] == [1, 2, 3]
    with pytest.raises(InvalidFile, match="one link"):
        list(levels(bad, blocks.__getitem__))


def test_a_level_deeper_than_any_is_not_asked_for(vehicle: Vehicle, provider: Provider) -> None:
    root, _, blocks = unfolding(b"a", 1, MAX_DEPTH + 1)
    asked = list[str]()
    with pytest.raises(InvalidFile, match="deeper"):
        vehicle().get(str(root), [provider(serving(blocks, asked))])
    assert len(asked) == MAX_DEPTH


def test_a_tree_takes_bounded_memory_for_each_part() -> None:
    """The dearest tree: each part another, two under a node."""
    parts = [Link(Cid.of(RAW, n.to_bytes(4, "big")), 1, 2**60) for n in range(10_000)]
    pairs = [node(*parts[at : at + 2]) for at in range(0, len(parts), 2)]
    root, block = node(*(Link(cid, 2, 2**60) for cid, _ in pairs))
    blocks = dict(pairs) | {root: block}
    tracemalloc.start()
    try:
        found = list(levels(root, blocks.__getitem__))
        assert [len(level) for level in found] == [1, len(parts) // 2, len(parts)]
        assert tracemalloc.get_traced_memory()[1] < BYTES_OF_A_PART * len(parts)
        print(tracemalloc.get_traced_memory()[1] / len(parts))
    finally:
        tracemalloc.stop()


def test_a_log_longer_than_any_tree_is_not_read_to_its_end(store: BlockStore) -> None:
    path = store.path("trees", Cid.of(DAG_PB, b""))
    record = log_record(bytes(MAX_BLOCK_SIZE - 4))
    with path.open("wb") as file:
        file.write(record)
        file.truncate(8 * MAX_TREE_BYTES)
    tracemalloc.start()
    try:
        assert Cid.of(DAG_PB, bytes(MAX_BLOCK_SIZE - 4)) in read_node_log(path)
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_TREE_BYTES
    finally:
        tracemalloc.stop()


def test_files_of_a_byte_do_not_multiply_without_end(
    vehicle: Vehicle, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota, "SPARE_ENTRIES", 40)
    monkeypatch.setattr(quota, "SMALL_ENTRY", 1 << 60)
    chunks = [bytes([n]) for n in range(100)]
    blocks = {Cid.of(RAW, chunk): chunk for chunk in chunks}
    victim, url = vehicle(), provider(serving(blocks, []))
    for cid in blocks:
        victim.get(str(cid), [url])
    assert sum(path.is_file() for path in tmp_path.rglob("*")) < 60

    def pin_all() -> None:
        for cid in blocks:
            victim.get(str(cid), [url])
            victim.pin(str(cid))

    with pytest.raises(StorageError, match="files and blocks"):
        pin_all()
    root, _, tree = unfolding(b"a", 2, 1)
    wide = node(*(Link(cid, 1, 1) for cid in blocks))
    with pytest.raises(StorageError, match="files and blocks"):
        vehicle().get(str(wide[0]), [provider(serving(blocks | dict([wide]), []))])
    assert vehicle().get(str(root), [provider(serving(tree, []))]) == b"aa"
