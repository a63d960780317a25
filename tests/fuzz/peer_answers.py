"""Answers to what the peer has asked for: right, wrong, late, or asked for by nobody."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from bift_ros.chain.tips import sign_tip
from bift_ros.consensus.blocks import (
    MIN_NONCE,
    Header,
    SignedHeader,
)
from bift_ros.consensus.exceptions import MalformedBlock
from bift_ros.peer.events import (
    BlocksAnswered,
    DatasetChanged,
    FetchFailed,
    FileFetched,
    HeadersAnswered,
    NonceFound,
    Tick,
    Trained,
    TrainingFailed,
)
from bift_ros.simulation.world import train
from bift_ros.storage.cid import cid_of
from fuzz import corpus
from fuzz.peer_forgeries import mined
from fuzz.peer_stage import Stage


def files_arrive(stage: Stage, rng: Random, a: int) -> None:
    """Whatever was asked for is answered, or nobody has it."""
    asked, stage.asked = stage.asked, []
    for cid in asked:
        if cid in stage.files and (a < 128 or rng.random() < 0.5):
            stage.send(FileFetched(cid, stage.files[cid]))
        else:
            stage.send(FetchFailed(cid, "nobody has it"))


def headers_answered(stage: Stage, rng: Random, a: int) -> None:
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
            header = mined(header)
            found.append(SignedHeader(header, stage.world.keys[3].sign(header.hash)))
            previous = header.hash
    stage.headers_asked = None
    stage.send(HeadersAnswered(who, tuple(found)))


def blocks_and_files_answered(stage: Stage, rng: Random, a: int) -> None:
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


def own_results(stage: Stage, rng: Random, a: int) -> None:
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
        stage.send(NonceFound(mined(header)))
