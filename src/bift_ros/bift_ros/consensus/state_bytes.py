"""Canonical bytes of a state, and the digest that members vote for.

The bytes are the list `[tag, height, tip hash, timestamp, epoch, learning weight, work, part, …]`.
Each part is a byte string with one field's canonical bytes, in the order of `_PARTS`; what has no
order is sorted. The digest is the SHA-256 of the same list with each part's SHA-256 in its place:
most parts are the same objects from block to block, and are hashed once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from bift_ros.consensus.encoding import decode, encode, sha256
from bift_ros.consensus.exceptions import ChainError, EncodingError, FieldError, MalformedState
from bift_ros.consensus.fields import (
    NAME,
    check_address,
    check_bytes,
    check_cid,
    check_float,
    check_integer,
    check_list,
    check_text,
)
from bift_ros.consensus.genesis import Genesis, Member
from bift_ros.consensus.group_key import GroupKey
from bift_ros.consensus.payloads import (
    HASH_BYTES,
    MAX_ITERATIONS,
    MembershipVote,
    ProposeTask,
    ShareFile,
    parse_payload,
    payload_bytes,
)
from bift_ros.consensus.state import Iteration, KeyOfEpoch, SharedFile, State, Task
from bift_ros.consensus.transactions import Transaction
from bift_ros.identity.keys import PUBLIC_KEY_BYTES
from bift_ros.pofl.aggregate import RULES

MAX_STATE_BYTES = 2**29
"""More than the fullest state takes: a thousand members' lists of files, and their keys."""
_TAG = "bift state 1"
_SCALARS = 7


def state_bytes(state: State) -> bytes:
    """Give the canonical bytes."""
    parts = [write(getattr(state, name)) for name, write, _ in _PARTS]
    return encode([*_head(state), *parts])


def state_digest(state: State) -> bytes:
    """Give the state's name, 32 bytes; at little cost where little has changed."""
    parts = [_part_digest(_Part(name, getattr(state, name))) for name, _, _ in _PARTS]
    return sha256(encode([*_head(state), *parts]))


def parse_state(data: bytes, genesis: Genesis) -> State:
    """Read untrusted bytes; raises MalformedState unless `state_bytes` would give exactly them."""
    if len(data) > MAX_STATE_BYTES:
        raise MalformedState(f"{len(data)} bytes, more than {MAX_STATE_BYTES}")
    try:
        items = check_list("state", decode(data), _SCALARS + len(_PARTS))
        tag, height, tip_hash, timestamp, epoch, weight, work = items[:_SCALARS]
        if tag != _TAG:
            raise FieldError(f"the tag is {tag!r:.40}")
        check_integer("height", height, 0)
        check_bytes("tip_hash", tip_hash, HASH_BYTES, HASH_BYTES)
        check_integer("timestamp", timestamp, 0)
        check_bytes("epoch", epoch, HASH_BYTES, HASH_BYTES)
        check_integer("learning_weight", weight, 0)
        check_bytes("work", work, 0, HASH_BYTES)
        parts: dict[str, Any] = {}
        for (name, _, read), part in zip(_PARTS, items[_SCALARS:], strict=True):
            check_bytes(name, part, 1, MAX_STATE_BYTES)
            parts[name] = read(decode(part))
    except (ChainError, TypeError, ValueError) as error:
        raise MalformedState(f"no state: {error}") from error
    state = State(
        height=height,
        tip_hash=tip_hash,
        timestamp=timestamp,
        epoch=epoch,
        learning_weight=weight,
        work=int.from_bytes(work, "big"),
        policy=genesis.policy,
        genesis_hash=genesis.hash,
        **parts,
    )
    if state_bytes(state) != data:  # such as another order, or one key twice
        raise MalformedState("no state: not in canonical form")
    return state


def _head(state: State) -> list[Any]:
    work = state.work.to_bytes((state.work.bit_length() + 7) // 8, "big")
    learning = state.learning_weight
    return [_TAG, state.height, state.tip_hash, state.timestamp, state.epoch, learning, work]


class _Part:
    """An immutable part of states, known by its identity."""

    def __init__(self, name: str, value: Any) -> None:
        self.name, self.value = name, value

    def __hash__(self) -> int:
        return hash((self.name, id(self.value)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Part) and self.name == other.name and self.value is other.value


@lru_cache(maxsize=128)
def _part_digest(part: _Part) -> bytes:
    return sha256(_WRITERS[part.name](part.value))


# --- parts ----------------------------------------------------------------------------------


def _write_counts(counts: Mapping[str, int]) -> bytes:
    return encode([[address, counts[address]] for address in sorted(counts)])


def _read_counts(value: Any) -> dict[str, int]:
    counts = {}
    for entry in check_list("counts", value):
        address, count = check_list("count", entry, 2)
        check_address("account", address)
        check_integer("count", count, 0)
        counts[address] = count
    return counts


def _write_members(members: Mapping[str, Member]) -> bytes:
    return encode([[members[a].name, members[a].public_key] for a in sorted(members)])


def _read_members(value: Any) -> dict[str, Member]:
    entries = [check_list("member", entry, 2) for entry in check_list("members", value)]
    members = [Member(name, public_key) for name, public_key in entries]
    return {member.address: member for member in members}


def _write_ballots(ballots: Mapping[MembershipVote, frozenset[str]]) -> bytes:
    return encode(sorted([payload_bytes(v), sorted(voters)] for v, voters in ballots.items()))


def _read_ballots(value: Any) -> dict[MembershipVote, frozenset[str]]:
    ballots = {}
    for entry in check_list("ballots", value):
        vote, voters = check_list("ballot", entry, 2)
        for voter in check_list("voters", voters):
            check_address("voter", voter)
        ballots[_payload(vote, MembershipVote)] = frozenset(voters)
    return ballots


def _write_shares(shares: Mapping[str, Mapping[str, SharedFile]]) -> bytes:
    lists = [(address, sorted(shares[address].items())) for address in sorted(shares)]
    return encode(
        [
            [address, [[payload_bytes(f.file), f.since] for _, f in files]]
            for address, files in lists
        ]
    )


def _read_shares(value: Any) -> dict[str, dict[str, SharedFile]]:
    shares: dict[str, dict[str, SharedFile]] = {}
    for entry in check_list("shares", value):
        address, files = check_list("share", entry, 2)
        check_address("sharer", address)
        shares[address] = {}
        for item in check_list("files", files):
            data, since = check_list("file", item, 2)
            file: ShareFile = _payload(data, ShareFile)
            check_integer("since", since, 0)
            shares[address][file.name] = SharedFile(file, since)
    return shares


def _write_keys(keys: tuple[KeyOfEpoch, ...]) -> bytes:
    return encode([[key.transaction.to_bytes(), b"".join(key.recipients)] for key in keys])


def _read_keys(value: Any) -> tuple[KeyOfEpoch, ...]:
    keys = []
    for entry in check_list("keys", value):
        data, joined = check_list("key", entry, 2)
        transaction = Transaction.from_bytes(data)
        if not isinstance(transaction.payload, GroupKey):
            raise FieldError(f"key: a {transaction.payload.KIND}")
        check_bytes("recipients", joined, 0, MAX_STATE_BYTES)
        starts = range(0, len(joined), PUBLIC_KEY_BYTES)
        recipients = tuple(joined[at : at + PUBLIC_KEY_BYTES] for at in starts)
        keys.append(KeyOfEpoch(transaction, recipients))
    return tuple(keys)


def _write_task(task: Task | None) -> bytes:
    if task is None:
        return encode(None)
    assert not task.updates, "they are a block's own"
    last = task.last
    entry = None
    if last is not None:
        contributors = list(last.contributors)
        entry = [last.iteration, last.global_cid, last.accuracy, last.rule, contributors]
    return encode(
        [
            payload_bytes(task.proposal),
            task.proposer,
            task.since,
            entry,
            [[address, task.commitments[address]] for address in sorted(task.commitments)],
            task.base_block,
            task.committed_at,
            sorted(task.opponents),
        ]
    )


def _read_task(value: Any) -> Task | None:
    if value is None:
        return None
    proposal, proposer, since, last, commitments, base, committed, opponents = check_list(
        "task", value, 8
    )
    check_address("proposer", proposer)
    check_integer("since", since, 0)
    check_bytes("base_block", base, 0, HASH_BYTES)
    if committed is not None:
        check_integer("committed_at", committed, 0)
    committed_to = {}
    for entry in check_list("commitments", commitments):
        address, commitment = check_list("commitment", entry, 2)
        check_address("committer", address)
        check_bytes("commitment", commitment, HASH_BYTES, HASH_BYTES)
        committed_to[address] = commitment
    for opponent in check_list("opponents", opponents):
        check_address("opponent", opponent)
    return Task(
        _payload(proposal, ProposeTask),
        proposer,
        since,
        _read_iteration(last),
        committed_to,
        base,
        committed,
        opponents=frozenset(opponents),
    )


def _read_iteration(value: Any) -> Iteration | None:
    if value is None:
        return None
    number, global_cid, accuracy, rule, contributors = check_list("iteration", value, 5)
    check_integer("iteration", number, 1, MAX_ITERATIONS)
    check_cid("global_cid", global_cid)
    check_float("accuracy", accuracy, 0.0, 1.0)
    if rule not in RULES:
        raise FieldError(f"rule: {rule!r:.60} is not one of {', '.join(RULES)}")
    for contributor in check_list("contributors", contributors):
        check_address("contributor", contributor)
    return Iteration(number, global_cid, accuracy, rule, tuple(contributors))


def _write_names(names: tuple[str, ...]) -> bytes:
    return encode(list(names))


def _read_names(value: Any) -> tuple[str, ...]:
    for name in check_list("names", value):
        check_text("name", name, NAME)
    return tuple(value)


def _write_addresses(addresses: frozenset[str]) -> bytes:
    return encode(sorted(addresses))


def _read_addresses(value: Any) -> frozenset[str]:
    for address in check_list("addresses", value):
        check_address("address", address)
    return frozenset(value)


def _payload(data: Any, kind: type[Any]) -> Any:
    if type(data) is not bytes:
        raise EncodingError(f"a {kind.KIND} is not a byte string")
    payload = parse_payload(data)
    if not isinstance(payload, kind):
        raise FieldError(f"a {payload.KIND}, not a {kind.KIND}")
    return payload


_PARTS: tuple[tuple[str, Callable[[Any], bytes], Callable[[Any], Any]], ...] = (
    ("balances", _write_counts, _read_counts),
    ("sequences", _write_counts, _read_counts),
    ("members", _write_members, _read_members),
    ("ballots", _write_ballots, _read_ballots),
    ("shares", _write_shares, _read_shares),
    ("keys", _write_keys, _read_keys),
    ("task", _write_task, _read_task),
    ("last_task", _write_task, _read_task),
    ("finished", _write_names, _read_names),
    ("full_at", _write_counts, _read_counts),
    ("missed", _write_counts, _read_counts),
    ("excluded", _write_addresses, _read_addresses),
)
"""Each field of a state, how it is written and how its decoded bytes are read."""
_WRITERS = {name: write for name, write, _ in _PARTS}
