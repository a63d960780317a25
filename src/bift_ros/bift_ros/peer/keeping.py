"""What a vehicle's storage keeps, and what it lets go: as the followed chain has it."""

from __future__ import annotations

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.interface import KEPT_MODELS
from bift_ros.consensus.blocks import Block
from bift_ros.peer.block_import import BlockImport, CheckedBlock
from bift_ros.peer.context import Context
from bift_ros.peer.effects import Discard, Pin, Put, Unpin
from bift_ros.peer.named_files import NamedFiles
from bift_ros.peer.notes import recall
from bift_ros.peer.updates import Updates

_NOTE = "fetched"
_BATCH = 64


class Keeping:
    """Says what is pinned and what is discarded, in memory and on disk."""

    def __init__(self, context: Context, updates: Updates, block_import: BlockImport) -> None:
        self._context, self._updates, self._import = context, updates, block_import
        self._named = NamedFiles()

    def recall(self) -> None:
        """Take up what had been fetched before a restart, and what the chain has named lately.

        Of twice as many models as are kept: some of their files may not have been let go in time.
        """
        recall(self._context, _NOTE, self._context.holdings.recall)
        for block in _last_models(self._context.chain, 2 * KEPT_MODELS):
            self._named.named(_files_of(block))
        self._unpin()

    def accepted(self, checked: CheckedBlock, *, followed: bool) -> None:
        """Have and serve the model that a block makes; pinned where it is the chain's."""
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
        """Keep what a block of the chain names, in place of what an older one named."""
        cids = _files_of(block)
        if cids:
            self._context.holdings.named(cids)
            self._named.named(cids)
            self._context.emit(Pin(cids))
            self._unpin()

    def made(self, cid: str) -> None:
        """This vehicle has stored its update."""
        self._named.made(cid)

    def let_go(self) -> None:
        """Let go of files that are in nobody's way to a model any more; often, at little cost."""
        context = self._context
        if context.files.is_full:
            context.files.trim(self._needed())
        if context.holdings.changed:
            surplus = context.holdings.surplus(self._needed)
            if surplus:
                context.emit(Discard(surplus))
            context.holdings.changed = not context.write_note(_NOTE, context.holdings.note())

    def _unpin(self) -> None:
        """Let go of what the chain named long ago, unless it is in use or its owner shares it."""
        context = self._context
        if context.config.keep_all:
            return
        state = context.chain.tip_state
        shares = state.shares.get(context.key.address, {})
        kept = {shared.file.cid for shared in shares.values()}
        kept.update(task.global_cid for task in (state.task, state.last_task) if task is not None)
        outdated = self._named.outdated(kept)
        if outdated:
            context.emit(Unpin(outdated))

    def _needed(self) -> set[str]:
        return self._updates.needed() | self._import.needed()


def _files_of(block: Block) -> tuple[str, ...]:
    """What a block names; nothing where it brings no model."""
    info = block.body.model_info
    if info is None:
        return ()
    initial = (info.init_cid,) if info.current_iter == 1 else ()
    return (*initial, *block.body.update_cids, info.global_cid)


def _last_models(chain: Blockchain, count: int) -> list[Block]:
    """The chain's last model blocks, the lowest first, in however many blocks there may be."""
    found: list[Block] = []
    height = chain.tip.height
    while height > 0 and len(found) < count:
        first = max(1, height - _BATCH + 1)
        blocks = chain.canonical(first, height - first + 1)
        found[:0] = [block for block in blocks if block.header.model_flag]
        height = first - 1 if blocks else 0
    return found[-count:]
