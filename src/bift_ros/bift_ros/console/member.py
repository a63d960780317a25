"""`./bift member vote|list`: who is in the consortium, and votes for others to join or leave."""

from __future__ import annotations

import argparse
import json
from typing import Any

from rich.console import Console
from rich.table import Table

from bift_ros.consensus.exceptions import ChainError
from bift_ros.consensus.payloads import MembershipVote
from bift_ros.consensus.state import State
from bift_ros.consensus.transactions import sign_transaction
from bift_ros.console.arguments import add_vehicle_arguments, add_wait_argument, vehicle_name
from bift_ros.console.errors import CommandError
from bift_ros.console.keys import add_key_arguments, signing_key
from bift_ros.console.stored_chain import add_data_arguments, stored_state
from bift_ros.console.vehicles import running_vehicle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sub-commands and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    summary = "Vote, as a member, for a vehicle to join the fleet or for a member to leave it."
    vote = actions.add_parser(
        "vote",
        help=summary,
        description=summary,
        epilog="The change is made once more members than the genesis' threshold have voted.",
    )
    vote.add_argument("change", choices=("join", "leave"))
    vote.add_argument(
        "name", type=vehicle_name, metavar="NAME", help="of the vehicle, which is its ROS namespace"
    )
    vote.add_argument(
        "public_key", metavar="PUBLIC_KEY", help="in hex, as `bift account show` prints it"
    )
    add_key_arguments(vote, "the voting member's (default: the only account)")
    add_vehicle_arguments(vote, "passes it on")
    add_wait_argument(vote)
    vote.add_argument("--json", action="store_true", help="for machines")
    summary = "Print the members and the votes that are not decided, by a vehicle's chain."
    add_data_arguments(actions.add_parser("list", help=summary, description=summary))


def main(arguments: argparse.Namespace) -> int:
    """Vote or list."""
    return _vote(arguments) if arguments.action == "vote" else _list(arguments)


def _vote(arguments: argparse.Namespace) -> int:
    try:
        vote = MembershipVote(arguments.change, arguments.name, bytes.fromhex(arguments.public_key))
    except (ValueError, ChainError) as error:
        raise CommandError(
            f"{arguments.public_key!r:.80} is no public key: it is 64 hex digits, as "
            "`bift account show` prints it"
        ) from error
    key = signing_key(arguments)
    with running_vehicle(arguments, key.address) as (vehicle, client):
        state = client.state(key.address)
        transaction = sign_transaction(key, state.next_sequence, vote, state.genesis_hash)
        refusal = client.submit(transaction)
    if refusal:
        raise CommandError(f"{vehicle} refused the vote: {refusal}")
    if arguments.json:
        said = {"id": transaction.hash.hex(), "action": vote.action, "name": vote.name}
        print(json.dumps({**said, "vehicle": vehicle}))
    else:
        print(f"{vehicle} passes the vote on: {vote.name} is to {vote.action}")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    genesis, state = stored_state(arguments)
    members, ballots = _members(state), _ballots(state)
    if arguments.json:
        print(json.dumps({"height": state.height, "members": members, "ballots": ballots}))
        return 0
    table = Table(title=f"Members of {genesis.name} at block {state.height}", title_justify="left")
    for heading in ("name", "address", "public key"):
        table.add_column(heading, overflow="fold")
    table.add_column("stake", justify="right")
    for member in members:
        table.add_row(*(str(value) for value in member.values()))
    Console().print(table)
    if ballots:
        table = Table(title="Votes not decided", title_justify="left")
        for heading in ("vehicle", "is to", "say", "of", "public key"):
            table.add_column(heading, overflow="fold")
        for ballot in ballots:
            table.add_row(
                ballot["name"],
                ballot["action"],
                ", ".join(ballot["voters"]),
                f"{len(ballot['voters'])}/{len(members)}",
                ballot["public_key"],
            )
        Console().print(table)
    return 0


def _members(state: State) -> list[dict[str, Any]]:
    return [
        {
            "name": member.name,
            "address": address,
            "public_key": member.public_key.hex(),
            "stake": state.balances[address],
        }
        for address, member in state.members.items()
    ]


def _ballots(state: State) -> list[dict[str, Any]]:
    """The votes that still count: those of members."""
    return [
        {
            "action": vote.action,
            "name": vote.name,
            "public_key": vote.public_key.hex(),
            "voters": sorted(state.members[v].name for v in voters if v in state.members),
        }
        for vote, voters in state.ballots.items()
    ]
