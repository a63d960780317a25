"""`./bift member vote|list`: who is in the consortium, and votes for others to join or leave."""

from __future__ import annotations

import argparse
from typing import Any

from bift_ros.consensus.exceptions import ChainError
from bift_ros.consensus.payloads import MembershipVote
from bift_ros.consensus.state import State
from bift_ros.console.arguments import Parser, add_vehicle_arguments, vehicle_name
from bift_ros.console.errors import CommandError
from bift_ros.console.keys import add_key_arguments, signing_key
from bift_ros.console.output import show, table
from bift_ros.console.read_chain import add_folder_arguments, stored_state
from bift_ros.console.vehicles import running_vehicle, submit


def add_arguments(parser: Parser) -> None:
    """Sub-commands and their options."""
    vote = parser.add_action(
        "vote",
        "Vote, as a member, for a vehicle to join the fleet or for a member to leave it.",
        _vote,
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
    vote.add_wait()
    vote.add_json()
    summary = "Print the members and the votes that are not decided, by a vehicle's chain."
    add_folder_arguments(parser.add_action("list", summary, _list))


def _vote(arguments: argparse.Namespace) -> None:
    try:
        vote = MembershipVote(arguments.change, arguments.name, bytes.fromhex(arguments.public_key))
    except (ValueError, ChainError) as error:
        raise CommandError(
            f"{arguments.public_key!r:.80} is no public key: it is 64 hex digits, as "
            "`bift account show` prints it"
        ) from error
    key = signing_key(arguments)
    with running_vehicle(arguments, key.address) as (vehicle, client):
        transaction = submit(client, vehicle, key, client.state(key.address), vote, "vote")
    said = {"id": transaction.hash.hex(), "action": vote.action, "name": vote.name}
    show(
        arguments.json,
        {**said, "vehicle": vehicle},
        f"{vehicle} passes the vote on: {vote.name} is to {vote.action}",
    )


def _list(arguments: argparse.Namespace) -> None:
    genesis, state = stored_state(arguments)
    members, ballots = _members(state), _ballots(state)
    tables = [
        table(
            f"Members of {genesis.name} at block {state.height}",
            ("name", "address", "public key", "stake"),
            (member.values() for member in members),
            right=("stake",),
        )
    ]
    if ballots:
        rows = (
            (
                ballot["name"],
                ballot["action"],
                ", ".join(ballot["voters"]),
                f"{len(ballot['voters'])}/{len(members)}",
                ballot["public_key"],
            )
            for ballot in ballots
        )
        headings = ("vehicle", "is to", "say", "of", "public key")
        tables.append(table("Votes not decided", headings, rows))
    document = {"height": state.height, "members": members, "ballots": ballots}
    show(arguments.json, document, *tables)


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
