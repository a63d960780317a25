"""Members that vote over a bad network in virtual time, without training, mining and files."""

from __future__ import annotations

import random
from collections.abc import Iterable

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.tips import SignedTip, sign_tip
from bift_ros.consensus.blocks import Block
from bift_ros.consensus.fork_choice import BlockNode, stands_on
from bift_ros.consensus.payloads import WithdrawFile
from bift_ros.consensus.quorums import Quorum
from bift_ros.consensus.state_bytes import state_digest
from bift_ros.consensus.transition import state_transition
from bift_ros.consensus.votes import Stage, Statement, Vote, is_double_vote, sign_vote
from bift_ros.peer.clock import Time
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.context import Context
from bift_ros.peer.double_votes import DoubleVotes
from bift_ros.peer.effects import BlockFinal, DoubleVoteFound, Effect
from bift_ros.peer.own_transactions import OwnTransactions
from bift_ros.peer.voting import Voting, quorums_above
from bift_ros.simulation.event_queue import EventQueue
from bift_ros.simulation.memory_store import MemoryStore
from world.consortium import Consortium

TICK_MS, TIP_MS, BLOCK_MS = 250, 2_000, 1_500


class Voter:
    """A member: its chain, its store, and `Voting`."""

    def __init__(self, assembly: Assembly, number: int) -> None:
        self.assembly, self.number = assembly, number
        self.key = assembly.world.keys[number]
        self.store = MemoryStore(assembly.world.genesis, lambda block: None)
        self.said: list[Vote] = []
        """Every vote that it has ever told of."""
        self.final: list[BlockFinal] = []
        self.caught: list[DoubleVoteFound] = []
        self.stamp = 0
        self.boot()

    def boot(self) -> None:
        """Begin over what the store holds."""
        self.online = True
        world = self.assembly.world
        self.chain = Blockchain(world.genesis, self.store)
        self.context = Context(self.key, world.genesis, self.chain, PeerConfig(), "")
        self.voting = Voting(self.context, DoubleVotes(self.context, OwnTransactions(self.context)))
        self._set_clock()
        self.voting.recall()
        self.go_on()

    def go_on(self) -> None:
        """Vote, and tell of it."""
        self._set_clock()
        self.voting.look_again()
        for _ in self.voting.advance():
            pass
        assert stands_on(self.chain.tip, self.chain.finality.base)
        for effect in self.context.drain():
            self._note(effect)
        if self.voting.untold:
            self.voting.untold = False
            self.tell()

    def tell(self) -> None:
        """Send the tip to all."""
        self.said += [vote for vote in self.voting.votes if vote not in self.said]
        self.assembly.broadcast(self, self.tip(self.voting.votes))

    def tip(self, votes: Iterable[Vote]) -> SignedTip:
        self.stamp += 1
        tip = self.chain.tip
        return sign_tip(
            self.key,
            self.assembly.world.genesis.hash,
            height=tip.height,
            tip_hash=tip.hash,
            learning_weight=0,
            provider="",
            stamp=self.stamp,
            final_height=self.chain.finality.final.height,
            votes=tuple(votes),
        )

    def take_tip(self, tip: SignedTip) -> None:
        if self.online:
            self._set_clock()
            self.voting.heard(tip)
            self.go_on()

    def take_blocks(self, blocks: Iterable[Block]) -> None:
        """Accept blocks, parents first; what does not stand on the final one is left out."""
        if not self.online:
            return
        self._set_clock()
        for block in blocks:
            if not self.chain.has(block.hash) and self.chain.finality.allows(block.header):
                parent = self.chain.state_at(block.header.previous_hash)
                genesis = self.assembly.world.genesis
                stamp = block.header.timestamp
                self.chain.add(block, state_transition(parent, genesis, block, stamp))
        self.go_on()

    def take_quorums(self, quorums: Iterable[Quorum]) -> None:
        if self.online:
            self.voting.shown(quorums)
            self.go_on()

    def _set_clock(self) -> None:
        now = self.assembly.queue.now
        self.context.clock.set(Time(now, now))

    def _note(self, effect: Effect) -> None:
        if isinstance(effect, BlockFinal):
            self.final.append(effect)
            self.assembly.note_final(self.chain.finality.final)
        elif isinstance(effect, DoubleVoteFound):
            self.caught.append(effect)


class Liar(Voter):
    """Tells everybody something else."""

    def tell(self) -> None:
        rng, world = self.assembly.rng, self.assembly.world
        nodes = [self.chain.node(block.hash) for block in self.store.blocks()][-6:]
        rounds = [v.statement.round for v in self.voting.votes] or [1]
        for other in self.assembly.voters:
            votes = []
            for stage in Stage:
                node = rng.choice(nodes) if nodes else None
                if node is None or rng.random() < 0.2:
                    continue
                source = self.chain.finality.justified
                digest = state_digest(self.chain.state_at(node.hash))
                round_ = max(source.round + 1, max(rounds) + rng.choice((-1, 0, 0, 0, 1)))
                place = (source.round, source.node.hash)
                if rng.random() < 0.2:
                    place = (0, world.genesis.hash)
                said = Statement(round_, node.height, node.hash, digest, *place)
                votes.append(sign_vote(self.key, world.genesis.hash, stage, said))
            self.assembly.send(self, other, self.tip(votes))


class Assembly:
    """Voters and what is between them. Every draw comes from the seed."""

    def __init__(self, size: int, seed: int, liars: int = 0) -> None:
        self.world = Consortium(size, minimum_updates=1)
        self.rng, self.queue = random.Random(seed), EventQueue()
        self.delay_ms, self.loss = (5, 30), 0.0
        self.split: set[int] = set()
        self.mining = True
        self.final: dict[int, bytes] = {}
        """All final blocks by height."""
        self.voters: list[Voter] = []
        for number in range(size):
            self.voters.append((Liar if number < liars else Voter)(self, number))
        self.honest = self.voters[liars:]
        for voter in self.voters:
            self.queue.after(self.rng.randrange(TICK_MS), self._tick, voter)
            self.queue.after(self.rng.randrange(TIP_MS), self._repeat, voter)
        self.queue.after(BLOCK_MS, self._mine)

    def run(self, ms: int) -> None:
        self.queue.run_until(self.queue.now + ms)
        self.check()

    def check(self) -> None:
        """No honest member has cast a double vote, nor been found to have."""
        for voter in self.honest:
            for number, one in enumerate(voter.said):
                assert not any(is_double_vote(one, other) for other in voter.said[:number])
            for proof in voter.caught:
                assert proof.first.sender not in {v.key.address for v in self.honest}

    def note_final(self, node: BlockNode | None) -> None:
        """No two final blocks are rivals."""
        while node is not None and self.final.get(node.height) != node.hash:
            assert node.height not in self.final, "a rival is final"
            self.final[node.height] = node.hash
            node = node.parent

    def settled(self) -> bool:
        """Whether everybody's tip is final, and the same."""
        return len(
            {(v.chain.tip.hash, v.chain.finality.final.hash) for v in self.honest}
        ) == 1 and (self.honest[0].chain.tip is self.honest[0].chain.finality.final)

    def calm(self) -> None:
        """A good network, and everybody is there."""
        self.delay_ms, self.loss, self.split = (5, 30), 0.0, set()
        for voter in self.voters:
            if not voter.online:
                voter.boot()

    def broadcast(self, sender: Voter, said: SignedTip) -> None:
        for other in self.voters:
            self.send(sender, other, said)

    def send(self, sender: Voter, other: Voter, said: SignedTip) -> None:
        if other is not sender:
            self._deliver(sender, other, other.take_tip, said)

    def _deliver(self, sender: Voter, other: Voter, take: object, what: object) -> None:
        apart = (sender.number in self.split) != (other.number in self.split)
        if not apart and self.rng.random() >= self.loss:
            self.queue.after(self.rng.randint(*self.delay_ms), take, what)  # type: ignore[arg-type]

    def _tick(self, voter: Voter) -> None:
        if voter.online:
            voter.go_on()
            self._catch_up(voter)
        self.queue.after(TICK_MS, self._tick, voter)

    def _catch_up(self, voter: Voter) -> None:
        """Blocks and quorums of somebody else, as the peer's catch-up gets them."""
        other = self.rng.choice(self.voters)
        if other is voter or not other.online or self.rng.random() < 0.5:
            return
        base = max(1, voter.chain.finality.final.height - 2)
        blocks = other.chain.canonical(base, 1_000)
        if blocks and not voter.chain.has(blocks[-1].hash):
            self._deliver(other, voter, voter.take_blocks, blocks)
        if other.key.address in voter.voting.ahead():
            finality = voter.chain.finality
            found = quorums_above(other.chain, finality.final.height, finality.justified.round)
            copies = [Quorum.from_bytes(quorum.to_bytes()) for quorum in found]
            self._deliver(other, voter, voter.take_quorums, copies)

    def _repeat(self, voter: Voter) -> None:
        if voter.online:
            voter.tell()
        self.queue.after(TIP_MS, self._repeat, voter)

    def _mine(self) -> None:
        """Somebody finds a block on its own tip."""
        voter = self.rng.choice(self.voters)
        if self.mining and voter.online:
            state = voter.chain.tip_state
            said = self.world.sign(voter.number, WithdrawFile("nothing"), state)
            block = self.world.block(state, [said], miner=voter.number)
            for other in self.voters:
                if other is not voter:
                    self._deliver(voter, other, other.take_blocks, [block])
            voter.take_blocks([block])
        self.queue.after(self.rng.randrange(100, 2 * BLOCK_MS), self._mine)
