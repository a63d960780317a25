"""The round's model updates: whose file is here, and which files are none."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from bift_ros.consensus.payloads import ModelUpdate
from bift_ros.consensus.transactions import Transaction
from bift_ros.peer.context import Context
from bift_ros.peer.fairness import Fairness
from bift_ros.pofl.codec import UPDATE_EXPONENT, ModelSpec
from bift_ros.pofl.files import ModelFileError, parse_update

_MAXIMUM_REMEMBERED = 8192


class Updates:
    """Fetches and parses what the mempool announces, so that a miner counts on good files only."""

    def __init__(self, context: Context, fairness: Fairness) -> None:
        self._context, self._fairness = context, fairness
        self._looked_at: tuple[Transaction, ...] = ()
        self._missing: dict[str, Transaction] = {}
        """The round's updates whose files are not here, by CID."""
        self._arrived: list[str] = []
        self.ready: set[bytes] = set()
        """Hashes of the round's updates that can be aggregated."""
        self._inspected: OrderedDict[bytes, bool] = OrderedDict()
        """Whether an update's file was well-formed."""

    def needed(self) -> set[str]:
        """The files that the round needs in memory: to train from, and to aggregate."""
        task = self._context.chain.tip_state.task
        if task is None:
            return set()
        return {task.global_cid, *(_cid(update) for update in self._looked_at)}

    def advance(self) -> None:
        """Ask for the files of updates that are new here, and look into those that came."""
        context = self._context
        state = context.chain.tip_state
        updates = context.mempool.learning(state, ModelUpdate)
        if updates is not self._looked_at:
            self._look_at(updates)
        spec = context.layout(state.task) if self._arrived and state.task is not None else None
        if spec is not None:
            for cid in self._arrived:
                update = self._missing.pop(cid, None)
                if update is not None:
                    self._inspect(update, spec)
            self._arrived.clear()

    def _look_at(self, updates: tuple[Transaction, ...]) -> None:
        """Ask for the files of what is new; within a round, updates only come at the end."""
        before, self._looked_at = self._looked_at, updates
        if not before or updates[: len(before)] != before:
            before = ()
        added = updates[len(before) :]
        wanted = {_cid(u): u for u in added if u.hash not in self._inspected}
        ready = {u.hash for u in added if self.usable(u)}
        new = {cid: update for cid, update in wanted.items() if cid not in self._missing}
        if before:
            self._missing.update(wanted)
            self.ready |= ready
        else:
            self._missing, self.ready = wanted, ready
        self._ask(new)
        self._arrived.extend(cid for cid in new if cid in self._context.files)

    def retry(self) -> None:
        """Ask again for what could not be had."""
        self._ask(self._missing)

    def file_arrived(self, cid: str) -> None:
        """A file that somebody asked for is in memory now."""
        if cid in self._missing:
            self._arrived.append(cid)
        task = self._context.chain.tip_state.task
        if task is not None and cid == task.global_cid:
            self.retry()  # how large an update can be is known from now on

    def file_unfit(self, cid: str, reason: str) -> None:
        """A file is here at somebody's, but no update of this round, or no model."""
        task = self._context.chain.tip_state.task
        if task is not None and cid == task.global_cid:
            self._context.refuse("task", cid, task.proposer, f"the model {cid} is none: {reason}")
        update = self._missing.pop(cid, None)
        if update is not None:
            self._malformed(update, reason)

    def _ask(self, updates: Mapping[str, Transaction]) -> None:
        context = self._context
        task = context.chain.tip_state.task
        if task is None or not updates:
            return
        context.need_model(task)
        for update in updates.values():
            context.need_update(task, update)

    def usable(self, update: Transaction) -> bool:
        """Whether the update can be aggregated."""
        return self._inspected.get(update.hash, False) and _cid(update) in self._context.files

    def _inspect(self, update: Transaction, spec: ModelSpec) -> None:
        context, cid = self._context, _cid(update)
        try:
            parse_update(context.files[cid], spec, UPDATE_EXPONENT)
        except ModelFileError as error:
            self._malformed(update, str(error))
        else:
            self._note(update, True)
            self.ready.add(update.hash)
            self._fairness.usable(update)

    def _malformed(self, update: Transaction, fault: str) -> None:
        cid = _cid(update)
        reason = f"the update {cid} of {update.sender} is malformed: {fault}"
        self._context.refuse("update", cid, update.sender, reason)
        self._note(update, False)

    def _note(self, update: Transaction, well_formed: bool) -> None:
        self._inspected[update.hash] = well_formed
        if len(self._inspected) > _MAXIMUM_REMEMBERED:
            self._inspected.popitem(last=False)


def _cid(update: Transaction) -> str:
    assert isinstance(update.payload, ModelUpdate)
    return update.payload.cid
