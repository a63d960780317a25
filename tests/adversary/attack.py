"""One attacker as a process: `python tests/adversary/attack.py NAME SECONDS TARGET.json`.

It runs in the variables of the fleet's ROS domains, as a stranger would.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from adversary import files, gateways, services, topics
from adversary.stranger import Attack, Target, attacking

ATTACKS: dict[str, Attack] = topics.ATTACKS | services.ATTACKS | gateways.ATTACKS | files.ATTACKS
BY_MEMBER = frozenset(("equivocating_miner", "wrong_clock", "talkative_member", *files.ATTACKS))
"""Those that take a member's key."""


def main(name: str, seconds: str, target: str) -> None:
    with attacking(Target.read(Path(target)), float(seconds)) as attacker:
        found = ATTACKS[name](attacker) or {}
        print(json.dumps({"sent": attacker.sent, **found}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
