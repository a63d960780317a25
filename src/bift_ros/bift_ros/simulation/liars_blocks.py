"""Miners that send a false block in place of each that they find. They find ten times as many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bift_ros.consensus.blocks import MAX_BLOCK_BYTES, Block, Body, ModelInfo, SignedHeader
from bift_ros.consensus.exceptions import CannotAggregate
from bift_ros.consensus.model_check import compute_model
from bift_ros.consensus.payloads import Learning
from bift_ros.consensus.transition import claimed_accuracy
from bift_ros.peer.events import BlockReceived, Event
from bift_ros.simulation.conduct import Conduct
from bift_ros.simulation.forging import forge

if TYPE_CHECKING:
    from bift_ros.simulation.vehicle import Vehicle

_MAXIMUM_HIDDEN = 256


class BlockLiar(Conduct):
    """Hides each true block of its own that it has lied about."""

    hash_power = 10.0

    def __init__(self, vehicle: Vehicle) -> None:
        super().__init__(vehicle)
        self._hidden: dict[bytes, None] = {}

    def lie(self, block: Block) -> Block | None:
        """The block to send in place of this one; None to send the true one."""
        raise NotImplementedError

    def broadcast(self, event: Event) -> None:
        """Lie about blocks only."""
        false = self.lie(event.block) if isinstance(event, BlockReceived) else None
        if false is None or not isinstance(event, BlockReceived):
            self.vehicle.tell(event)
            return
        self._hidden[event.block.hash] = None
        if len(self._hidden) > _MAXIMUM_HIDDEN:
            del self._hidden[next(iter(self._hidden))]
        self.vehicle.tell(BlockReceived(false, self.vehicle.url))

    def headers(self, asker: Vehicle, from_height: int) -> Sequence[SignedHeader]:
        """Show nothing from the first hidden block on."""
        shown = []
        for signed in super().headers(asker, from_height):
            if signed.header.hash in self._hidden:
                break
            shown.append(signed)
        return shown

    def blocks(self, asker: Vehicle, hashes: Sequence[bytes]) -> Sequence[Block]:
        """Give no hidden block."""
        return super().blocks(asker, [name for name in hashes if name not in self._hidden])

    def remake(self, block: Block, body: Body, **changes: Any) -> Block:
        """The block with another body or header."""
        return forge(self.vehicle.key, self.vehicle.rng, block.header, body, **changes)


class WrongAggregate(BlockLiar):
    """Puts a model of its own in place of what PoFL gives."""

    def lie(self, block: Block) -> Block | None:
        """Name an update's file as the new global model."""
        info = block.body.model_info
        if info is None:
            return None
        other = self.vehicle.keep(b"a model of my own" + block.hash)
        return self.remake(block, replace(block.body, model_info=replace(info, global_cid=other)))


class WrongContributors(BlockLiar):
    """Has itself and its friends rewarded."""

    def lie(self, block: Block) -> Block | None:
        """Name the last contributor in nobody's favour but one's own."""
        info = block.body.model_info
        if info is None:
            return None
        senders = sorted(
            t.sender for t in block.body.transactions if isinstance(t.payload, Learning)
        )
        chosen = {*info.contributors[1:], self.vehicle.address} & set(senders)
        contributors = tuple(
            sorted(chosen if tuple(sorted(chosen)) != info.contributors else senders)
        )
        accuracy = claimed_accuracy(block.body.transactions, contributors)
        changed = replace(info, contributors=contributors, accuracy=accuracy)
        return self.remake(block, replace(block.body, model_info=changed))


class ConvenientSubset(BlockLiar):
    """Leaves out as many commits and updates of others as the minimum allows."""

    def lie(self, block: Block) -> Block | None:
        """Keep its own and the first few; everything else about the block is true."""
        vehicle = self.vehicle
        minimum = vehicle.fleet.scenario.policy.minimum_updates
        learning = [t for t in block.body.transactions if isinstance(t.payload, Learning)]
        if len(learning) <= minimum:
            return None
        kept = sorted(learning, key=lambda t: t.sender != vehicle.address)[:minimum]
        names = {t.hash for t in kept}
        chosen = tuple(t for t in block.body.transactions if t.hash in names)
        info: ModelInfo | None = None
        if block.header.model_flag:
            parent = vehicle.chain.state_at(block.header.previous_hash)
            peer, archive = vehicle.peer, vehicle.fleet.archive
            genesis = vehicle.fleet.world.genesis
            try:
                made = compute_model(
                    parent, genesis, chosen, lambda cid: peer.decrypt(archive[cid]), peer.encrypt
                )
            except CannotAggregate:
                return None
            info = made.info
            vehicle.keep(made.file)
        return self.remake(block, Body(chosen, info))


class Equivocator(BlockLiar):
    """Makes two blocks at one height and tells each half of the fleet of another."""

    def lie(self, block: Block) -> Block | None:
        """The second block."""
        return self.remake(block, block.body, timestamp=block.header.timestamp + 1)

    def broadcast(self, event: Event) -> None:
        """One block for even numbers, the other for odd ones."""
        if not isinstance(event, BlockReceived):
            self.vehicle.tell(event)
            return
        second = self.lie(event.block)
        assert second is not None
        for other in self.vehicle.fleet.others(self.vehicle):
            block = event.block if other.number % 2 else second
            self.vehicle.send(other, BlockReceived(block, self.vehicle.url))


class FutureBlocks(BlockLiar):
    """Stamps its blocks with a time that has not come."""

    def lie(self, block: Block) -> Block | None:
        """Far more than the allowed skew."""
        skew = self.vehicle.fleet.scenario.policy.max_clock_skew_ms
        return self.remake(block, block.body, timestamp=block.header.timestamp + 3 * skew)


class OversizeBlocks(BlockLiar):
    """Makes blocks that are too large."""

    def lie(self, block: Block) -> Block | None:
        """Repeat the transactions until the bound is passed."""
        transactions = block.body.transactions
        size = sum(len(t.to_bytes()) for t in transactions)
        body = replace(block.body, transactions=transactions * (MAX_BLOCK_BYTES // size + 1))
        return self.remake(block, body)


class ReplayingMiner(BlockLiar):
    """Puts transactions into its blocks that the chain holds already."""

    def lie(self, block: Block) -> Block | None:
        """Add those of an earlier block."""
        earlier = self.vehicle.chain.canonical(max(1, block.header.height - 1), 1)
        old = earlier[0].body.transactions if earlier else block.body.transactions
        kept = [t for t in old if not isinstance(t.payload, Learning)] or list(old[:1])
        body = replace(block.body, transactions=(*block.body.transactions, *kept))
        return self.remake(block, body)


class StolenBlocks(BlockLiar):
    """Mines in another member's name."""

    def lie(self, block: Block) -> Block | None:
        """Name somebody else as the miner; the signature is its own."""
        other = self.vehicle.rng.choice(self.vehicle.fleet.others(self.vehicle))
        return self.remake(block, block.body, miner=other.address)
