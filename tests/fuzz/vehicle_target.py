"""A vehicle takes raw bytes on every topic and service of its own, and as answers to its questions.

An input is a script of five bytes an event: the kind, and four bytes that seed whatever is drawn
for it; the first byte of all also chooses the chain. A script starts from a fresh vehicle.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from functools import lru_cache
from random import Random
from typing import Any

from bift_msgs import msg, srv
from rclpy.serialization import deserialize_message, serialize_message

from bift_ros.chain.keyring import Keyring
from bift_ros.consensus.authorship import check_authorship
from bift_ros.consensus.encoding import encode
from bift_ros.consensus.state_bytes import state_digest
from bift_ros.consensus.transactions import Transaction, check_signature
from bift_ros.consensus.votes import Stage, Statement
from bift_ros.identity.keys import KeyPair
from bift_ros.peer.effects import RequestBlocks, RequestHeaders, RequestKeys, RequestSnapshot
from bift_ros.peer.events import FetchFailed, FileFetched
from bift_ros.peer.owner_requests import OwnerRequest, sign_request
from fuzz import arrivals, corpus
from fuzz.mutators import Mutator, cut, flip, forge_transaction
from fuzz.peer_stage import History, history, transactions_in
from fuzz.vehicle_stage import Clock, Vehicle, silent, without_ros
from world.consortium import LearningConsortium
from world.votes import quorum

EVENT_BYTES = 5
MAX_EVENTS = 400
_TOPICS = {"transaction": msg.Transaction, "block": msg.Block, "tip": msg.Tip}
_CHAINS = ("paper", "bift", "encrypted")
_WORDS = [
    "", "share", "fetch", "withdraw", "start_mining", "stop_mining", "x", "/", "/etc", "/tmp/x",
    "relative", "a" * 4000, "/" + "a" * 300, "é" * 60, "\U0001f697", "../..", corpus.CID,
    "lights\n", "tile_17.pbf", "bafy", "~" * 100,
]  # fmt: skip


def events_in(script: bytes) -> int:
    return min(len(script) // EVENT_BYTES, MAX_EVENTS)


def seeds() -> list[bytes]:
    """Scripts with some of everything, on each chain."""
    scripts = []
    for number in range(len(_CHAINS)):
        rng = Random(number)
        script = rng.randbytes(EVENT_BYTES * 5 * len(_KINDS))
        scripts.append(bytes((number * len(_KINDS),)) + script[1:])
    return scripts


def make(rng: Random) -> bytes:
    return rng.randbytes(EVENT_BYTES * (1 + int(rng.random() * 300)))


def mutate(rng: Random, data: bytes) -> bytes:
    if len(data) < 600 and rng.random() < 0.5:
        return data + rng.randbytes(EVENT_BYTES * (1 + int(rng.random() * 10)))
    return flip(rng, data) if data else rng.randbytes(EVENT_BYTES)


def check(script: bytes) -> None:
    chain = _CHAINS[script[0] // len(_KINDS) % len(_CHAINS) if script else 0]
    clock = Clock()
    with without_ros(clock), silent():
        stage = _Stage(_history(chain), clock)
        for number in range(events_in(script)):
            event = script[EVENT_BYTES * number : EVENT_BYTES * (number + 1)]
            clock.ms += event[1]
            _KINDS[event[0] % len(_KINDS)](stage, Random(int.from_bytes(event, "big")))
            stage.vehicle.node.tasks.run()
        stage.inspect()


class _Stage:
    def __init__(self, past: History, clock: Clock) -> None:
        world = past.world
        member = world.genesis.members[0]
        self.past, self.clock, self.key = past, clock, world.keys[0]
        self.vehicle = Vehicle(member.name, self.key, world.genesis, clock)

    def call(self, name: str, request: bytes) -> Any:
        """What ROS does with a request: bytes that are no request are dropped."""
        kind, callback = self.vehicle.services[name]
        asked = _read(request, kind.Request)
        if asked is None:
            return None
        answer = callback(asked, kind.Response())
        serialize_message(answer)
        return answer

    def inspect(self) -> None:
        """Check every signature on the chain and in the pool again, by bytes that remember none."""
        genesis, chain = self.past.world.genesis, self.vehicle.chain
        held = transactions_in(self.vehicle.node.peer)
        for signed in chain.canonical_headers(1, 1_000):
            block = chain.block(signed.header.hash)
            assert block is not None, "a header without its block"
            check_authorship(block.header, block.signature, genesis)
            held += block.body.transactions
        for said in held:
            again = Transaction.from_bytes(said.to_bytes())
            check_signature(again, genesis, genesis.by_address)


@lru_cache(maxsize=3)
def _history(chain: str) -> History:
    if chain != "encrypted":
        return history(chain)
    world = LearningConsortium(corpus.MEMBERS, difficulty=4, encrypt_models=True)
    given = world.sign(1, Keyring(world.keys[1], world.genesis.hash).own_key(world.start))
    first = world.block(world.start, [given])
    after = world.apply(world.start, first)
    proposed = world.sign(0, world.proposal(), after)
    second = world.block(after, [proposed])
    signed = corpus.Signed()
    for said in (first, second):
        signed.add(said)
    return History(world, [given, proposed], [first, second], signed)


def _read(data: bytes, kind: Any) -> Any:
    try:
        return deserialize_message(data, kind)
    except Exception:  # rclpy's own class is private, and what it raises no contract
        return None


def _spoilt(rng: Random, data: bytes) -> bytes:
    """CDR that is whole in most cases."""
    how = rng.random()
    if how < 0.75:
        return data
    return flip(rng, data) if how < 0.9 else cut(rng, data)


def _octets(data: bytes) -> Any:
    return array("B", data)


def _item(rng: Random, past: History, topic: str) -> bytes:
    source: Mutator = getattr(past, f"{topic}_mutator")
    how = rng.random()
    if how < 0.15 and topic == "transaction":
        data = rng.choice(source.seeds)
        return forge_transaction(rng, data, past.world.genesis.hash, bytes(range(32)))
    if how < 0.4:
        return rng.choice(source.seeds)
    if how < 0.7 and topic != "header":
        return arrivals.resigned(rng, topic, source, past.world.genesis.hash)
    return source.make(rng)


# --- what anybody sends -----------------------------------------------------------------------


def _topic(stage: _Stage, rng: Random) -> None:
    topic = rng.choice(tuple(_TOPICS))
    stage.vehicle.bus.arrived(_TOPICS[topic], arrivals.spoilt(rng, _item(rng, stage.past, topic)))


def _true_block(stage: _Stage, rng: Random) -> None:
    block = rng.choice(stage.past.blocks[:6])
    stage.vehicle.bus.arrived(msg.Block, arrivals.in_cdr(block.to_bytes()))


def _headers_wanted(stage: _Stage, rng: Random) -> None:
    numbers = (0, 1, 2, 5, 2**31, 2**63 - 1, 2**63, 2**64 - 1)
    limits = (0, 1, 256, 257, 2**32 - 1)
    request = srv.GetHeaders.Request(
        from_height=rng.choice(numbers),
        limit=rng.choice(limits),
        quorums=rng.choice(limits),
        final_height=rng.choice(numbers),
        justified_round=rng.choice(numbers),
    )
    stage.call("get_headers", _spoilt(rng, serialize_message(request)))


def _blocks_wanted(stage: _Stage, rng: Random) -> None:
    names = [block.hash for block in stage.past.blocks]
    hashes = b"".join(rng.choices([*names, rng.randbytes(32), b"x"], k=rng.choice((0, 1, 3, 32))))
    request = srv.GetBlocks.Request(hashes=_octets(hashes[:1024]))
    stage.call("get_blocks", _spoilt(rng, serialize_message(request)))


def _keys_wanted(stage: _Stage, rng: Random) -> None:
    if "get_group_keys" in stage.vehicle.services:
        request = srv.GetGroupKeys.Request(before=rng.choice((0, 1, 2, 32, 2**32 - 1)))
        stage.call("get_group_keys", _spoilt(rng, serialize_message(request)))


def _submitted(stage: _Stage, rng: Random) -> None:
    data = _item(rng, stage.past, "transaction")
    carried = msg.Transaction(canonical=_octets(data), sender="x" * rng.choice((0, 40)))
    request = srv.SubmitTransaction.Request(transaction=carried)
    stage.call("submit_transaction", _spoilt(rng, serialize_message(request)))


def _state_wanted(stage: _Stage, rng: Random) -> None:
    said = [said.hash for said in stage.past.transactions]
    request = srv.GetState.Request(
        address=rng.choice(("", "0" * 40, "é" * 20, *stage.past.world.genesis.addresses)),
        transaction=_octets(rng.choice((b"", b"x", rng.randbytes(32), *said))),
    )
    stage.call("get_state", _spoilt(rng, serialize_message(request)))


def _owner_asks(stage: _Stage, rng: Random) -> None:
    """The owner, mostly, and whoever takes another key or says its words again."""
    words = {"action": 16, "path": 4096, "cid": 64, "name": 100, "description": 200}
    asked = {name: rng.choice(_WORDS)[:size] for name, size in words.items()}
    if rng.random() < 0.7:
        asked["action"] = rng.choice(_WORDS[1:6])
    stamp = stage.clock.time_ns() // 1_000_000 + rng.choice((0, 0, 0, 1, -1, 10**6))
    key: KeyPair = stage.key if rng.random() < 0.8 else corpus.STRANGER
    genesis_hash = stage.past.world.genesis.hash
    signature = sign_request(key, genesis_hash, OwnerRequest(**asked), stamp)
    request = srv.OwnerJob.Request(stamp=stamp, signature=list(signature), **asked)
    answer = stage.call("owner_job", _spoilt(rng, serialize_message(request)))
    if key is corpus.STRANGER and answer is not None:
        assert answer.error, "a stranger is obeyed"


def _junk(stage: _Stage, rng: Random) -> None:
    """Bytes of nothing, to every ear."""
    data = rng.choice(
        (b"", b"\0\1\0\0", rng.randbytes(rng.randrange(200)), bytes(64), b"\xff" * 64)
    )
    for name in stage.vehicle.services:
        stage.call(name, data)
    for kind in _TOPICS.values():
        stage.vehicle.bus.arrived(kind, data)


# --- what a vehicle asks others -----------------------------------------------------------------


def _asks(stage: _Stage, rng: Random) -> None:
    client = stage.vehicle.node._catch_up
    peer = stage.past.world.address(1 + rng.randrange(3))
    how = rng.random()
    if how < 0.3:
        client.request_headers(RequestHeaders(peer, rng.choice((0, 1, 3))))
    elif how < 0.7:
        wanted = rng.choices([block.hash for block in stage.past.blocks], k=3)
        client.request_blocks(RequestBlocks(peer, tuple(wanted)))
    elif how < 0.85:
        client.request_snapshot(RequestSnapshot(peer))
    elif "get_group_keys" in stage.vehicle.services:
        client.request_keys(RequestKeys(peer, rng.choice((0, 1, 5))))


def _answered(stage: _Stage, rng: Random) -> None:
    asked = stage.vehicle.bus.node.asked
    if not asked:
        return
    kind, request, future = asked.pop(rng.randrange(len(asked)))
    answer = _snapshot(stage, rng) if kind is srv.GetSnapshot else _list(stage, rng, kind, request)
    found = _read(_spoilt(rng, serialize_message(answer)), kind.Response)
    if found is not None:
        future.set_result(found)


def _list(stage: _Stage, rng: Random, kind: Any, request: Any) -> Any:
    field, topic = {
        srv.GetHeaders: ("headers", "header"),
        srv.GetBlocks: ("blocks", "block"),
        srv.GetGroupKeys: ("keys", "transaction"),
    }[kind]
    items = [_item(rng, stage.past, topic) for _ in range(rng.choice((0, 1, 2, 5)))]
    if kind is srv.GetBlocks and rng.random() < 0.7:
        wanted = bytes(request.hashes)
        items[:0] = [b.to_bytes() for b in stage.past.blocks if b.hash in wanted]
    content = encode(items)
    if rng.random() < 0.2:
        content = flip(rng, content)
    answer = kind.Response(**{field: _octets(content[:50_000])})
    if kind is srv.GetHeaders:
        quorums = encode([_votes(stage, rng) for _ in range(rng.randrange(4))])
        answer.quorums = _octets(quorums if rng.random() < 0.8 else flip(rng, quorums))
    return answer


def _snapshot(stage: _Stage, rng: Random) -> Any:
    cid = rng.choice(("", "x", corpus.CID, *stage.past.world.files))
    return srv.GetSnapshot.Response(certificate=_octets(_votes(stage, rng)), cid=cid)


def _votes(stage: _Stage, rng: Random) -> bytes:
    """Votes of one to all members for a block that there is, at times with something changed."""
    world, block = stage.past.world, rng.choice(stage.past.blocks)
    said = Statement(
        rng.choice((1, 2, 2**40)),
        block.header.height,
        block.hash,
        rng.choice((bytes(32), state_digest(stage.vehicle.chain.tip_state))),
        0,
        world.genesis.hash,
    )
    voters = range(rng.randrange(1, len(world.keys) + 1))
    data = quorum(world, rng.choice(tuple(Stage)), said, voters).to_bytes()
    return data if rng.random() < 0.7 else flip(rng, data)


def _files(stage: _Stage, rng: Random) -> None:
    """What the vehicle wants from storage comes, or something else, or nothing."""
    jobs, files = stage.vehicle.jobs, stage.past.world.files
    wanted, jobs.wanted = jobs.wanted, []
    for cid in wanted:
        data = files.get(cid, jobs.kept.get(cid))
        if data is not None and rng.random() < 0.9:
            stage.vehicle.node.post(FileFetched(cid, data))
        else:
            stage.vehicle.node.post(FetchFailed(cid, "nobody has it"))


def _time_passes(stage: _Stage, rng: Random) -> None:
    stage.clock.ms += rng.choice((250, 1_000, 5_000, 40_000))
    stage.vehicle.node._tick()


_KINDS: list[Callable[[_Stage, Random], None]] = [
    _topic, _topic, _topic, _true_block, _headers_wanted, _blocks_wanted, _keys_wanted,
    _submitted, _state_wanted, _owner_asks, _junk, _asks, _answered, _answered, _files,
    _time_passes,
]  # fmt: skip
