"""Talking to running vehicles, with errors that tell what to do."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from bift_ros.consensus.exceptions import ChainError
from bift_ros.consensus.payloads import Payload
from bift_ros.consensus.transactions import Transaction, sign_transaction
from bift_ros.console.errors import CommandError, reporting
from bift_ros.identity.keys import KeyPair
from bift_ros.nodes.client.vehicle_client import (
    StateAnswer,
    VehicleClient,
    VehicleUnreachableError,
    find_vehicle,
)


def asking() -> AbstractContextManager[None]:
    """Tell a person what went wrong with a vehicle, or with what it answered."""
    return reporting(VehicleUnreachableError, ChainError)


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


def submit(
    client: VehicleClient,
    vehicle: str,
    key: KeyPair,
    state: StateAnswer,
    payload: Payload,
    what: str,
) -> Transaction:
    """Sign a payload as what follows in `state`, and have the vehicle pass it on.

    Raises CommandError where it refuses `what` this is.
    """
    transaction = sign_transaction(key, state.next_sequence, payload, state.genesis_hash)
    refusal = client.submit(transaction)
    if refusal:
        remedy = "; give another with --task" if "has the name" in refusal else ""
        raise CommandError(f"{vehicle} refused the {what}: {refusal}{remedy}")
    return transaction
