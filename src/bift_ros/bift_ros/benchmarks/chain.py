"""``./bift bench chain``: what it costs to check blocks, and to load a long chain.

The first two lines check a block of updates on a vehicle's own way, PoFL aside: from a message's
bytes as they come on the topic through the gate (size, budget, work, signature, form) and
`state_transition`. Of the first the vehicle has seen no update before, of the second each has come
by itself. Beside it the block's signatures (each update's and its own) are verified bare, with the
same library, one after another, keys loaded. All take turns and the best turn of each counts; what
is remembered of earlier turns is cleared before each. A vehicle checks on all cores: `one_core_ms`
is what it takes on one.

The last two lines open a database of blocks with a few updates each, in a process of its own, so
that the growth of its resident memory is the chain's, and then add blocks on old parents. Of the
first no block is final, of the second each one, and older ones are pruned.
"""

from __future__ import annotations

import math
import multiprocessing
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bift_ros.admission.gate import Gate
from bift_ros.benchmarks import memory
from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.branch_states import STATE_SPACING
from bift_ros.chain.store import ChainStore
from bift_ros.consensus.blocks import Block, ModelInfo
from bift_ros.consensus.genesis import Policy
from bift_ros.consensus.payloads import ProposeTask
from bift_ros.consensus.quorums import Quorum
from bift_ros.consensus.state import State
from bift_ros.consensus.transactions import Transaction, signature_holds
from bift_ros.consensus.transition import state_transition
from bift_ros.identity import cores
from bift_ros.simulation.consortium import Consortium
from bift_ros.storage.cid import cid_of

TURNS = 300
UPDATES_A_BLOCK = 3
"""In the long chain."""
SIDE_BLOCKS = 20


def run(updates: int, blocks: int) -> Iterator[dict[str, Any]]:
    """Give the results of checking a block, then those of loading a chain."""
    yield from _check(updates)
    for final in (False, True):
        yield _load(blocks, final)


class _Chain:
    """Blocks of updates that all members make."""

    def __init__(self, size: int, iterations: int) -> None:
        policy = Policy(difficulty=0, mode="paper", minimum_updates=1, plain_interval_ms=0)
        self.members = Consortium(size, policy, chain="bench", secret="bench {}")
        self.proposal = ProposeTask(
            "lights", cid_of(b"start"), iterations, "fedavg", "cnn", 1, 10, 0.01, "adam"
        )

    def propose(self) -> Block:
        return self._block(self.members.start, [self.members.sign(0, self.proposal)], None)

    def learn(self, state: State) -> Block:
        updates = [
            self.members.announce(
                i,
                state,
                cid=cid_of(f"{i} {state.height}".encode()),
                accuracy=0.5,
                sample_count=100,
            )
            for i in range(len(self.members.keys))
        ]
        return self._block(state, updates, self.members.made_up_info(state, updates))

    def _block(self, state: State, said: list[Transaction], info: ModelInfo | None) -> Block:
        miner = state.height % len(self.members.keys)
        return self.members.block(state, said, info, miner=miner)

    def apply(self, state: State, block: Block) -> State:
        return state_transition(state, self.members.genesis, block, block.header.timestamp)


def _check(updates: int) -> Iterator[dict[str, Any]]:
    chain = _Chain(updates, 1)
    members = chain.members
    state = chain.apply(members.start, chain.propose())
    block = chain.learn(state)
    said = [_in_cdr(tx) for tx in block.body.transactions]
    message = _in_cdr(block)
    keys = {k.address: Ed25519PublicKey.from_public_bytes(k.public_key) for k in members.keys}
    signed = [
        (keys[tx.sender], tx.signature, tx.signing_bytes(members.genesis.hash))
        for tx in block.body.transactions
    ]
    signed.append((keys[block.header.miner], block.signature, block.hash))

    def bare() -> float:
        begun = time.perf_counter()
        for key, signature, text in signed:
            key.verify(signature, text)
        return time.perf_counter() - begun

    def ours(heard: list[bytes]) -> float:
        signature_holds.cache_clear()
        gate = Gate(members.genesis, "", members.genesis.by_address, lambda _: False, state)
        for each in heard:
            gate.transaction(each, 0)
        begun = time.perf_counter()
        arrived = gate.block(message, 0)
        assert arrived is not None, "it is new"
        chain.apply(state, arrived)
        return time.perf_counter() - begun

    def on_one_core(heard: list[bytes]) -> float:
        count, cores.count = cores.count, 1
        try:
            return ours(heard)
        finally:
            cores.count = count

    turns: dict[Any, Callable[[], float]] = {
        "bare": bare,
        ("new", "all"): lambda: ours([]),
        ("new", "one"): lambda: on_one_core([]),
        ("known", "all"): lambda: ours(said),
        ("known", "one"): lambda: on_one_core(said),
    }
    best = dict.fromkeys(turns, math.inf)
    for _ in range(TURNS):
        for name, turn in turns.items():
            best[name] = min(best[name], turn())
    for seen in ("new", "known"):
        yield {
            "bench": f"check {seen}",
            "updates": updates,
            "signatures": len(signed),
            "message_bytes": len(message),
            "ours_ms": round(best[seen, "all"] * 1e3, 4),
            "one_core_ms": round(best[seen, "one"] * 1e3, 4),
            "bare_ms": round(best["bare"] * 1e3, 4),
            "ratio": round(best[seen, "all"] / best["bare"], 3),
            "one_core_ratio": round(best[seen, "one"] / best["bare"], 3),
        }


def _in_cdr(said: Block | Transaction) -> bytes:
    """A message of the fleet's topics without the fields that are for people."""
    data = said.to_bytes()
    return b"\0\1\0\0" + struct.pack("<I", len(data)) + data


def _load(blocks: int, final: bool) -> dict[str, Any]:
    members = _Chain(UPDATES_A_BLOCK, blocks)
    genesis = members.members.genesis
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "chain.db")
        with closing(ChainStore(path, genesis)) as store:
            chain, block = Blockchain(genesis, store), members.propose()
            while True:
                state = members.apply(chain.tip_state, block)
                chain.add(block, state)
                if final:
                    chain.finalize(Quorum.from_bytes(members.members.certificate(state)))
                if state.height == blocks:
                    break
                block = members.learn(state)
        context = multiprocessing.get_context("spawn")
        reader, writer = context.Pipe(duplex=False)
        process = context.Process(target=_open, args=(path, blocks, writer))
        process.start()
        writer.close()
        found = reader.recv()
        process.join()
        size = path.stat().st_size
    assert found.pop("height") == blocks, "the whole chain was loaded"
    return {
        "bench": "load final" if final else "load",
        "blocks": blocks,
        "transactions": UPDATES_A_BLOCK * (blocks - 1) + 1,
        "database_mib": round(size / 2**20, 2),
        "blocks_per_s": round(blocks / found["start_s"], 1),
        **found,
    }


def _open(path: Path, blocks: int, pipe: Connection) -> None:
    """Load the chain in a fresh process, and add blocks on old parents; send what it took."""
    members = _Chain(UPDATES_A_BLOCK, blocks).members
    before = memory.peak()
    begun = time.perf_counter()
    with closing(ChainStore(path, members.genesis)) as store:
        opened = time.perf_counter()
        chain = Blockchain(members.genesis, store)
        height = chain.tip_state.height
        ended = time.perf_counter()
        grown = memory.peak() - before
        worst = max(_side_block(chain, members, parent) for parent in _old_parents(chain))
    pipe.send(
        {
            "height": height,
            "open_s": round(opened - begun, 3),
            "replay_s": round(ended - opened, 3),
            "start_s": round(ended - begun, 3),
            "side_block_ms": round(1e3 * worst, 2),
            "memory_mib": round(grown / 2**20, 1),
        }
    )


def _old_parents(chain: Blockchain) -> list[bytes]:
    """Some blocks from the tree's lowest on, most of them far from a stored state."""
    lowest, count = chain.root.height + 1, chain.tip.height - chain.root.height
    parents = []
    for step in range(SIDE_BLOCKS):
        height = lowest + count * step // SIDE_BLOCKS
        height = min(chain.tip.height, height // STATE_SPACING * STATE_SPACING + STATE_SPACING - 1)
        parents += [block.hash for block in chain.canonical(height, 1)]
    return parents


def _side_block(chain: Blockchain, members: Consortium, parent: bytes) -> float:
    """Seconds that it takes to check and keep a block that costs its miner nothing."""
    block = members.block(chain.state_at(parent), [], None, miner=1)
    signature_holds.cache_clear()
    chain = Blockchain(chain.genesis, chain.store)  # with no more states at hand than at a start
    begun = time.perf_counter()
    state = state_transition(chain.state_at(parent), chain.genesis, block, block.header.timestamp)
    chain.add(block, state)
    return time.perf_counter() - begun
