"""The files that one block's check needs: the model that it builds on, then its updates."""

from __future__ import annotations

from bift_ros.consensus.blocks import Block
from bift_ros.consensus.state import State
from bift_ros.peer.context import Context


class BlockFiles:
    """Asks for them, and knows which are missing and since when."""

    def __init__(self, context: Context, block: Block, parent: State) -> None:
        """`parent` is the state that the block stands on."""
        self._context, self._block, self.parent = context, block, parent
        self._task = parent.task if block.header.model_flag else None
        self.since = context.now
        """When the wait for them began."""
        self.missing: list[str] = []
        """Those to be fetched next that were not here at the last look."""
        self._asked_at = -1

    @property
    def needed(self) -> list[str]:
        """All of them; none where the block makes no model."""
        task = self._task
        return [task.global_cid, *self._block.body.update_cids] if task is not None else []

    @property
    def waited(self) -> bool:
        """Whether they have had the time to come."""
        return self._context.now - self.since > self._context.config.file_wait_ms

    def look(self) -> None:
        """See which are missing. Updates of what is no model are not: nothing can be made of it."""
        context, task, missing = self._context, self._task, []
        if task is not None and task.global_cid not in context.files:
            missing = [task.global_cid]
        elif task is not None and context.layout(task) is not None:
            missing = [cid for cid in self._block.body.update_cids if cid not in context.files]
        if missing != self.missing:
            self.missing, self._asked_at = missing, -1

    def ask(self) -> None:
        """Ask for what is missing, once at a time."""
        context, task = self._context, self._task
        if task is None or self._asked_at == context.now:
            return
        self._asked_at = context.now
        if not context.need_model(task):
            for transaction in self._block.body.transactions:
                context.need_update(task, transaction, self._block.header.miner)
