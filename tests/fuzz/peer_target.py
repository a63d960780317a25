"""A peer with a running task takes junk and forgeries, mixed with what is valid.

An input is a script of three bytes an event: the kind, and two bytes that seed whatever is drawn
for it; the first byte of all also chooses the consensus mode. A script starts from a fresh peer,
so what crashes once crashes again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from bift_ros.chain.tips import sign_tip
from bift_ros.consensus.blocks import (
    MIN_NONCE,
    Block,
    Body,
    Header,
    ModelInfo,
    SignedHeader,
    sign_block,
)
from bift_ros.consensus.exceptions import (
    FieldError,
    InvalidTransaction,
    MalformedBlock,
)
from bift_ros.consensus.payloads import (
    Learning,
    ModelCommit,
    ModelUpdate,
    Transfer,
    commitment_of,
)
from bift_ros.consensus.proof_of_work import search
from bift_ros.consensus.transactions import Transaction, sign_transaction
from bift_ros.identity.keys import KeyPair
from bift_ros.peer.events import (
    BlocksAnswered,
    DatasetChanged,
    FetchFailed,
    FileFetched,
    HeadersAnswered,
    NonceFound,
    Submit,
    Tick,
    Trained,
    TrainingFailed,
)
from bift_ros.simulation.world import train
from bift_ros.storage.cid import cid_of
from fuzz import arrivals, corpus
from fuzz.mutators import flip, forge_transaction
from fuzz.peer_stage import Stage
from world.consortium import LearningConsortium

_INSPECT_EVERY = 32
_FOREIGN = LearningConsortium(corpus.MEMBERS + 1).genesis.hash


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


def _files_arrive(stage: Stage, rng: Random, a: int) -> None:
    """Whatever was asked for is answered, or nobody has it."""
    asked, stage.asked = stage.asked, []
    for cid in asked:
        if cid in stage.files and (a < 128 or rng.random() < 0.5):
            stage.send(FileFetched(cid, stage.files[cid]))
        else:
            stage.send(FetchFailed(cid, "nobody has it"))


def _valid_block(stage: Stage, rng: Random, a: int) -> None:
    del rng
    blocks = stage.history.blocks
    stage.arrive("block", blocks[a % len(blocks)].to_bytes())


def _valid_transaction(stage: Stage, rng: Random, a: int) -> None:
    del rng
    said = stage.history.transactions
    stage.arrive("transaction", said[a % len(said)].to_bytes())


def _forged_transaction(stage: Stage, rng: Random, a: int) -> None:
    stage.arrive("transaction", _forge(stage, rng, _any_transaction(stage, a)))


def _forged_block(stage: Stage, rng: Random, a: int) -> None:
    """A changed block, mined again, but its miner's signature is not to be had."""
    block = _changed(stage, rng, a)
    other = rng.choice(
        [corpus.STRANGER, *(k for k in stage.world.keys if k.address != block.header.miner)]
    )
    how = rng.random()
    if how < 0.4:
        block = sign_block(other, block.header, block.body)
    elif how < 0.6:
        block = replace(block, signature=stage.history.blocks[a % 3].signature)
    elif how < 0.8:  # a true header over a false body
        true = stage.history.blocks[a % len(stage.history.blocks)]
        block = Block(true.header, block.body, true.signature)
        if block == true:
            return
    else:  # a stranger under its own name
        header = _mined(replace(block.header, miner=corpus.STRANGER.address))
        block = sign_block(corpus.STRANGER, header, block.body)
    stage.arrive("block", block.to_bytes())


def _liars_block(stage: Stage, rng: Random, a: int) -> None:
    """A member signs what it likes, with others' forged words inside."""
    block = _changed(stage, rng, a)
    liar = rng.choice(stage.world.keys[1:])
    header = _mined(replace(block.header, miner=liar.address))
    block = sign_block(liar, header, block.body)
    stage.signed.blocks.add(block.to_bytes())  # the block is a member's; what is inside may not be
    stage.arrive("block", block.to_bytes())


def _changed(stage: Stage, rng: Random, a: int) -> Block:
    block = stage.history.blocks[a % len(stage.history.blocks)]
    said = list(block.body.transactions)
    info = block.body.model_info
    how = rng.random()
    if how < 0.3 and said:
        at = rng.randrange(len(said))
        said[at] = Transaction.from_bytes(_forge(stage, rng, said[at]))
    elif how < 0.5:
        said.insert(rng.randrange(len(said) + 1), _any_transaction(stage, rng.randrange(256)))
    elif how < 0.6 and said:
        said.pop(rng.randrange(len(said)))
    elif how < 0.8 and info is not None:
        contributors = tuple(sorted(rng.sample(stage.world.genesis.addresses, rng.randint(1, 4))))
        info = replace(
            info, contributors=contributors, global_cid=rng.choice((corpus.CID, info.global_cid))
        )
    else:
        info = None if info is not None else _model_info(stage)
    body = Body(tuple(said), info)
    flag = int(info is not None) if rng.random() < 0.8 else rng.randrange(2)
    header = replace(block.header, body_hash=body.hash, model_flag=flag)
    if rng.random() < 0.4:
        tip = stage.peer.state
        header = replace(header, previous_hash=tip.tip_hash, height=tip.height + 1)
    if rng.random() < 0.3:
        header = replace(
            header, timestamp=rng.choice((0, 1, stage.now, stage.now + 10**6, 2**63 - 1))
        )
    if rng.random() < 0.2:
        header = replace(
            header, previous_hash=rng.randbytes(32), height=rng.choice((1, 7, 2**63 - 1))
        )
    if rng.random() < 0.1:
        header = replace(header, difficulty=rng.choice((0, 3, 5, 64)))
    return Block(_mined(header), body, block.signature)


def _model_info(stage: Stage) -> ModelInfo:
    return next(b.body.model_info for b in stage.history.blocks if b.body.model_info is not None)


def _mined(header: Header) -> Header:
    draft = replace(header, difficulty=min(header.difficulty, 4))
    mined = search(draft, MIN_NONCE, 10_000)
    return replace(mined or draft, difficulty=header.difficulty)


def _forge(stage: Stage, rng: Random, said: Transaction) -> bytes:
    return forge_transaction(rng, said.to_bytes(), stage.world.genesis.hash, _FOREIGN)


def _any_transaction(stage: Stage, a: int) -> Transaction:
    return stage.history.transactions[a % len(stage.history.transactions)]


def _liar_speaks(stage: Stage, rng: Random, a: int) -> None:
    """Members sign odd but well-formed things, at odd sequence numbers, naming malformed files."""
    member = 1 + a % (corpus.MEMBERS - 1)
    task = stage.peer.state.task
    payload = rng.choice(corpus.payloads())
    address = stage.world.address(member)
    if task is not None and rng.random() < 0.7:
        name, iteration, base = task.model_id, task.current_iter + 1, task.global_cid
        file = stage.sealed.get((member, base), b"")
        salt = bytes([member] * 16) if stage.world.genesis.policy.commit_reveal else b""
        if not file or rng.random() < 0.5:
            mutated = rng.random() < 0.7
            file = corpus.updates()[0]
            if mutated:
                file = stage.history.update_mutator.make(rng)
            stage.sealed.setdefault((member, base), file)
            seal = commitment_of(cid_of(file), salt, address)
            payload = ModelCommit(name, iteration, base, task.base_block, seal)
        if not salt or not isinstance(payload, ModelCommit):
            payload = ModelUpdate(name, iteration, base, cid_of(file), rng.random(), 10, salt)
        stage.files[cid_of(file)] = file
    ahead = rng.choice((0, 0, 0, 1, 2, 33, 2**62))
    sequence = stage.peer.next_sequence(address) + ahead
    if isinstance(payload, Learning) and rng.random() < 0.9:
        sequence = payload.iteration
    said = sign_transaction(stage.world.keys[member], sequence, payload, stage.world.genesis.hash)
    stage.signed.add(said)
    stage.arrive("transaction", said.to_bytes())


def _tip(stage: Stage, rng: Random, a: int) -> None:
    """Where members say they stand, truly or not, and others in their name."""
    known = stage.history.blocks[a % len(stage.history.blocks)]
    key = rng.choice((corpus.STRANGER, *stage.world.keys, *stage.world.keys))
    tip = sign_tip(
        key,
        stage.world.genesis.hash if rng.random() < 0.9 else _FOREIGN,
        height=rng.choice((known.header.height, known.header.height, 0, 2**63 - 1)),
        tip_hash=rng.choice((known.hash, known.hash, rng.randbytes(32))),
        learning_weight=rng.choice((0, 1, 5, 9, 2**63 - 1)),
        provider=rng.choice(("", "memory://liar", "x" * 256)),
        stamp=rng.choice((0, stage.now, 2**63 - 1)),
    )
    stage.signed.add(tip)  # of a stranger or another chain it is let in no more for that
    if rng.random() < 0.2:
        tip = replace(tip, sender=rng.choice(stage.world.genesis.addresses))
    if rng.random() < 0.2:
        tip = replace(tip, height=max(0, tip.height - 1), signature=flip(rng, tip.signature))
    stage.arrive("tip", tip.to_bytes())


def _headers(stage: Stage, rng: Random, a: int) -> None:
    """An answer to the question after headers, right or wrong or asked by nobody."""
    blocks = stage.history.blocks
    if stage.headers_asked is None and a < 128:  # make it ask
        best = blocks[-5]
        tip = sign_tip(
            stage.world.keys[1 + a % 3],
            stage.world.genesis.hash,
            height=best.header.height,
            tip_hash=best.hash,
            learning_weight=50,
            provider="memory://",
            stamp=stage.now,
        )
        stage.signed.add(tip)
        stage.arrive("tip", tip.to_bytes())
        for _ in range(3):
            stage.now += 1_000
            stage.send(Tick())
    asked = stage.headers_asked
    who = asked.peer if asked is not None and rng.random() < 0.8 else stage.world.address(a % 4)
    found = [block.signed_header for block in blocks]
    how = rng.random()
    if how < 0.4:  # the best chain, upwards, or out of order
        found = found[: rng.randrange(len(found) + 1)]
    elif how < 0.7:
        mutated = []
        for _ in range(1 + a % 8):
            try:
                data = stage.history.header_mutator.make(rng)
                mutated.append(SignedHeader.from_bytes(data))
            except MalformedBlock:
                continue
        found = mutated
    else:  # a chain of nothing that a member signs, as long as it likes
        previous = rng.choice((stage.world.genesis.hash, stage.peer.state.tip_hash, bytes(32)))
        found = []
        for height in range(1, 2 + a % 64):
            header = Header(
                height,
                stage.now + height,
                previous,
                bytes(32),
                0,
                stage.world.address(3),
                4,
                MIN_NONCE,
            )
            header = _mined(header)
            found.append(SignedHeader(header, stage.world.keys[3].sign(header.hash)))
            previous = header.hash
    stage.headers_asked = None
    stage.send(HeadersAnswered(who, tuple(found)))


def _answers(stage: Stage, rng: Random, a: int) -> None:
    """Blocks and files, asked for or not."""
    who = rng.choice((*stage.world.genesis.addresses, corpus.STRANGER.address, ""))
    asked, stage.blocks_asked = stage.blocks_asked, None
    if asked is not None:
        who = asked.peer
        for block in stage.history.blocks:
            if block.hash in asked.hashes and rng.random() < 0.8:
                stage.arrive("block", block.to_bytes())
    stage.send(BlocksAnswered(who))
    cid = rng.choice((corpus.CID, "", *stage.asked[-2:]))
    stage.send(FetchFailed(cid, "x" * 99, final=rng.random() < 0.5))
    file = rng.randbytes(a)
    stage.send(FileFetched(cid_of(file), file))


def _own_results(stage: Stage, rng: Random, a: int) -> None:
    """The worker and the nonce search answer: rightly, late, or about something else."""
    stage.send(DatasetChanged(rng.choice((0, 1, 100))))
    if stage.training is not None:
        request = stage.training.request
        if rng.random() < 0.3:
            stage.send(TrainingFailed(replace(request, iteration=1 + a), "diverged"))
        elif request.base_cid in stage.files:
            update = train(stage.files[request.base_cid], 0, request.iteration)
            cid = cid_of(update)
            stage.files[cid] = update
            stage.send(Trained(request, cid, rng.choice((0.5, 1.0)), 10))
    if stage.search is not None:
        header = stage.search.header
        if rng.random() < 0.3:
            header = replace(header, previous_hash=rng.randbytes(32))
        stage.send(NonceFound(_mined(header)))


def _time_passes(stage: Stage, rng: Random, a: int) -> None:
    stage.now += rng.choice((0, 1, 250, 1_000, 5_000, 40_000)) if a else -500
    stage.send(Tick())


def _owner_submits(stage: Stage, rng: Random, a: int) -> None:
    payload = rng.choice([*corpus.payloads(), Transfer(stage.world.address(a % 4), 1 + a)])
    try:
        stage.send(Submit(payload))
    except (FieldError, InvalidTransaction):  # the owner's own mistake: allowed here, only here
        return


def _other_chain(stage: Stage, rng: Random, a: int) -> None:
    """A whole chain of the same members under another genesis, signed for that one."""
    key: KeyPair = stage.world.keys[1 + a % 3]
    payload = rng.choice(corpus.payloads())
    said = sign_transaction(key, a % 3, payload, _FOREIGN)
    body = Body((said,))
    draft = Header(1, stage.now, _FOREIGN, body.hash, 0, key.address, 4, MIN_NONCE)
    block = sign_block(key, _mined(draft), body)
    stage.signed.blocks.add(block.to_bytes())  # signed it is; its transaction is not for here
    stage.arrive("block", block.to_bytes())
    stage.arrive("transaction", said.to_bytes())


def _anything_arrives(stage: Stage, rng: Random, a: int) -> None:
    """Mutants of what members have said, some signed anew, in messages that are mutants too."""
    topic = ("transaction", "block", "tip")[a % 3]
    source = getattr(stage.history, f"{topic}_mutator")
    data = arrivals.resigned(rng, topic, source, stage.world.genesis.hash)
    getattr(stage.signed, f"{topic}s").add(data)
    stage.arrive(topic, data, arrivals.spoilt(rng, data))


_KINDS: list[Callable[[Stage, Random, int], None]] = [
    _mutated_transaction, _mutated_block, _files_arrive, _valid_block, _valid_transaction,
    _forged_transaction, _forged_block, _liars_block, _liar_speaks, _tip, _answers,
    _own_results, _time_passes, _owner_submits, _other_chain, _headers,
    _anything_arrives,
]  # fmt: skip
