"""A chain's history as a report has it: by names instead of addresses, with stakes and members."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bift_ros.history.chain import ChainHistory
from bift_ros.history.stored import Replay
from bift_ros.reports.run import Block, Iteration


def block_documents(history: ChainHistory, replay: Replay) -> tuple[Block, ...]:
    """The chain's, then those of other branches, each lowest first."""
    return tuple(
        Block(
            hash=block.hash,
            previous_hash=block.previous_hash,
            height=block.height,
            miner=replay.name(block.miner),
            time=block.timestamp,
            transactions=dict(block.transactions),
            rule=block.model.rule if block.model is not None else None,
            on_chain=history.lanes[block.hash] == 0,
            lane=history.lanes[block.hash],
        )
        for block in (*history.blocks, *history.beside)
    )


def iteration_documents(
    history: ChainHistory, replay: Replay, measured: Mapping[str, Any]
) -> tuple[Iteration, ...]:
    """The finished ones; `measured` is the content of `report.json`."""
    cids = measured.get("global_cids", ())
    accuracy = dict(zip(cids, measured.get("accuracy", ()), strict=False))
    parts = dict(zip(cids, measured.get("seconds", ()), strict=False))
    documents = []
    finished = zip(history.iterations, replay.iterations, strict=True)
    for number, (iteration, (before, after)) in enumerate(finished, 1):
        model, found = iteration.model, iteration.outcomes
        outcomes = {address: found.get(address, iteration.others) for address in before.members}
        documents.append(
            Iteration(
                number=number,
                task=model.model_id,
                iteration=model.current_iter,
                total=model.total_iter,
                rule=model.rule,
                accuracy=model.accuracy,
                test_accuracy=accuracy.get(model.global_cid),
                contributors=_named(replay, model.contributors),
                left_out=_named(replay, iteration.left_out),
                absent=_named(replay, before.members.keys() - iteration.senders),
                outcomes={replay.name(a): outcome.value for a, outcome in outcomes.items()},
                seconds=iteration.seconds or 0.0,
                parts=parts.get(model.global_cid),
                stakes={replay.name(a): stake for a, stake in after.balances.items()},
                height=iteration.block.height,
                miner=replay.name(iteration.block.miner),
                global_cid=model.global_cid,
            )
        )
    return tuple(documents)


def _named(replay: Replay, addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(map(replay.name, addresses)))
