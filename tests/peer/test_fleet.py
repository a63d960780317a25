"""Whole fleets: from a proposal to the last block."""

from __future__ import annotations

import pytest

from bift_ros.chain.verification import verify_chain
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import Mine, Train
from world.fleet import Fleet


@pytest.mark.parametrize("mode", ["bift", "paper"])
@pytest.mark.parametrize("size", [2, 4, 5])
def test_a_fleet_completes_a_task(size: int, mode: str) -> None:
    fleet = Fleet(size, mode=mode)
    fleet.propose(total_iter=3)
    fleet.run_until(lambda: fleet.all_reach(3))

    for vehicle in fleet.vehicles:
        assert vehicle.state.finished == ("lights",)
        assert [info.current_iter for info in vehicle.models] == [1, 2, 3]
        contributions = [a for info in vehicle.models for a in info.contributors]
        assert vehicle.state.balances == {
            other.address: 20 * contributions.count(other.address) for other in fleet.vehicles
        }
        result = verify_chain(fleet.world.genesis, vehicle.store, vehicle.files.__getitem__)
        assert result.problem is None
        assert len(result.models) == 3
        assert result.rewards_paid == sum(vehicle.state.balances.values()) > 0


def test_vehicles_that_do_not_train_mine_and_check() -> None:
    """One without data, one told not to train; both learn the outcome and may mine it."""
    fleet = Fleet(5, mode="bift", without_data=(1,), configs={2: PeerConfig(train=False)})
    fleet.propose(total_iter=2)
    fleet.run_until(lambda: fleet.all_reach(2))

    for number in (1, 2):
        assert fleet[number].effects(Train) == []
        assert fleet[number].effects(Mine) != []
        assert fleet[number].state.balances[fleet[number].address] == 0


def test_a_vehicle_that_does_not_mine_never_searches_a_nonce() -> None:
    fleet = Fleet(4, configs={0: PeerConfig(mine=False)})
    fleet.propose(total_iter=2)
    fleet.run_until(lambda: fleet.all_reach(2))

    assert fleet[0].effects(Mine) == []
    assert fleet[0].state.balances[fleet[0].address] > 0


def test_one_that_gets_data_later_joins_in() -> None:
    from bift_ros.peer.events import DatasetChanged

    fleet = Fleet(4, without_data=(3,))
    fleet.propose(total_iter=3)
    fleet.run_until(lambda: fleet.all_reach(1))
    fleet[3].samples = 100
    fleet[3].take(DatasetChanged(100))
    fleet.run_until(lambda: fleet.all_reach(3))
    assert len(fleet[3].effects(Train)) >= 1


def test_an_architecture_outside_the_allow_list_is_never_trained() -> None:
    from bift_ros.peer.effects import Refused

    fleet = Fleet(3)
    fleet.propose(architecture="os:system")
    fleet.run_until(lambda: all(v.state.task is not None for v in fleet.vehicles))
    fleet.run(30_000)
    for vehicle in fleet.vehicles:
        assert vehicle.effects(Train) == []
        (refusal,) = [r for r in vehicle.effects(Refused) if r.what == "training"]
        assert refusal.sender == fleet[0].address
        assert "os:system" in refusal.reason


def test_the_same_fleet_twice_does_the_same() -> None:
    def effects() -> list[object]:
        fleet = Fleet(4)
        fleet.propose(total_iter=2)
        fleet.run(20_000)
        return [vehicle.log for vehicle in fleet.vehicles]

    first = effects()
    assert len(first[0]) > 20  # type: ignore[arg-type]
    assert first == effects()
