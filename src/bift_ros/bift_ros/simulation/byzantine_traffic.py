"""Vehicles that say false things: transactions, tips and answers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from bift_ros.admission.answers import HEADERS_PER_ANSWER
from bift_ros.chain.tips import sign_tip
from bift_ros.consensus.blocks import MIN_NONCE, Block, Body, Header, SignedHeader
from bift_ros.consensus.payloads import (
    MAX_SALT_BYTES,
    ModelUpdate,
    ProposeTask,
    Transfer,
    WithdrawFile,
)
from bift_ros.peer.events import BlockReceived, Event, TipReceived, TransactionReceived
from bift_ros.simulation.byzantine_vehicle import FORGED_URL, Byzantine
from bift_ros.simulation.vehicle import Environment, Vehicle
from bift_ros.simulation.world import INITIAL_MODEL
from bift_ros.storage.cid import cid_of

_MAXIMUM_FORGED = 256
_PAUSE = 10
_FLOOD = 12
MOST_ITERATIONS = 10_000


class FalseMessages(Byzantine):
    """Says something false every ten seconds."""

    def __init__(self, fleet: Environment, number: int, rng: random.Random) -> None:
        super().__init__(fleet, number, rng)
        self._seconds = self.rng.randrange(_PAUSE)

    def act(self) -> None:
        """Count the seconds."""
        self._seconds += 1
        if self._seconds % _PAUSE == 0:
            self.misbehave()

    def misbehave(self) -> None:
        """Say it."""
        raise NotImplementedError


class DoubleSpender(FalseMessages):
    """Tells each half of the fleet of another transfer with one number, and repeats old ones."""

    def misbehave(self) -> None:
        """Spend twice, spend what it does not have, and say again what is on the chain."""
        sequence = self.peer.state.next_sequence(self.address)
        owned = self.peer.state.balances[self.address]
        pair = [self.sign(sequence, Transfer(self.another().address, owned or 1)) for _ in "ab"]
        for other in self.fleet.others[self.number]:
            self.send(other, TransactionReceived(pair[other.number % 2]))
        overdraft = self.sign(sequence + 1, Transfer(self.address, 10**6))
        earlier = [t for block in self.chain.canonical(1, 2) for t in block.body.transactions[:3]]
        for transaction in (overdraft, *earlier):
            self.tell(TransactionReceived(transaction))


class IdentityThief(FalseMessages):
    """Signs transactions and tips as another member."""

    def misbehave(self) -> None:
        """Give itself another's stake, and say that another stands far ahead."""
        victim = self.another()
        sequence = self.peer.state.next_sequence(victim.address)
        own = self.sign(sequence, Transfer(self.address, 1))
        self.tell(TransactionReceived(replace(own, sender=victim.address)))
        tip = sign_tip(
            self.key,
            self.genesis.hash,
            height=10**6,
            tip_hash=self.rng.randbytes(32),
            learning_weight=10**9,
            provider=FORGED_URL,
            stamp=self.now + 10**6,
        )
        self.tell(TipReceived(replace(tip, sender=victim.address)))


class Flooder(FalseMessages):
    """Sends transactions by the dozen: no two alike, most that nobody can use."""

    def misbehave(self) -> None:
        """Transfers far ahead in number, proposals of tasks, updates of nothing."""
        rng = self.rng
        state = self.peer.state
        first = state.next_sequence(self.address)
        proposal = self.fleet.proposal(cid_of(INITIAL_MODEL))
        for _ in range(_FLOOD):
            sequence = first + rng.randrange(64)
            kind = rng.randrange(3)
            if kind == 0:
                junk = self.sign(sequence, Transfer(self.another().address, rng.randint(1, 9)))
            elif kind == 1:
                name = f"junk{rng.getrandbits(32)}"
                junk = self.sign(sequence, replace(proposal, model_id=name))
            else:
                junk = self.sign(*_update_of_nothing(rng, proposal))
            self.tell(TransactionReceived(junk))


class TaskHijacker(Byzantine):
    """Proposes a task of as many iterations as it may, whenever there is none."""

    def act(self) -> None:
        """Be the first, with a model that is a good one."""
        state = self.peer.state
        if state.task is not None or self.address not in state.members:
            return
        cid = self.keep(INITIAL_MODEL)
        longest = self.fleet.proposal(cid, MOST_ITERATIONS, f"hijack{state.height}")
        self.tell(TransactionReceived(self.sign(state.next_sequence(self.address), longest)))


class AccountFlooder(Byzantine):
    """Fills blocks with its own account's transactions, which cost nothing."""

    def act(self) -> None:
        """As many as others keep of it."""
        state = self.peer.state
        first = state.next_sequence(self.address)
        for sequence in range(first, first + _FLOOD):
            word = WithdrawFile(f"nothing{sequence}")
            self.tell(TransactionReceived(self.sign(sequence, word)))


class OrphanFlooder(Byzantine):
    """Sends blocks that stand on blocks which nobody has."""

    def act(self) -> None:
        """More of them than anybody keeps, in a few ticks."""
        state = self.peer.state
        for _ in range(_FLOOD):
            word = self.sign(state.next_sequence(self.address), WithdrawFile("x"))
            orphan = self.fleet.world.block(
                state,
                [word],
                miner=self.number,
                previous_hash=self.rng.randbytes(32),
                height=state.height + self.rng.randint(1, 3),
            )
            self.tell(BlockReceived(orphan))


def _update_of_nothing(rng: random.Random, proposal: ProposeTask) -> tuple[int, ModelUpdate]:
    iteration = rng.randint(1, 100)
    cid = proposal.init_cid
    salt = rng.randbytes(MAX_SALT_BYTES)
    return iteration, ModelUpdate(proposal.model_id, iteration, cid, cid, 1.0, 1, salt)


class FalseTips(Byzantine):
    """Says that it stands far ahead, and answers with an endless chain that leads nowhere."""

    def __init__(self, fleet: Environment, number: int, rng: random.Random) -> None:
        super().__init__(fleet, number, rng)
        self._forged: list[Block] = []
        self._way = self.rng.randrange(3)

    def broadcast(self, event: Event) -> None:
        """Falsify tips only."""
        if isinstance(event, TipReceived):
            tip = sign_tip(
                self.key,
                self.genesis.hash,
                height=event.tip.height + 1000,
                tip_hash=self.rng.randbytes(32),
                learning_weight=event.tip.learning_weight + 10**6,
                provider=self.url,
                stamp=event.tip.stamp,
            )
            event = TipReceived(tip)
        self.tell(event)

    def headers(self, asker: Vehicle, from_height: int) -> Sequence[SignedHeader]:
        """Headers with real work on the genesis, more each time; or noise; or the truth."""
        if self._way == 0:
            return super().headers(asker, from_height)
        while len(self._forged) < min(from_height + 32, _MAXIMUM_FORGED):
            self._forged.append(self._next())
        shown = [block.signed_header for block in self._forged[from_height - 1 :]]
        if self._way == 2:
            self.rng.shuffle(shown)
        return shown[:HEADERS_PER_ANSWER]

    def blocks(self, asker: Vehicle, hashes: Sequence[bytes]) -> Sequence[Block]:
        """Other blocks than those asked for, or none."""
        return self._forged[:2] if self._way == 2 else ()

    def _next(self) -> Block:
        below = self._forged[-1].header if self._forged else None
        overdraft = self.sign(0, Transfer(self.fleet.honest[0].address, len(self._forged) + 1))
        body = Body((overdraft,))
        header = Header(
            height=len(self._forged) + 1,
            timestamp=(below.timestamp if below else self.genesis.timestamp) + 1_000,
            previous_hash=below.hash if below else self.genesis.hash,
            body_hash=body.hash,
            model_flag=0,
            miner=self.address,
            difficulty=self.genesis.policy.difficulty,
            nonce=MIN_NONCE,
        )
        return self.forge(header, body)
