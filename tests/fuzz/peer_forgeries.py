"""What strangers and lying members say to the peer: forged, changed, signed by the wrong one."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from bift_ros.chain.tips import sign_tip
from bift_ros.consensus.blocks import (
    MIN_NONCE,
    Block,
    Body,
    Header,
    ModelInfo,
    sign_block,
)
from bift_ros.consensus.payloads import (
    Learning,
    ModelCommit,
    ModelUpdate,
    commitment_of,
)
from bift_ros.consensus.proof_of_work import search
from bift_ros.consensus.transactions import Transaction, sign_transaction
from bift_ros.identity.keys import KeyPair
from bift_ros.storage.cid import cid_of
from fuzz import corpus
from fuzz.mutators import flip, forge_transaction
from fuzz.peer_stage import Stage
from world.consortium import LearningConsortium

FOREIGN = LearningConsortium(corpus.MEMBERS + 1).genesis.hash
"""Of another chain."""


def forged_transaction(stage: Stage, rng: Random, a: int) -> None:
    stage.arrive("transaction", _forge(stage, rng, _any_transaction(stage, a)))


def forged_block(stage: Stage, rng: Random, a: int) -> None:
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
        header = mined(replace(block.header, miner=corpus.STRANGER.address))
        block = sign_block(corpus.STRANGER, header, block.body)
    stage.arrive("block", block.to_bytes())


def liars_block(stage: Stage, rng: Random, a: int) -> None:
    """A member signs what it likes, with others' forged words inside."""
    block = _changed(stage, rng, a)
    liar = rng.choice(stage.world.keys[1:])
    header = mined(replace(block.header, miner=liar.address))
    block = sign_block(liar, header, block.body)
    stage.signed.blocks.add(block.to_bytes())  # the block is a member's; what is inside may not be
    stage.arrive("block", block.to_bytes())


def liar_speaks(stage: Stage, rng: Random, a: int) -> None:
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


def tip_of_somebody(stage: Stage, rng: Random, a: int) -> None:
    """Where members say they stand, truly or not, and others in their name."""
    known = stage.history.blocks[a % len(stage.history.blocks)]
    key = rng.choice((corpus.STRANGER, *stage.world.keys, *stage.world.keys))
    tip = sign_tip(
        key,
        stage.world.genesis.hash if rng.random() < 0.9 else FOREIGN,
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


def other_chain(stage: Stage, rng: Random, a: int) -> None:
    """A whole chain of the same members under another genesis, signed for that one."""
    key: KeyPair = stage.world.keys[1 + a % 3]
    payload = rng.choice(corpus.payloads())
    said = sign_transaction(key, a % 3, payload, FOREIGN)
    body = Body((said,))
    draft = Header(1, stage.now, FOREIGN, body.hash, 0, key.address, 4, MIN_NONCE)
    block = sign_block(key, mined(draft), body)
    stage.signed.blocks.add(block.to_bytes())  # signed it is; its transaction is not for here
    stage.arrive("block", block.to_bytes())
    stage.arrive("transaction", said.to_bytes())


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
    return Block(mined(header), body, block.signature)


def _model_info(stage: Stage) -> ModelInfo:
    return next(b.body.model_info for b in stage.history.blocks if b.body.model_info is not None)


def mined(header: Header) -> Header:
    draft = replace(header, difficulty=min(header.difficulty, 4))
    mined = search(draft, MIN_NONCE, 10_000)
    return replace(mined or draft, difficulty=header.difficulty)


def _forge(stage: Stage, rng: Random, said: Transaction) -> bytes:
    return forge_transaction(rng, said.to_bytes(), stage.world.genesis.hash, FOREIGN)


def _any_transaction(stage: Stage, a: int) -> Transaction:
    return stage.history.transactions[a % len(stage.history.transactions)]
