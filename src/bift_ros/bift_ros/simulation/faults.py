"""The faults of a run: when the radio is bad, the fleet split, a vehicle off or its clock wrong."""

from __future__ import annotations

from bift_ros.consensus.payloads import MembershipVote, ShareFile, Transfer, WithdrawFile
from bift_ros.simulation.fleet import Fleet
from bift_ros.simulation.vehicle import Vehicle

_SLOW_MS = (50, 600)
_LOSS = (0.02, 0.15)
_RADIO_MS = (10_000, 40_000)
_SPLIT_MS = (5_000, 25_000)
_CALM_MS = (20_000, 80_000)
_DOWN_MS = (3_000, 40_000)
_UP_MS = (5_000, 60_000)
_OFFSET_MS = 3_000
_DRIFT = 0.002
_STEP_MS = 3 * 3_600_000
_STEPPED_MS = (20_000, 60_000)
_FULL_MS = (2_000, 20_000)
_TRANSFER_MS = (4_000, 15_000)
_SHARE_MS = (10_000, 30_000)
_VOTE_MS = (0, 4_000)
_MEMBER_MS = (5_000, 40_000)
_FIRST_WORD_MS = (100, 3_000)


class Faults:
    """Draws the faults from the seed and queues them; `end` is the last moment."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._rng = fleet.random("faults")
        self._shares = fleet.random("shares")
        self._end = fleet.started + fleet.scenario.faults_end_ms
        self._down: set[int] = set()

    def begin(self) -> None:
        """Plan the first of each kind."""
        fleet, kinds = self._fleet, self._fleet.scenario.faults
        if "skew" in kinds:
            for vehicle in fleet.vehicles:
                vehicle.offset_ms = self._rng.randint(-_OFFSET_MS, _OFFSET_MS)
                vehicle.drift = self._rng.uniform(-_DRIFT, _DRIFT)
        if "delay" in kinds or "loss" in kinds:
            self._radio()
        if "partition" in kinds:
            self._after(_CALM_MS, self._split)
        if "crash" in kinds:
            self._after(_UP_MS, self._crash)
        if "clock" in kinds:
            self._after(_UP_MS, self._set_clock)
        if "disk" in kinds:
            self._after(_FULL_MS, self._fill_disk)
        if "membership" in kinds:
            for vehicle in fleet.vehicles[fleet.scenario.founders :]:
                self._after(_VOTE_MS, self._vote, vehicle)
                self._after(_FIRST_WORD_MS, self._first_word, vehicle)
        self._after(_TRANSFER_MS, self._transfer)
        fleet.queue.after(self._shares.randint(*_SHARE_MS), self._share)
        fleet.queue.after(fleet.scenario.faults_end_ms, self._heal)

    def _over(self) -> bool:
        return self._fleet.queue.now >= self._end

    def _after(self, bounds: tuple[int, int], action: object, *arguments: object) -> None:
        assert callable(action)
        self._fleet.queue.after(self._rng.randint(*bounds), action, *arguments)

    def _say(self, text: str) -> None:
        self._fleet.history.fault(self._fleet.queue.now, text)

    def _radio(self) -> None:
        """Another quality of the radio, for a while."""
        if self._over():
            return
        network, kinds = self._fleet.network, self._fleet.scenario.faults
        if "delay" in kinds:
            network.slow_ms = self._rng.randint(*_SLOW_MS)
        if "loss" in kinds:
            network.loss = self._rng.uniform(*_LOSS)
        self._say(f"the radio delays by {network.slow_ms} ms and loses {network.loss:.1%}")
        self._after(_RADIO_MS, self._radio)

    def _split(self) -> None:
        if self._over():
            return
        share = self._rng.uniform(0.1, 0.9)
        network = self._fleet.network
        network.groups = {v.number: int(self._rng.random() < share) for v in self._fleet.vehicles}
        size = sum(network.groups.values())
        self._say(f"the network splits: {size} and {len(network.groups) - size} vehicles")
        self._after(_SPLIT_MS, self._join)

    def _join(self) -> None:
        self._fleet.network.groups = {}
        self._say("the network is one again")
        self._after(_CALM_MS, self._split)

    def _crash(self) -> None:
        """One more vehicle goes down, as long as few are."""
        if self._over():
            return
        up = [v for v in self._fleet.honest if v.online]
        if len(self._down) < max(1, len(self._fleet.vehicles) // 10) and len(up) > 1:
            vehicle = self._rng.choice(up)
            vehicle.crash()
            self._down.add(vehicle.number)
            self._say(f"vehicle {vehicle.number} crashes")
            self._after(_DOWN_MS, self._restart, vehicle)
        self._after(_UP_MS, self._crash)

    def _restart(self, vehicle: Vehicle) -> None:
        if vehicle.number in self._down:
            self._down.discard(vehicle.number)
            self._say(f"vehicle {vehicle.number} starts again")
            vehicle.boot()

    def _set_clock(self) -> None:
        """An honest vehicle's clock is set by hours, and set right some time later."""
        if self._over():
            return
        vehicle = self._rng.choice(self._fleet.honest)
        step = self._rng.choice((-_STEP_MS, _STEP_MS))
        vehicle.offset_ms += step
        self._say(f"the clock of vehicle {vehicle.number} is set by {step} ms")
        self._after(_STEPPED_MS, self._set_right, vehicle, step)
        self._after(_UP_MS, self._set_clock)

    def _set_right(self, vehicle: Vehicle, step: int) -> None:
        vehicle.offset_ms -= step
        self._say(f"the clock of vehicle {vehicle.number} is set right")

    def _fill_disk(self) -> None:
        """An honest vehicle's disk is full, until somebody makes room."""
        if self._over():
            return
        vehicle = self._rng.choice(self._fleet.honest)
        vehicle.disk_full = True
        self._say(f"the disk of vehicle {vehicle.number} is full")
        self._after(_FULL_MS, self._make_room, vehicle)
        self._after(_FULL_MS, self._fill_disk)

    def _make_room(self, vehicle: Vehicle) -> None:
        vehicle.disk_full = False
        self._say(f"the disk of vehicle {vehicle.number} has room again")

    def _vote(self, newcomer: Vehicle) -> None:
        """The honest members vote a vehicle in, out, and in again, each in its own time.

        In the end it is in: the least that make a model may need it.
        """
        self._after(_MEMBER_MS, self._vote, newcomer)
        is_in = newcomer.address in self._fleet.honest[0].peer.state.members
        if self._over() and is_in:
            return
        action = "leave" if is_in else "join"
        self._say(f"vehicle {newcomer.number} is to {action}")
        member = self._fleet.world.members[newcomer.number]
        vote = MembershipVote(action, member.name, member.public_key)
        for voter in self._fleet.honest:
            if voter is not newcomer:
                self._after(_VOTE_MS, self._cast, voter, vote)

    @staticmethod
    def _cast(voter: Vehicle, vote: MembershipVote) -> None:
        if voter.online:
            voter.submit(vote)

    def _first_word(self, newcomer: Vehicle) -> None:
        """Its owner says something as soon as it may: others may see its joining undone."""
        if newcomer.online and newcomer.address in newcomer.peer.state.members:
            newcomer.submit(WithdrawFile("tile_0"))
        elif not self._over():
            self._after(_FIRST_WORD_MS, self._first_word, newcomer)

    def _transfer(self) -> None:
        """An honest owner gives somebody something."""
        if self._over():
            return
        giver = self._rng.choice(self._fleet.honest)
        other = self._rng.choice(self._fleet.others[giver.number])
        if giver.online:
            refusal = giver.submit(Transfer(other.address, self._rng.randint(1, 5)))
            if refusal is not None:
                self._say(f"vehicle {giver.number} can't transfer: {refusal}")
        self._after(_TRANSFER_MS, self._transfer)

    def _share(self) -> None:
        """An honest owner shares a file, maybe in place of an earlier one, or withdraws one."""
        if self._over():
            return
        rng = self._shares
        vehicle = rng.choice(self._fleet.honest)
        name = f"tile_{rng.randrange(3)}"
        if vehicle.online and rng.random() < 0.7:
            data = rng.randbytes(64)
            vehicle.submit(ShareFile(name, vehicle.keep(data), len(data), "a map tile"))
        elif vehicle.online:
            vehicle.submit(WithdrawFile(name))
        self._fleet.queue.after(rng.randint(*_SHARE_MS), self._share)

    def _heal(self) -> None:
        self._fleet.network.heal()
        for number in sorted(self._down):
            self._restart(self._fleet.vehicles[number])
        self._say("the faults end; Byzantine vehicles go on")
