"""Launch files run with the real `ros2 launch`, which comes with a system ROS only.

Jazzy's launch_pytest needs Jazzy's pytest 7; with a newer one give `-p no:launch_pytest`, and these
tests skip.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bift_ros.fleet.runtimes.domain import claimed_domain


@pytest.fixture(autouse=True, scope="module")
def own_domain() -> Iterator[None]:
    """A ROS domain that no other run on this machine hears; launched processes inherit it."""
    with claimed_domain() as (domain, _), pytest.MonkeyPatch.context() as environment:
        environment.setenv("ROS_DOMAIN_ID", str(domain))
        environment.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        yield
