"""Miners that send a false block in place of each that they find. They find ten times as many."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from bift_ros.consensus.blocks import MAX_BLOCK_BYTES, Block, Body, ModelInfo, SignedHeader
from bift_ros.consensus.exceptions import CannotAggregate
from bift_ros.consensus.model_check import compute_model
from bift_ros.consensus.payloads import Learning
from bift_ros.consensus.transition import claimed_accuracy
from bift_ros.peer.events import BlockReceived, Event
from bift_ros.simulation.byzantine_vehicle import Byzantine
from bift_ros.simulation.vehicle import Environment, Vehicle

_MAXIMUM_HIDDEN = 256


class FalseBlocks(Byzantine):
    """Hides each true block of its own that it has put a false one in place of."""

    hash_power = 10.0

    def __init__(self, fleet: Environment, number: int, rng: random.Random) -> None:
        super().__init__(fleet, number, rng)
        self._hidden: dict[bytes, None] = {}

    def falsify(self, block: Block) -> Block | None:
        """The block to send in place of this one; None to send the true one."""
        raise NotImplementedError

    def broadcast(self, event: Event) -> None:
        """Falsify blocks only."""
        false = self.falsify(event.block) if isinstance(event, BlockReceived) else None
        if false is None or not isinstance(event, BlockReceived):
            self.tell(event)
            return
        self._hidden[event.block.hash] = None
        if len(self._hidden) > _MAXIMUM_HIDDEN:
            del self._hidden[next(iter(self._hidden))]
        self.tell(BlockReceived(false))

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


class WrongAggregate(FalseBlocks):
    """Puts a model of its own in place of what PoFL gives."""

    def falsify(self, block: Block) -> Block | None:
        """Name an update's file as the new global model."""
        info = block.body.model_info
        if info is None:
            return None
        other = self.keep(b"a model of my own" + block.hash)
        return self.forge(
            block.header, replace(block.body, model_info=replace(info, global_cid=other))
        )


class WrongContributors(FalseBlocks):
    """Has itself and its friends rewarded."""

    def falsify(self, block: Block) -> Block | None:
        """Name the last contributor in nobody's favour but one's own."""
        info = block.body.model_info
        if info is None:
            return None
        senders = sorted(
            t.sender for t in block.body.transactions if isinstance(t.payload, Learning)
        )
        chosen = {*info.contributors[1:], self.address} & set(senders)
        contributors = tuple(
            sorted(chosen if tuple(sorted(chosen)) != info.contributors else senders)
        )
        accuracy = claimed_accuracy(block.body.transactions, contributors)
        changed = replace(info, contributors=contributors, accuracy=accuracy)
        return self.forge(block.header, replace(block.body, model_info=changed))


class ConvenientSubset(FalseBlocks):
    """Leaves out as many commits and updates of others as the minimum allows."""

    def falsify(self, block: Block) -> Block | None:
        """Keep its own and the first few; everything else about the block is true."""
        minimum = self.fleet.scenario.policy.minimum_updates
        learning = [t for t in block.body.transactions if isinstance(t.payload, Learning)]
        if len(learning) <= minimum:
            return None
        kept = sorted(learning, key=lambda t: t.sender != self.address)[:minimum]
        names = {t.hash for t in kept}
        chosen = tuple(t for t in block.body.transactions if t.hash in names)
        info: ModelInfo | None = None
        if block.header.model_flag:
            parent = self.chain.state_at(block.header.previous_hash)
            peer, archive = self.peer, self.fleet.archive

            def read(cid: str) -> bytes:
                return peer.decrypt(archive[cid])

            try:
                made = compute_model(parent, self.genesis, chosen, read, peer.encrypt)
            except CannotAggregate:
                return None
            info = made.info
            self.keep(made.file)
        return self.forge(block.header, Body(chosen, info))


class Equivocator(FalseBlocks):
    """Makes two blocks at one height and tells each half of the fleet of another."""

    def falsify(self, block: Block) -> Block | None:
        """The second block."""
        return self.forge(block.header, block.body, timestamp=block.header.timestamp + 1)

    def broadcast(self, event: Event) -> None:
        """One block for even numbers, the other for odd ones."""
        if not isinstance(event, BlockReceived):
            self.tell(event)
            return
        second = self.falsify(event.block)
        assert second is not None
        for other in self.fleet.others[self.number]:
            block = event.block if other.number % 2 else second
            self.send(other, BlockReceived(block))


class FutureBlocks(FalseBlocks):
    """Stamps its blocks with a time that has not come."""

    def falsify(self, block: Block) -> Block | None:
        """Far more than the allowed skew."""
        skew = self.fleet.scenario.policy.max_clock_skew_ms
        return self.forge(block.header, block.body, timestamp=block.header.timestamp + 3 * skew)


class OversizeBlocks(FalseBlocks):
    """Makes blocks that are too large."""

    def falsify(self, block: Block) -> Block | None:
        """Repeat the transactions until the bound is passed."""
        transactions = block.body.transactions
        size = sum(len(t.to_bytes()) for t in transactions)
        body = replace(block.body, transactions=transactions * (MAX_BLOCK_BYTES // size + 1))
        return self.forge(block.header, body)


class ReplayingMiner(FalseBlocks):
    """Puts transactions into its blocks that the chain holds already."""

    def falsify(self, block: Block) -> Block | None:
        """Add those of an earlier block."""
        earlier = self.chain.canonical(max(1, block.header.height - 1), 1)
        old = earlier[0].body.transactions if earlier else block.body.transactions
        kept = [t for t in old if not isinstance(t.payload, Learning)] or list(old[:1])
        body = replace(block.body, transactions=(*block.body.transactions, *kept))
        return self.forge(block.header, body)


class StolenBlocks(FalseBlocks):
    """Mines in another member's name."""

    def falsify(self, block: Block) -> Block | None:
        """Name somebody else as the miner; the signature is its own."""
        return self.forge(block.header, block.body, miner=self.another().address)
