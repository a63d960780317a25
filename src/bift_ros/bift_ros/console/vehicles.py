"""Talking to running vehicles, with errors that tell what to do."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from bift_ros.consensus.exceptions import ChainError
from bift_ros.console.errors import CommandError
from bift_ros.nodes.client.vehicle_client import (
    VehicleClient,
    VehicleUnreachableError,
    find_vehicle,
)


@contextmanager
def asking() -> Iterator[None]:
    """Tell a person what went wrong with a vehicle, or with what it answered."""
    try:
        yield
    except (VehicleUnreachableError, ChainError) as error:
        raise CommandError(str(error)) from error


@contextmanager
def running_vehicle(
    arguments: argparse.Namespace, address: str = ""
) -> Iterator[tuple[str, VehicleClient]]:
    """The vehicle that the options name, or that of an address, or any; and a client of it.

    Raises CommandError.
    """
    with asking():
        name = arguments.vehicle or find_vehicle(address, arguments.wait)
        with VehicleClient(name, arguments.wait) as client:
            yield name, client
