"""The round's model updates: whose file is here, since when, and which files are none."""

from __future__ import annotations

from collections.abc import Sequence

from bift_ros.chain.state import State
from bift_ros.chain.transactions import ModelUpdate, Transaction
from bift_ros.peer.context import Context
from bift_ros.pofl.codec import UPDATE_EXPONENT
from bift_ros.pofl.files import ModelFileError, parse_model, parse_update

_MAXIMUM_REMEMBERED = 4096


class Updates:
    """Fetches and parses what the mempool announces, so that a miner counts on good files only."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._usable_since: dict[bytes, int] = {}
        self._malformed: dict[bytes, None] = {}

    def advance(self) -> None:
        """Ask for the files of the round's updates, and look into those that are here."""
        context = self._context
        state = context.chain.tip_state
        updates = context.mempool.updates(state)
        if state.task is None or not updates:
            return
        context.need([state.task.global_cid], ())
        for update in updates:
            context.need([_cid(update)], context.provider_of(update))
        if state.task.global_cid in context.files:
            self._inspect(state.task.global_cid, updates)

    def usable(self, update: Transaction) -> bool:
        """Whether the update can be aggregated."""
        return update.hash in self._usable_since and _cid(update) in self._context.files

    def omittable(self, state: State, latest: int) -> set[bytes]:
        """Hashes of the updates for the block after `state` that were usable by `latest`."""
        return {
            update.hash
            for update in self._context.mempool.updates(state)
            if self._usable_since.get(update.hash, latest + 1) <= latest
        }

    def _inspect(self, base_cid: str, updates: Sequence[Transaction]) -> None:
        context = self._context
        unseen = [
            update
            for update in updates
            if update.hash not in self._usable_since
            and update.hash not in self._malformed
            and _cid(update) in context.files
        ]
        if not unseen:
            return
        try:
            spec, _, _ = parse_model(context.files[base_cid])
        except ModelFileError:
            return  # the miner says so
        for update in unseen:
            cid = _cid(update)
            try:
                parse_update(context.files[cid], spec, UPDATE_EXPONENT)
            except ModelFileError as error:
                self._malformed[update.hash] = None
                reason = f"the update {cid} of {update.sender} is malformed: {error}"
                context.refuse("update", cid, update.sender, reason)
            else:
                self._usable_since[update.hash] = context.now
        for memory in (self._usable_since, self._malformed):
            while len(memory) > _MAXIMUM_REMEMBERED:
                del memory[next(iter(memory))]


def _cid(update: Transaction) -> str:
    assert isinstance(update.payload, ModelUpdate)
    return update.payload.cid
