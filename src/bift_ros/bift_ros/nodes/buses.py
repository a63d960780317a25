"""The two buses of a vehicle: its own, within the car, and the one that it shares with the fleet.

Each is a ROS domain of its own, which a process joins with a context of its own. What joins the
car's bus follows ROS' variables, `ROS_DOMAIN_ID` and others, as the car's other nodes do; unlike
them it looks for others on this computer only, unless `ROS_AUTOMATIC_DISCOVERY_RANGE` says
otherwise. What joins the fleet's follows the same variables with `BIFT_FLEET_` in place of `ROS_`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum

LAST_DOMAIN = 232
"""ROS' highest domain whose ports exist."""
_DOMAIN, _RANGE = "DOMAIN_ID", "AUTOMATIC_DISCOVERY_RANGE"
_VARIABLES = (_DOMAIN, _RANGE, "STATIC_PEERS", "DISCOVERY_SERVER", "SUPER_CLIENT")
"""What decides who finds whom, without its prefix."""
_SECURITY = tuple(f"SECURITY_{n}" for n in ("ENABLE", "STRATEGY", "KEYSTORE", "ENCLAVE_OVERRIDE"))
"""What DDS security takes, likewise. Without any of its own, the fleet's bus has the car's."""


class BusError(Exception):
    """Variables that name no two buses; says which one and what to do."""


class Bus(Enum):
    """One of the two, by the prefix of its variables."""

    OWN = "ROS_"
    """The car's: camera, labels, status, settings and its owner's services."""
    FLEET = "BIFT_FLEET_"
    """The fleet's: `/bift/…` and catch-up, which strangers may reach."""

    def variable(self, name: str) -> str:
        """Its variable of that name."""
        return f"{self.value}{name}"

    def ros_variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What ROS' own variables are for this bus where the environment is this.

        Raises BusError.
        """
        has_own = any(environment.get(self.variable(name)) for name in _SECURITY)
        sources = dict.fromkeys(_VARIABLES, self)
        sources |= dict.fromkeys(_SECURITY, self if has_own else Bus.OWN)
        found = {
            Bus.OWN.variable(name): environment[bus.variable(name)]
            for name, bus in sources.items()
            if environment.get(bus.variable(name))
        }
        found[Bus.OWN.variable(_DOMAIN)] = str(self._domain(environment))
        if self is Bus.OWN:
            found.setdefault(Bus.OWN.variable(_RANGE), "LOCALHOST")
        return found

    def _domain(self, environment: Mapping[str, str]) -> int:
        own = _number(Bus.OWN.variable(_DOMAIN), environment.get(Bus.OWN.variable(_DOMAIN)) or "0")
        if self is Bus.OWN:
            return own
        variable = self.variable(_DOMAIN)
        fleet = _number(variable, environment.get(variable) or str(own + 1))
        if fleet == own:
            raise BusError(
                f"{variable} and {Bus.OWN.variable(_DOMAIN)} are both {own}: the fleet's bus must "
                "not be the car's own; give another number"
            )
        return fleet

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The process' variables as those of this bus, for a context and its first node to be made.

        Raises BusError.
        """
        names = [Bus.OWN.variable(name) for name in (*_VARIABLES, *_SECURITY)]
        after = self.ros_variables(os.environ)
        before = {name: os.environ.get(name) for name in names}
        _set({name: after.get(name) for name in names})
        try:
            yield
        finally:
            _set(before)


def _number(variable: str, text: str) -> int:
    if text.isdecimal() and int(text) <= LAST_DOMAIN:
        return int(text)
    raise BusError(f"{variable} is {text!r:.40}: give a number from 0 to {LAST_DOMAIN}")


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
