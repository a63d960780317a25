"""The paper's `with defend`: whether a fleet aggregates with a defence against malicious members.

In the paper each miner decides. Here every vehicle recomputes what a miner aggregated and refuses
what differs, so the rule is the fleet's: that of a task, or of the genesis where a task names none.
"""

from __future__ import annotations

import argparse

from bift_ros.console.errors import CommandError

NO_DEFENCE = "fedavg"
_DEFENCE = "robust"


def add_defence_arguments(parser: argparse._ActionsContainer, what: str) -> None:
    """`--with-defend` and `--no-defend`; the help says `what` they decide."""
    parser.add_argument(
        "--with-defend",
        dest="defend",
        action="store_true",
        default=None,
        help=f"{what} with a defence against malicious members",
    )
    parser.add_argument(
        "--no-defend",
        dest="defend",
        action="store_false",
        help=f"{what} by plain averaging, {NO_DEFENCE}",
    )


def rule_for(defend: bool | None, usual: str) -> str:
    """The aggregation rule that is meant, where the `usual` one is taken unless told otherwise."""
    if defend is None:
        return usual
    if not defend:
        return NO_DEFENCE
    return _DEFENCE if usual == NO_DEFENCE else usual


def check_miner(defend: bool | None, rule: str) -> None:
    """Refuse a miner that wants to aggregate otherwise than the fleet. Raises CommandError."""
    if defend is None or rule_for(defend, rule) == rule:
        return
    raise CommandError(
        f"this fleet's rule is {rule}, and every vehicle recomputes it: a block aggregated "
        "otherwise is refused, so a miner can't decide alone. Say so when the task is proposed "
        "(`bift node submit-model`, or --propose here), or for the whole fleet in "
        "`bift genesis create`"
    )
