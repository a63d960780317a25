"""Turning valid inputs into nearly valid ones.

A mutator knows three levels: bytes (flips, cuts, splices), the tree of DAG-CBOR items (a field
replaced, the lengths around it written right), and signatures (a changed field signed again,
by the wrong key). Everything is drawn from the `Random` passed in, so a seed replays exactly.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from bift_ros.consensus.encoding import decode, encode
from bift_ros.consensus.exceptions import EncodingError
from bift_ros.consensus.transactions import MAX_TRANSACTION_BYTES
from bift_ros.identity.keys import KeyPair
from fuzz.corpus import STRANGER, world

MAX_BYTES = 8_192
"""Longer inputs only slow a run down; the readers' own bounds are tested with a few above them."""

Mutate = Callable[[Random, bytes], bytes]
_ORDER = 2**252 + 27742317777372353535851937790883648493  # of Ed25519's base point


@dataclass
class Nested:
    """A byte string that holds DAG-CBOR itself."""

    items: list[Any]


@dataclass
class Raw:
    """Bytes to be written as they are."""

    data: bytes


_NASTY_VALUES: list[Any] = [
    0, 1, -1, 23, 24, 255, 2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -(2**64),
    "", "a", "a" * 40, "a" * 64, "a" * 65, "0" * 40, "A" * 40, "a" * 3000, "\0", "é", "\u202e",
    "\U0001f697" * 20, "lights\n", "../../etc", "b" * 59, "transfer", "model_update", "mixed",
    b"", b"\x80", bytes(31), bytes(32), bytes(63), bytes(64), b"\xff" * 64, bytes(65), bytes(3000),
    True, False, None, 0.0, -0.0, 0.5, 1.0, 1.0000000000000002, 5e-324, 1e308, [], [[]], [[[[]]]],
    [0] * 300, ["transfer"], [b"x", b"x"],
]  # fmt: skip
_NASTY_BYTES = [
    bytes.fromhex(code)
    for code in (
        "a0", "a1616101", "d82a4100", "f97e00", "f93c00", "fa3f800000", "fb7ff8000000000000",
        "fb7ff0000000000000", "fb8000000000000000", "9fff", "5f4100ff", "7f6161ff", "f7", "f800",
        "ff", "1800", "190017", "1a0000ffff", "1b00000000ffffffff", "5b7fffffffffffffff",
        "5bffffffffffffffff", "9bffffffffffffffff", "9affffffff", "7bffffffffffffffff", "61ff",
        "63eda080", "62c080", "81" * 12 + "80", "98ff", "", "c0", "3bffffffffffffffff",
    )
]  # fmt: skip
_TOKENS = [
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-0", b"0.0", b"null", b"true", b"{}", b"[]",
    b'""', b'"\\ud800"', b"9" * 400, b"9" * 5000, b"1e400", b"-1", b'"\\u0000"', b"[[[[[[[[",
    b'"__metadata__"', b"1.0", b'"14"', b"[1,2]", b"[" * 2000,
]  # fmt: skip


def flip(rng: Random, data: bytes) -> bytes:
    """Change a byte or three, mostly by a bit."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if out:
            at = int(rng.random() * len(out))
            bit = out[at] ^ 1 << int(rng.random() * 8)
            out[at] = bit if rng.random() < 0.7 else rng.getrandbits(8)
    return bytes(out)


def cut(rng: Random, data: bytes) -> bytes:
    """End too early, lose a middle, or go on too long."""
    start, end = sorted((int(rng.random() * (len(data) + 1)), int(rng.random() * (len(data) + 1))))
    how = rng.random()
    if how < 0.4:
        return data[:end]
    if how < 0.7:
        return data[:start] + data[end:]
    return (
        data[:end] + data[start:] if how < 0.9 else data + rng.randbytes(1 + int(8 * rng.random()))
    )


def splice(rng: Random, data: bytes, other: bytes) -> bytes:
    """Begin as one input and end as another."""
    at = int(rng.random() * (len(data) + 1))
    if rng.random() < 0.5:
        return data[:at] + other[at:]
    return data[:at] + other[int(rng.random() * (len(other) + 1)) :]


def insert(rng: Random, data: bytes, tokens: Sequence[bytes]) -> bytes:
    """Put a token in, over nothing or over as many bytes."""
    at, token = int(rng.random() * (len(data) + 1)), rng.choice(tokens)
    return data[:at] + token + data[at + (len(token) if rng.random() < 0.5 else 0) :]


def unfold(data: bytes) -> Any:
    """The tree of items, byte strings that hold lists opened; raises EncodingError."""
    return _opened(decode(data))


def _opened(item: Any) -> Any:
    if type(item) is list:
        return [_opened(i) for i in item]
    if type(item) is bytes and item and item[0] >> 5 == 4:
        try:
            return Nested(_opened(decode(item)))
        except EncodingError:
            return item
    return item


def fold(tree: Any) -> bytes:
    """The bytes of a tree; lengths and heads are right again."""
    if type(tree) is Raw:
        return tree.data
    if type(tree) is Nested:
        return encode(fold(tree.items))
    if type(tree) is list:
        return _list_head(len(tree)) + b"".join([fold(item) for item in tree])
    return encode(tree)


def _list_head(length: int) -> bytes:
    if length < 24:
        return bytes((0x80 | length,))
    return bytes((0x98, length)) if length < 256 else b"\x99" + length.to_bytes(2, "big")


def change_field(rng: Random, tree: Any, other: Any) -> Any:
    """Replace one item somewhere in the tree; `other` is a second valid tree to take from."""
    if type(tree) is Nested:
        return Nested(
            change_field(rng, tree.items, other.items if type(other) is Nested else other)
        )
    if type(tree) is list and tree and rng.random() < 0.9:
        at = int(rng.random() * len(tree))
        theirs = other[at] if type(other) is list and at < len(other) else None
        how = rng.random()
        if how < 0.86:
            changed = [change_field(rng, tree[at], theirs)]
        else:  # lost, doubled
            changed = [] if how < 0.93 else [tree[at], tree[at]]
        return tree[:at] + changed + tree[at + 1 :]
    how = rng.random()
    if how < 0.3:
        return other
    if how < 0.5:
        return _nudged(rng, tree)
    return rng.choice(_NASTY_VALUES) if how < 0.85 else Raw(rng.choice(_NASTY_BYTES))


def _nudged(rng: Random, item: Any) -> Any:
    """Nearly the same, of the same type."""
    if type(item) is int:
        return max(-(2**64), min(2**64 - 1, item + rng.choice((-1, 1, 256, -256))))
    if type(item) is float:
        return item / 2
    if type(item) is bytes:
        return flip(rng, item)
    if type(item) is str and item:
        at = int(rng.random() * len(item))
        return item[:at] + rng.choice("abc019_ÉZ") + item[at + 1 :]
    return [item]


class Mutator:
    """Makes new inputs from valid ones of a kind."""

    def __init__(self, seeds: Sequence[bytes], tokens: Sequence[bytes] = _NASTY_BYTES) -> None:
        self.seeds = seeds
        self._tokens = tokens
        self._trees = []
        for seed in seeds:
            try:
                self._trees.append(unfold(seed))
            except EncodingError:
                break
        self._cbor = len(self._trees) == len(seeds)

    def make(self, rng: Random) -> bytes:
        """A new input from one of the seeds."""
        at = int(rng.random() * len(self.seeds))
        if self._cbor and rng.random() < 0.4:
            tree = change_field(rng, self._trees[at], rng.choice(self._trees))
            if rng.random() < 0.2:
                tree = change_field(rng, tree, rng.choice(self._trees))
            return fold(tree)[:MAX_BYTES]
        return self.mutate(rng, self.seeds[at])

    def mutate(self, rng: Random, data: bytes) -> bytes:
        """Change any input, valid or not."""
        if self._cbor and rng.random() < 0.2:
            try:
                return fold(change_field(rng, unfold(data), rng.choice(self._trees)))[:MAX_BYTES]
            except (EncodingError, RecursionError):
                pass
        how = rng.random()
        if how < 0.45:
            data = flip(rng, data)
        elif how < 0.65:
            data = cut(rng, data)
        elif how < 0.8:
            data = splice(rng, data, rng.choice(self.seeds))
        else:
            data = insert(rng, data, self._tokens)
        return data[:MAX_BYTES]


def text_mutator(seeds: Sequence[bytes]) -> Mutator:
    """For JSON and what contains it."""
    return Mutator(seeds, _TOKENS)


def forge_transaction(rng: Random, data: bytes, genesis: bytes, foreign_genesis: bytes) -> bytes:
    """Put words into a member's mouth: each of these must be refused.

    The hashes are those of the chain that is lied to, and of another one.
    """
    tree = unfold(data)
    sender, sequence, payload, signature = tree
    how = int(rng.random() * 6)
    if how == 0:  # signed by a stranger
        return _signed(tree, STRANGER, genesis)
    if how == 1:  # by another member
        others = [key for key in world().keys if key.address != sender]
        return _signed(tree, rng.choice(others), genesis)
    if how == 2:  # by the sender itself, on another chain
        own = next(key for key in world().keys if key.address == sender)
        return _signed(tree, own, foreign_genesis)
    if how == 3:  # the same signature in its other form, S + L
        half = int.from_bytes(signature[32:], "little") + _ORDER
        return fold([sender, sequence, payload, signature[:32] + half.to_bytes(32, "little")])
    if how == 4:  # a later sequence number under the old signature
        return fold([sender, sequence + 1, payload, signature])
    if how == 5 and isinstance(payload, Nested):  # a stranger under its own name
        return _signed([STRANGER.address, *tree[1:]], STRANGER, genesis)
    return data


def _signed(tree: list[Any], key: KeyPair, genesis_hash: bytes) -> bytes:
    sender, sequence, payload, _ = tree
    body = fold(payload.items)
    assert len(body) < MAX_TRANSACTION_BYTES
    message = encode(["bift transaction 1", genesis_hash, sender, sequence, body])
    return fold([sender, sequence, payload, key.sign(message)])


def change_json(rng: Random, data: bytes) -> bytes:
    """Replace one value somewhere in a JSON document, which stays JSON; other data stay."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return data
    node: Any = document
    while True:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        if not keys:
            return data
        key = rng.choice(keys)
        if isinstance(node[key], (dict, list)) and rng.random() < 0.8:
            node = node[key]
            continue
        node[key] = rng.choice((
            10**400, -1, 0, 1.5, float("inf"), float("nan"), None, True, "", "é" * 99, [], {},
            [[]], 2**63, "\ud800", 10**30, -0.0, "a" * 3000,
        ))  # fmt: skip
        return json.dumps(document).encode()


def change_header(rng: Random, data: bytes) -> bytes:
    """A model or update file whose JSON header is changed and whose length prefix fits it."""
    length = int.from_bytes(data[:8], "little")
    header, values = data[8 : 8 + length].rstrip(b" "), data[8 + length :]
    if rng.random() < 0.5:
        header = change_json(rng, header)
        if rng.random() < 0.7:  # as compact as it was
            header = json.dumps(json.loads(header), separators=(",", ":")).encode()
    else:
        header = insert(rng, header, _TOKENS)
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + values
