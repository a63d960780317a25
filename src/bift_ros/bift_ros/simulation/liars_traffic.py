"""Vehicles that say false things: transactions, tips and answers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bift_ros.chain.tips import sign_tip
from bift_ros.consensus.blocks import MIN_NONCE, Block, Body, Header, SignedHeader
from bift_ros.consensus.payloads import (
    MAX_SALT_BYTES,
    ModelUpdate,
    ProposeTask,
    Transfer,
)
from bift_ros.consensus.transactions import Transaction, sign_transaction
from bift_ros.peer.catch_up import HEADERS_PER_ANSWER
from bift_ros.peer.events import Event, TipReceived, TransactionReceived
from bift_ros.simulation.conduct import Conduct
from bift_ros.simulation.forging import forge
from bift_ros.simulation.world import INITIAL_MODEL, proposal_of
from bift_ros.storage.cid import cid_of

if TYPE_CHECKING:
    from bift_ros.simulation.vehicle import Vehicle

_MAXIMUM_HEARD = 256
_PAUSE = 10
_FLOOD = 12


class TransactionLiar(Conduct):
    """Says something false every ten seconds."""

    def __init__(self, vehicle: Vehicle) -> None:
        super().__init__(vehicle)
        self._seconds = vehicle.rng.randrange(_PAUSE)

    def act(self) -> None:
        """Count the seconds."""
        self._seconds += 1
        if self._seconds % _PAUSE == 0:
            self.speak()

    def speak(self) -> None:
        """Say it."""
        raise NotImplementedError

    def sign(self, sequence: int, payload: Transfer | ProposeTask | ModelUpdate) -> Transaction:
        """Sign as itself."""
        vehicle = self.vehicle
        return sign_transaction(vehicle.key, sequence, payload, vehicle.fleet.world.genesis.hash)

    def stranger(self) -> Vehicle:
        """Draw another vehicle."""
        return self.vehicle.rng.choice(self.vehicle.fleet.others(self.vehicle))


class DoubleSpender(TransactionLiar):
    """Tells each half of the fleet of another transfer with one number, and repeats old ones."""

    def speak(self) -> None:
        """Spend twice, spend what it does not have, and say again what is on the chain."""
        vehicle = self.vehicle
        sequence = vehicle.peer.state.sequences[vehicle.address]
        owned = vehicle.peer.state.balances[vehicle.address]
        pair = [self.sign(sequence, Transfer(self.stranger().address, owned or 1)) for _ in "ab"]
        for other in vehicle.fleet.others(vehicle):
            vehicle.send(other, TransactionReceived(pair[other.number % 2], vehicle.url))
        vehicle.tell(self._said(self.sign(sequence + 1, Transfer(vehicle.address, 10**6))))
        for block in vehicle.chain.canonical(1, 2):
            for transaction in block.body.transactions[:3]:
                vehicle.tell(self._said(transaction))

    def _said(self, transaction: Transaction) -> Event:
        return TransactionReceived(transaction, self.vehicle.url)


class IdentityThief(TransactionLiar):
    """Signs transactions and tips as another member."""

    def speak(self) -> None:
        """Give itself another's stake, and say that another stands far ahead."""
        vehicle, victim = self.vehicle, self.stranger()
        sequence = vehicle.peer.state.sequences[victim.address]
        own = self.sign(sequence, Transfer(vehicle.address, 1))
        vehicle.tell(TransactionReceived(replace(own, sender=victim.address), vehicle.url))
        tip = sign_tip(
            vehicle.key,
            vehicle.fleet.world.genesis.hash,
            height=10**6,
            tip_hash=vehicle.rng.randbytes(32),
            learning_weight=10**9,
            provider=vehicle.url,
            stamp=vehicle.now + 10**6,
        )
        vehicle.tell(TipReceived(replace(tip, sender=victim.address)))


class Flooder(TransactionLiar):
    """Sends transactions by the dozen: no two alike, most that nobody can use."""

    def speak(self) -> None:
        """Transfers far ahead in number, proposals of tasks, updates of nothing."""
        vehicle, rng = self.vehicle, self.vehicle.rng
        state = vehicle.peer.state
        first = state.sequences[vehicle.address]
        proposal = proposal_of(vehicle.fleet.scenario, cid_of(INITIAL_MODEL))
        for _ in range(_FLOOD):
            sequence = first + rng.randrange(64)
            kind = rng.randrange(3)
            if kind == 0:
                junk = self.sign(sequence, Transfer(self.stranger().address, rng.randint(1, 9)))
            elif kind == 1:
                name = f"junk{rng.getrandbits(32)}"
                junk = self.sign(sequence, replace(proposal, model_id=name))
            else:
                junk = self.sign(*_update_of_nothing(rng, proposal))
            vehicle.tell(TransactionReceived(junk, vehicle.url))


def _update_of_nothing(rng: random.Random, proposal: ProposeTask) -> tuple[int, ModelUpdate]:
    iteration = rng.randint(1, 100)
    cid = proposal.init_cid
    salt = rng.randbytes(MAX_SALT_BYTES)
    return iteration, ModelUpdate(proposal.model_id, iteration, cid, cid, 1.0, 1, salt)


class LyingTips(Conduct):
    """Says that it stands far ahead, and answers with an endless chain that leads nowhere."""

    def __init__(self, vehicle: Vehicle) -> None:
        super().__init__(vehicle)
        self._forged: list[Block] = []
        self._behaviour = vehicle.rng.randrange(3)

    def broadcast(self, event: Event) -> None:
        """Lie about tips only."""
        if isinstance(event, TipReceived):
            vehicle = self.vehicle
            tip = sign_tip(
                vehicle.key,
                vehicle.fleet.world.genesis.hash,
                height=event.tip.height + 1000,
                tip_hash=vehicle.rng.randbytes(32),
                learning_weight=event.tip.learning_weight + 10**6,
                provider=vehicle.url,
                stamp=event.tip.stamp,
            )
            event = TipReceived(tip)
        self.vehicle.tell(event)

    def headers(self, asker: Vehicle, from_height: int) -> Sequence[SignedHeader]:
        """Headers with real work on the genesis, more each time; or noise; or the truth."""
        if self._behaviour == 0:
            return super().headers(asker, from_height)
        while len(self._forged) < min(from_height + 32, _MAXIMUM_HEARD):
            self._forged.append(self._next())
        shown = [block.signed_header for block in self._forged[from_height - 1 :]]
        if self._behaviour == 2:
            self.vehicle.rng.shuffle(shown)
        return shown[:HEADERS_PER_ANSWER]

    def blocks(self, asker: Vehicle, hashes: Sequence[bytes]) -> Sequence[Block]:
        """Other blocks than those asked for, or none."""
        return self._forged[:2] if self._behaviour == 2 else ()

    def _next(self) -> Block:
        vehicle = self.vehicle
        genesis = vehicle.fleet.world.genesis
        below = self._forged[-1].header if self._forged else None
        body = Body((self.sign_nothing(),))
        header = Header(
            height=len(self._forged) + 1,
            timestamp=(below.timestamp if below else genesis.timestamp) + 1_000,
            previous_hash=below.hash if below else genesis.hash,
            body_hash=body.hash,
            model_flag=0,
            miner=vehicle.address,
            difficulty=genesis.policy.difficulty,
            nonce=MIN_NONCE,
        )
        return forge(vehicle.key, vehicle.rng, header, body)

    def sign_nothing(self) -> Transaction:
        """A transfer that it can't afford."""
        vehicle = self.vehicle
        payload = Transfer(vehicle.fleet.honest[0].address, len(self._forged) + 1)
        return sign_transaction(vehicle.key, 0, payload, vehicle.fleet.world.genesis.hash)
