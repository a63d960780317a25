"""Launch files run with the real `ros2 launch`, which comes with a system ROS only.

Jazzy's launch_pytest needs Jazzy's pytest 7; with a newer one give `-p no:launch_pytest`, and these
tests skip.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bift_ros.fleet.runtimes.domain import ros_environment


@pytest.fixture(autouse=True, scope="module")
def own_domain() -> Iterator[None]:
    """ROS domains that no other run on this machine hears; launched processes inherit them."""
    with ros_environment() as (environment, _), pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield
