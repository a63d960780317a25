"""`./bift genesis create`: the members and the policy of a new fleet."""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

from bift_ros.consensus.exceptions import ChainError
from bift_ros.consensus.genesis import MODES, RULE_OF_MODE, Genesis, Member, Policy, save_genesis
from bift_ros.console.arguments import Parser
from bift_ros.console.defence import add_defence_arguments, rule_for
from bift_ros.console.errors import CommandError, reporting
from bift_ros.console.output import show
from bift_ros.identity.vehicle_names import is_vehicle_name
from bift_ros.pofl.aggregate import RULES


def add_arguments(parser: Parser) -> None:
    """Sub-commands and their options."""
    summary = "Write a genesis file; every vehicle of the fleet needs the same one."
    create = parser.add_action("create", summary, _create)
    policy = Policy()
    create.add_argument("file", type=Path, help="the genesis file (JSON)")
    create.add_argument(
        "--member",
        action="append",
        required=True,
        metavar="NAME=PUBLIC_KEY",
        help="a vehicle's name (its ROS namespace) and public key in hex, as `bift account show` "
        "prints it; repeat for each",
    )
    create.add_argument("--name", default="bift-fleet", help="of the chain (%(default)s)")
    create.add_argument(
        "--difficulty", type=int, default=policy.difficulty, help="zero bits (%(default)s)"
    )
    create.add_argument(
        "--update-wait",
        type=_seconds,
        default=policy.update_wait_ms / 1000,
        metavar="SECONDS",
        help="T_m: wait for more updates after the last one (%(default)s)",
    )
    create.add_argument(
        "--minimum-updates", type=int, default=policy.minimum_updates, help="(%(default)s)"
    )
    create.add_argument(
        "--byzantine-fraction",
        type=float,
        default=policy.byzantine_fraction,
        help="share of malicious members to withstand (%(default)s)",
    )
    create.add_argument("--reward", type=int, default=policy.reward, help="stake (%(default)s)")
    create.add_argument(
        "--mode",
        choices=MODES,
        default=policy.mode,
        help="consensus mode: commit and reveal, or as in the paper (%(default)s)",
    )
    rule = create.add_mutually_exclusive_group()
    rule.add_argument(
        "--rule", choices=RULES, help="(robust; in the consensus mode paper: mixed_paper)"
    )
    add_defence_arguments(rule, "aggregate")
    create.add_argument(
        "--encrypt-models",
        action="store_true",
        help="encrypt model and update files for the members (docs/privacy.md)",
    )
    create.add_json()


def _create(arguments: argparse.Namespace) -> None:
    if arguments.file.exists():
        raise CommandError(f"{arguments.file} exists: a chain's genesis never changes")
    with reporting(ChainError, OSError):
        policy = Policy(
            difficulty=arguments.difficulty,
            update_wait_ms=round(arguments.update_wait * 1000),
            minimum_updates=arguments.minimum_updates,
            byzantine_fraction=arguments.byzantine_fraction,
            reward=arguments.reward,
            mode=arguments.mode,
            rule=arguments.rule or rule_for(arguments.defend, RULE_OF_MODE[arguments.mode]),
            encrypt_models=arguments.encrypt_models,
        )
        members = tuple(_member(text) for text in arguments.member)
        genesis = Genesis(arguments.name, time.time_ns() // 1_000_000, members, policy)
        save_genesis(arguments.file, genesis)
    made = {"file": str(arguments.file), "hash": genesis.hash.hex(), "rule": policy.rule}
    show(
        arguments.json,
        {**made, "members": [member.name for member in members]},
        f"{arguments.file}: {len(members)} members, genesis hash {genesis.hash.hex()}",
    )


def _member(text: str) -> Member:
    name, _, key = text.partition("=")
    if not is_vehicle_name(name):
        raise CommandError(
            f"--member {text!r}: a name is also a ROS namespace: letters, digits and "
            "underscores, the first a letter"
        )
    try:
        return Member(name, bytes.fromhex(key))
    except ValueError as error:
        raise CommandError(f"--member {text!r}: the key is not hex digits") from error
    except ChainError as error:
        raise CommandError(f"--member {text!r}: {error}") from error


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no time to wait")
    return value
