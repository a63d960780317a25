"""Messages of the fleet's topics as they come, in CDR, and mutants of them.

What a message carries is changed as bytes, as a tree of items, and as a tree that a member signs
anew, so that it gets behind the signature. The message around it is changed too.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from random import Random
from typing import Any

from bift_ros.admission.gate import Gate
from bift_ros.chain.tips import SignedTip, check_tip, sign_tip
from bift_ros.consensus.authorship import check_authorship
from bift_ros.consensus.blocks import Header
from bift_ros.consensus.encoding import encode, sha256
from bift_ros.consensus.exceptions import EncodingError, FieldError
from bift_ros.consensus.proof_of_work import search
from bift_ros.consensus.transactions import check_signature
from fuzz import corpus
from fuzz.mutators import Mutator, change_field, flip, fold, unfold

READABLE = b"\x05\0\0\0text\0"
"""What stands behind the canonical bytes, for people."""


def in_cdr(data: bytes, size: int | None = None) -> bytes:
    """A message whose first field is these bytes, or says that it has another size."""
    claimed = len(data) if size is None else size
    return b"\0\1\0\0" + claimed.to_bytes(4, "little") + data + READABLE


def tips() -> list[SignedTip]:
    world = corpus.world()
    return [
        sign_tip(
            key,
            world.genesis.hash,
            height=height,
            tip_hash=bytes([number] * 32),
            learning_weight=3 * height,
            provider="" if number else "http://192.0.2.1:8080",
            stamp=1_700_000_000_000 + height,
        )
        for number, key in enumerate(world.keys)
        for height in (1, 2**40)
    ]


@lru_cache(maxsize=1)
def seeds() -> dict[str, list[bytes]]:
    """What members have said, by the topic's name, in canonical bytes."""
    said = {"transaction": corpus.transactions(), "block": corpus.blocks(), "tip": tips()}
    return {name: [each.to_bytes() for each in things] for name, things in said.items()}  # type: ignore[attr-defined]


@lru_cache(maxsize=3)
def mutator(name: str) -> Mutator:
    return Mutator(seeds()[name])


def mutant(rng: Random, name: str) -> bytes:
    """A message for a topic, in CDR."""
    how = rng.random()
    if how < 0.25:
        data = resigned(rng, name, mutator(name), corpus.world().genesis.hash)
    elif how < 0.95:
        data = mutator(name).make(rng)
    else:
        data = rng.choice(seeds()[name])
    return spoilt(rng, data)


def spoilt(rng: Random, data: bytes) -> bytes:
    """A message with this content, whole in most cases."""
    how = rng.random()
    if how < 0.7:
        return in_cdr(data)
    if how < 0.8:
        sizes = (0, 1, len(data) - 1, len(data) + 1, len(data) + len(READABLE), 2**31, 2**32 - 1)
        return in_cdr(data, max(0, rng.choice(sizes)))
    message = in_cdr(data)
    if how < 0.9:
        return flip(rng, message[:8]) + message[8:]
    return message[: int(rng.random() * len(message))] if how < 0.95 else flip(rng, message)


def resigned(rng: Random, name: str, source: Mutator, genesis_hash: bytes) -> bytes:
    """What a member says, or mines, that is nearly what one has said."""
    data, other = rng.choice(source.seeds), rng.choice(source.seeds)
    if name == "block":
        return _mined_again(rng, unfold(data), unfold(other))
    world = corpus.world()
    items = change_field(rng, unfold(data)[:-1], unfold(other)[:-1])
    if type(items) is not list:
        items = [items]
    key = rng.choice(world.keys)
    if rng.random() < 0.9:
        items[:1] = [key.address]
    count, body = len(items), b"".join(map(fold, items))
    signed = {
        "transaction": encode([None] * (count + 2))[:1]
        + encode("bift transaction 1")
        + encode(genesis_hash),
        "tip": genesis_hash + encode([None] * (count + 1))[:1] + encode("bift tip 1"),
    }[name]
    return encode([None] * (count + 1))[:1] + body + encode(key.sign(signed + body))


def _mined_again(rng: Random, tree: list[Any], other: list[Any]) -> bytes:
    (header, body, _), key = tree, rng.choice(corpus.world().keys)
    changed = fold(change_field(rng, body, other[1]).items)
    fields = change_field(rng, header.items, other[0].items) if rng.random() < 0.3 else header.items
    try:
        draft = replace(Header.from_bytes(fold(fields)), body_hash=sha256(changed))
    except (EncodingError, FieldError):
        return encode([fold(fields), changed, key.sign(sha256(fold(fields)))])
    draft = replace(draft, miner=key.address, difficulty=4)
    mined = (search(draft, 2**32, 10_000) if rng.random() < 0.9 else None) or draft
    return encode([mined.to_bytes(), changed, key.sign(mined.hash)])


_TOPICS = ("transaction", "block", "tip")


def inputs() -> list[bytes]:
    """The seeds as inputs: the topic's number, then the message."""
    return [bytes((i,)) + in_cdr(data) for i, name in enumerate(_TOPICS) for data in seeds()[name]]


def make(rng: Random) -> bytes:
    number = rng.choice((0, 0, 1, 2, 2))
    return bytes((number,)) + mutant(rng, _TOPICS[number])


def mutate(rng: Random, data: bytes) -> bytes:
    return make(rng) if rng.random() < 0.3 or not data else data[:1] + flip(rng, data[1:])


def check(data: bytes) -> None:
    """Let a message through the gate of a vehicle; raises NotAdmitted."""
    genesis = corpus.world().genesis
    name = _TOPICS[data[0] % len(_TOPICS)] if data else _TOPICS[0]
    gate = Gate(genesis, "", genesis.by_address, lambda _: False, corpus.world().start)
    found = getattr(gate, name)(data[1:], 0)
    canonical = found.to_bytes()
    assert canonical in data, "what was let in is not what came"
    again = type(found).from_bytes(canonical)  # which remembers nothing of a signature
    assert again == found
    if name == "block":
        check_authorship(again.header, again.signature, genesis)
    else:
        {"transaction": check_signature, "tip": check_tip}[name](again, genesis, genesis.by_address)
    assert getattr(gate, name)(data[1:], 1) is None, "a replay is new"
