"""Who may say what: the least that each enclave needs."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from bift_ros.security.rights import OBSERVER, Rights, vehicle_enclave

CAR = vehicle_enclave("car")


def may(patterns: tuple[str, ...], topic: str) -> bool:
    return any(fnmatchcase(topic, pattern) for pattern in patterns)


@pytest.mark.parametrize("service", ["get_headers", "get_blocks", "get_group_keys", "get_snapshot"])
def test_a_vehicle_serves_its_own_catch_up_and_calls_that_of_others(service: str) -> None:
    assert may(CAR.fleet.subscribe, f"rq/car/{service}Request")
    assert may(CAR.fleet.publish, f"rr/car/{service}Reply")
    assert may(CAR.fleet.publish, f"rq/bus/{service}Request")
    assert may(CAR.fleet.subscribe, f"rr/bus/{service}Reply")
    assert not may(CAR.fleet.subscribe, f"rq/bus/{service}Request")
    assert not may(CAR.fleet.publish, f"rr/bus/{service}Reply")
    assert not may(CAR.own.publish, f"rr/car/{service}Reply")


@pytest.mark.parametrize("rights", [CAR.own, CAR.fleet, OBSERVER.own, OBSERVER.fleet])
@pytest.mark.parametrize(
    "topic",
    [
        "rt/bus/status", "rt/bus/training/progress", "rt/bus/camera/image_raw/compressed",
        "rt/bus/traffic_lights", "rr/bus/get_stateReply", "rr/bus/owner_jobReply",
        "rr/bus/submit_transactionReply", "rr/car/vehicle/set_parametersReply", "rt/rosout",
        "rt/clock", "rt/bift", "rt/anything",
    ],
)  # fmt: skip
def test_nobody_speaks_for_another_vehicle_or_sets_anything(rights: Rights, topic: str) -> None:
    assert not may(rights.publish, topic)


def test_on_the_fleets_bus_there_is_nothing_of_the_cars() -> None:
    for topic in ("rt/car/status", "rt/car/traffic_lights", "rt/car/camera/image_raw"):
        assert may(CAR.own.publish, topic)
        assert not may(CAR.fleet.publish, topic)
        assert not may(CAR.fleet.subscribe, topic)
    for service in ("get_state", "submit_transaction", "owner_job"):
        assert may(CAR.own.publish, f"rr/car/{service}Reply")
        assert not may(CAR.fleet.publish, f"rr/car/{service}Reply")
    for topic in ("rt/bift/transactions", "rt/bift/blocks", "rt/bift/tips"):
        assert may(CAR.fleet.publish, topic)
        assert may(CAR.fleet.subscribe, topic)
        assert not may(CAR.own.publish, topic)


def test_an_observer_only_reads_what_the_fleet_says() -> None:
    for topic in ("rt/bift/transactions", "rt/bift/blocks", "rt/bift/tips"):
        assert may(OBSERVER.fleet.subscribe, topic)
        assert not may(OBSERVER.fleet.publish, topic)
    said = set(OBSERVER.fleet.publish) - {"ros_discovery_info", "rt/parameter_events"}
    assert said == {"rq/*/get_headersRequest", "rq/*/get_blocksRequest"}


def test_nobody_hears_the_parameter_events_that_rclpy_announces_on_the_fleets_bus() -> None:
    for enclave in (CAR, OBSERVER):
        assert not may(enclave.fleet.subscribe, "rt/parameter_events")


def test_a_vehicle_may_do_what_the_page_of_topics_says_and_nothing_else() -> None:
    """A test of real vehicles holds the page to what they do."""
    page = (Path(__file__).parents[2] / "docs" / "topics.md").read_text()
    _, fleet, own, _ = re.split(r"^(?:On|And of) the .*:$", page, flags=re.MULTILINE)
    for table, rights in ((fleet, CAR.fleet), (own, CAR.own)):
        cells = " ".join(re.findall(r"^\| (`/.*?`) \|", table, re.MULTILINE))
        said = re.findall(r"`/(.*?)`", cells.replace("NAME", "car"))
        said += [name.replace("[", "").replace("]", "") for name in said if "[" in name]
        names = [re.sub(r"\[.*\]", "", name) for name in said]
        may = {*rights.publish, *rights.subscribe} - {"ros_discovery_info"}
        mine = {re.sub(r"^r[tqr]/|(Request|Reply)$", "", name) for name in may if "*" not in name}
        assert mine == {*names, "parameter_events"}


def test_a_camera_may_have_another_name() -> None:
    car = vehicle_enclave("car", ["/front/image_raw", "left/image_raw"])
    assert may(car.own.subscribe, "rt/front/image_raw")
    assert may(car.own.subscribe, "rt/car/left/image_raw")
    assert not may(car.own.publish, "rt/front/image_raw")
    assert not may(car.fleet.subscribe, "rt/front/image_raw")
