"""What the honest vehicles' owners do in a run: give, share files, and vote members in and out."""

from __future__ import annotations

from bift_ros.consensus.payloads import (
    CancelTask,
    MembershipVote,
    ShareFile,
    Transfer,
    WithdrawFile,
)
from bift_ros.simulation.fleet import Fleet
from bift_ros.simulation.vehicle import Vehicle

_TRANSFER_MS = (4_000, 15_000)
_SHARE_MS = (10_000, 30_000)
_VOTE_MS = (0, 4_000)
_CANCEL_MS = 5_000
_MEMBER_MS = (5_000, 40_000)
_FIRST_WORD_MS = (100, 3_000)


class Owners:
    """Draws what they do from the seed, until the faults end."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._rng, self._votes = fleet.random("owners"), fleet.random("votes")
        self._cancelled: set[tuple[int, str]] = set()
        """Who has voted against which task."""
        self._end = fleet.started + fleet.scenario.faults_end_ms

    def begin(self) -> None:
        """Plan the first of each kind."""
        fleet, after = self._fleet, self._fleet.queue.after
        for vehicle in fleet.vehicles[fleet.scenario.founders :]:
            after(self._votes.randint(*_VOTE_MS), self._vote, vehicle)
            after(self._votes.randint(*_FIRST_WORD_MS), self._first_word, vehicle)
        for vehicle in fleet.to_leave:
            after(self._votes.randint(*_MEMBER_MS), self._vote_out, vehicle)
        after(_CANCEL_MS, self._cancel)
        after(self._rng.randint(*_TRANSFER_MS), self._transfer)
        after(self._rng.randint(*_SHARE_MS), self._share)

    def _cancel(self) -> None:
        """The honest members vote against a task that is none of theirs."""
        honest = {vehicle.address for vehicle in self._fleet.honest}
        for vehicle in self._fleet.honest:
            task = vehicle.peer.state.task
            if task is None or task.proposer in honest or not vehicle.online:
                continue
            if (vehicle.number, task.model_id) not in self._cancelled:
                said = vehicle.submit(CancelTask(task.model_id)) is None
                if said:
                    self._cancelled.add((vehicle.number, task.model_id))
        self._fleet.queue.after(_CANCEL_MS, self._cancel)

    def _over(self) -> bool:
        return self._fleet.queue.now >= self._end

    def _vote(self, newcomer: Vehicle) -> None:
        """The honest members vote a vehicle in, out, and in again, each in its own time.

        In the end it is in: the least that make a model may need it.
        """
        self._fleet.queue.after(self._votes.randint(*_MEMBER_MS), self._vote, newcomer)
        is_in = newcomer.address in self._fleet.honest[0].peer.state.members
        if not (self._over() and is_in):
            self._all_vote("leave" if is_in else "join", newcomer)

    def _vote_out(self, member: Vehicle) -> None:
        """The honest members vote a Byzantine one out, until it is."""
        if member.address in self._fleet.honest[0].peer.state.members:
            self._all_vote("leave", member)
            self._fleet.queue.after(self._votes.randint(*_MEMBER_MS), self._vote_out, member)

    def _all_vote(self, action: str, vehicle: Vehicle) -> None:
        fleet = self._fleet
        fleet.history.fault(fleet.queue.now, f"vehicle {vehicle.number} is to {action}")
        member = fleet.world.members[vehicle.number]
        vote = MembershipVote(action, member.name, member.public_key)
        for voter in fleet.honest:
            if voter is not vehicle:
                fleet.queue.after(self._votes.randint(*_VOTE_MS), self._cast, voter, vote)

    @staticmethod
    def _cast(voter: Vehicle, vote: MembershipVote) -> None:
        if voter.online:
            voter.submit(vote)

    def _first_word(self, newcomer: Vehicle) -> None:
        """Its owner says something as soon as it may: others may see its joining undone."""
        if newcomer.online and newcomer.address in newcomer.peer.state.members:
            newcomer.submit(WithdrawFile("tile_0"))
        elif not self._over():
            wait = self._votes.randint(*_FIRST_WORD_MS)
            self._fleet.queue.after(wait, self._first_word, newcomer)

    def _transfer(self) -> None:
        """An honest owner gives somebody something."""
        if self._over():
            return
        fleet, rng = self._fleet, self._rng
        giver = rng.choice(fleet.honest)
        payload = Transfer(rng.choice(fleet.others[giver.number]).address, rng.randint(1, 5))
        if giver.online:
            refusal = giver.submit(payload)
            if refusal is not None:
                text = f"vehicle {giver.number} can't transfer: {refusal}"
                fleet.history.fault(fleet.queue.now, text)
        fleet.queue.after(rng.randint(*_TRANSFER_MS), self._transfer)

    def _share(self) -> None:
        """An honest owner shares a file, maybe in place of an earlier one, or withdraws one."""
        if self._over():
            return
        rng = self._rng
        vehicle, name = rng.choice(self._fleet.honest), f"tile_{rng.randrange(3)}"
        data, shares = rng.randbytes(64), rng.random() < 0.7
        if vehicle.online and shares and not vehicle.disk_full:
            vehicle.submit(ShareFile(name, vehicle.keep(data), len(data), "a map tile"))
        elif vehicle.online and not shares:
            vehicle.submit(WithdrawFile(name))
        self._fleet.queue.after(rng.randint(*_SHARE_MS), self._share)
