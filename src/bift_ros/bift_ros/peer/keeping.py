"""What a vehicle's storage keeps for good, and what it lets go: as the followed chain has it."""

from __future__ import annotations

from bift_ros.consensus.blocks import Block
from bift_ros.peer.block_import import BlockImport, CheckedBlock
from bift_ros.peer.context import Context
from bift_ros.peer.effects import Discard, Pin, Put
from bift_ros.peer.notes import recall
from bift_ros.peer.updates import Updates

_NOTE = "fetched"


class Keeping:
    """Says what is pinned and what is discarded, in memory and on disk."""

    def __init__(self, context: Context, updates: Updates, block_import: BlockImport) -> None:
        self._context, self._updates, self._import = context, updates, block_import

    def recall(self) -> None:
        """Take up what had been fetched before a restart."""
        recall(self._context, _NOTE, self._context.holdings.recall)

    def accepted(self, checked: CheckedBlock, *, followed: bool) -> None:
        """Have and serve the model that a block makes; for good where it is the chain's."""
        made = checked.made
        if made is None:
            return
        cid = made.info.global_cid
        self._context.files.add(cid, made.model)
        self._context.emit(Put(cid, made.file, pinned=followed))
        if not followed:
            miner = checked.block.header.miner
            self._context.holdings.fetched(cid, miner, len(made.file))

    def followed(self, block: Block) -> None:
        """Keep what a block of the chain names: those who join later check it with its files."""
        info = block.body.model_info
        if info is not None:
            initial = (info.init_cid,) if info.current_iter == 1 else ()
            cids = (*initial, *block.body.update_cids, info.global_cid)
            self._context.holdings.named(cids)
            self._context.emit(Pin(cids))

    def let_go(self) -> None:
        """Let go of files that are in nobody's way to a model any more; often, at little cost."""
        context = self._context
        if context.files.is_full:
            context.files.trim(self._needed())
        if context.holdings.changed:
            surplus = context.holdings.surplus(self._needed)
            if surplus:
                context.emit(Discard(surplus))
            context.chain.store.set_note(_NOTE, context.holdings.note())

    def _needed(self) -> set[str]:
        return self._updates.needed() | self._import.needed()
