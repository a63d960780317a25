"""A peer with a running task takes junk and forgeries, mixed with what is valid.

An input is a script of three bytes an event: the kind, and two bytes that seed whatever is drawn
for it; the first byte of all also chooses the consensus mode. A script starts from a fresh peer,
so what crashes once crashes again.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from bift_ros.consensus.exceptions import FieldError, InvalidTransaction
from bift_ros.consensus.payloads import Transfer
from bift_ros.peer.events import Submit, Tick
from fuzz import arrivals, corpus
from fuzz.mutators import flip
from fuzz.peer_answers import blocks_and_files_answered, files_arrive, headers_answered, own_results
from fuzz.peer_forgeries import (
    forged_block,
    forged_transaction,
    liar_speaks,
    liars_block,
    other_chain,
    tip_of_somebody,
)
from fuzz.peer_stage import Stage

_INSPECT_EVERY = 32


def events_in(script: bytes) -> int:
    return len(script) // 3


def seeds() -> list[bytes]:
    """The honest history alone, and two with some of everything."""
    honest = [[bytes((3 | mode, i, 0, 2, 0, 0, 2, 0, 0)) for i in range(6)] for mode in (0, 128)]
    return [*map(b"".join, honest), bytes(range(240)), bytes(range(239, -1, -1)) * 2]


def make(rng: Random) -> bytes:
    """Mostly some dozens of events; one script in a hundred is long enough to fill memories."""
    events = 6_000 if rng.random() < 0.01 else 1 + int(rng.random() * 120)
    start = rng.choice((b"", rng.choice(seeds()[:2])[: 9 * rng.randrange(7)]))
    return start + rng.randbytes(3 * events)


def mutate(rng: Random, data: bytes) -> bytes:
    if len(data) < 360 and rng.random() < 0.5:
        return data + rng.randbytes(3 * (1 + int(rng.random() * 10)))
    return flip(rng, data) if data else rng.randbytes(3)


def check(script: bytes) -> None:
    stage = Stage("bift" if script[:1] >= b"\x80" else "paper")
    for number in range(events_in(script)):
        kind, a, b = script[3 * number : 3 * number + 3]
        _KINDS[kind % len(_KINDS)](stage, Random(kind << 16 | a << 8 | b), a)
        if number % _INSPECT_EVERY == 0:
            stage.inspect()
    stage.inspect()


def _mutated_transaction(stage: Stage, rng: Random, a: int) -> None:
    del a
    data = stage.history.transaction_mutator.make(rng)
    stage.arrive("transaction", data)


def _mutated_block(stage: Stage, rng: Random, a: int) -> None:
    del a
    data = stage.history.block_mutator.make(rng)
    stage.arrive("block", data)


def _valid_block(stage: Stage, rng: Random, a: int) -> None:
    del rng
    blocks = stage.history.blocks
    stage.arrive("block", blocks[a % len(blocks)].to_bytes())


def _valid_transaction(stage: Stage, rng: Random, a: int) -> None:
    del rng
    said = stage.history.transactions
    stage.arrive("transaction", said[a % len(said)].to_bytes())


def _time_passes(stage: Stage, rng: Random, a: int) -> None:
    stage.now += rng.choice((0, 1, 250, 1_000, 5_000, 40_000)) if a else -500
    stage.send(Tick())


def _owner_submits(stage: Stage, rng: Random, a: int) -> None:
    payload = rng.choice([*corpus.payloads(), Transfer(stage.world.address(a % 4), 1 + a)])
    try:
        stage.send(Submit(payload))
    except (FieldError, InvalidTransaction):  # the owner's own mistake: allowed here, only here
        return


def _anything_arrives(stage: Stage, rng: Random, a: int) -> None:
    """Mutants of what members have said, some signed anew, in messages that are mutants too."""
    topic = ("transaction", "block", "tip")[a % 3]
    source = getattr(stage.history, f"{topic}_mutator")
    data = arrivals.resigned(rng, topic, source, stage.world.genesis.hash)
    getattr(stage.signed, f"{topic}s").add(data)
    stage.arrive(topic, data, arrivals.spoilt(rng, data))


_KINDS: list[Callable[[Stage, Random, int], None]] = [
    _mutated_transaction, _mutated_block, files_arrive, _valid_block, _valid_transaction,
    forged_transaction, forged_block, liars_block, liar_speaks, tip_of_somebody,
    blocks_and_files_answered, own_results, _time_passes, _owner_submits, other_chain,
    headers_answered, _anything_arrives,
]  # fmt: skip
