"""Three real vehicles that learn while strangers and a member with a key do what they can.

Strangers attack one fleet and a member another, several at a time; a third is left in peace for as
many iterations. What depends on how busy the machine is has generous bounds here: `campaign.py`
measures for a person. Beside other tests it would say little, so parallel runs leave it out:
`make test-attacks` runs it alone.
"""

from __future__ import annotations

import os

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    pytest.skip("needs the machine alone: `make test-attacks`", allow_module_level=True)
pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from adversary.attack import ATTACKS, BY_MEMBER
from adversary.campaign import Outcome, attack_fleets
from adversary.fleet import HONEST

pytestmark = [pytest.mark.ros, pytest.mark.slow, pytest.mark.timeout(1200)]

SECONDS = 5.0
STRANGERS = (
    ("unknown_senders", "spoofed_members"),
    ("malformed", "replays"),
    ("huge", "large"),
    ("endless_fragments", "relayed_addresses"),
    ("junk_requests", "many_requests"),
    ("rogue_servers", "crowd", "comes_and_goes"),
    ("former_interfaces", "false_pictures", "png_bombs", "large_graph"),
    ("silent_connections", "odd_requests", "slow_headers", "slow_readers"),
)
MEMBER = (
    ("equivocating_miner", "talkative_member"),
    ("wrong_clock",),
    ("file_bomb",),
    ("endless_file",),
)
BUSY = 10
"""How many times slower than a desk a machine of tests may be."""


@pytest.fixture(scope="module")
def fleets(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return attack_fleets(STRANGERS, MEMBER, SECONDS, tmp_path_factory.mktemp("attacked"))


def test_every_attack_is_tried_and_reaches_somebody(fleets: Outcome) -> None:
    assert {name for group in MEMBER for name in group} == BY_MEMBER
    assert {name for group in (*STRANGERS, *MEMBER) for name in group} == set(ATTACKS)
    waits = {"rogue_servers", "crowd"}  # for others to ask
    for attack in (*fleets.strangers.attacks, *fleets.member.attacks):
        assert "failed" not in attack.found, attack
        assert attack.found["sent"] or attack.name in waits, attack


def test_no_vehicle_ends_or_stops_learning(fleets: Outcome) -> None:
    for campaign in (fleets.strangers, fleets.member):
        assert campaign.ended == []
        longest = max(attack.seconds for attack in campaign.attacks)
        assert campaign.longest_pause < longest + 30 * BUSY


def test_the_model_is_as_good_as_in_peace(fleets: Outcome) -> None:
    for campaign in (fleets.strangers, fleets.member):
        assert campaign.iterations == fleets.peaceful.iterations
        assert campaign.accuracy >= fleets.peaceful.accuracy - 0.01


def test_the_owner_is_answered(fleets: Outcome) -> None:
    assert max(fleets.strangers.worst_answer, fleets.member.worst_answer) < 1.0 * BUSY


def test_memory_log_and_disk_stay_bounded(fleets: Outcome) -> None:
    normal = fleets.peaceful
    for campaign in (fleets.strangers, fleets.member):
        for name in HONEST:
            assert campaign.peak_rss_mb[name] <= normal.peak_rss_mb[name] + 50
            assert campaign.disk_mb[name] <= normal.disk_mb[name] + 50
        assert campaign.log_bytes_per_s < 1000


def test_nothing_gets_in_that_should_not(fleets: Outcome) -> None:
    found = {attack.name: attack.found for attack in fleets.strangers.attacks}
    assert found["relayed_addresses"]["requests"] == 0
    assert found["former_interfaces"]["found"] == []
    assert found["former_interfaces"]["asked"] == 0
    assert fleets.strangers.samples == fleets.peaceful.samples
