"""The genesis: who is in the consortium and under which policy. It is the chain's block 0.

On disk it is a JSON file that a person can read and edit; its hash is that of its canonical
DAG-CBOR bytes, so layout and key order in the file don't matter.
"""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from bift_ros.consensus.encoding import encode, sha256
from bift_ros.consensus.exceptions import FieldError, GenesisError
from bift_ros.consensus.fields import check_bytes, check_float, check_integer, check_text
from bift_ros.identity.curve import is_sound
from bift_ros.identity.keys import PUBLIC_KEY_BYTES, address_of
from bift_ros.pofl.aggregate import RULES

MAX_MEMBERS = 1000
MAX_DIFFICULTY = 64
MODES = ("bift", "paper")
"""`bift`: commit–reveal. `paper`: updates are announced without commitment."""
RULE_OF_MODE = {"bift": "robust", "paper": "mixed_paper"}
"""The aggregation rule of a fleet in each mode, where nobody says another."""
_LABEL = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_FORMAT = "bift genesis 1"


@dataclass(frozen=True)
class Member:
    """One vehicle of the consortium."""

    name: str
    """What people call it; unique."""
    public_key: bytes
    """Its Ed25519 key, 32 bytes."""

    def __post_init__(self) -> None:
        check_text("name", self.name, _LABEL)
        check_bytes("public_key", self.public_key, PUBLIC_KEY_BYTES, PUBLIC_KEY_BYTES)

    @cached_property
    def address(self) -> str:
        """Its account."""
        return address_of(self.public_key)


@dataclass(frozen=True)
class Policy:
    """The rules that every member keeps."""

    difficulty: int = 16
    """Leading zero bits of a block hash; 16 is four hex digits, the paper's default."""
    update_wait_ms: int = 30_000
    """T_m: how long a miner waits for more updates after the last one, milliseconds."""
    minimum_updates: int = 2
    """The fewest updates that make a global model."""
    byzantine_fraction: float = 0.3
    """The share of an iteration's updates assumed malicious."""
    reward: int = 20
    """The stake paid to each contributor of an iteration (paper, section III)."""
    mode: str = "bift"
    """The consensus mode, one of `MODES`."""
    rule: str = "robust"
    """The aggregation rule of tasks whose proposer names no other."""
    max_clock_skew_ms: int = 30_000
    """How far ahead of the checker's clock a block may be stamped, milliseconds."""
    max_omitted_fraction: float = 0.34
    """A peer refuses a block that omits a larger share of the updates it had in good time."""
    plain_interval_ms: int = 1_000
    """The least time between a block without learning and its parent, milliseconds: nobody can
    flood the chain with transfers."""
    membership_threshold: float = 0.5
    """More than this share of the members must vote for another to join or leave."""
    task_timeout_ms: int = 1_800_000
    """A task that has finished no iteration for this long may be replaced by another proposal: its
    initial model may be one that nobody can have or read. Milliseconds."""

    encrypt_models: bool = False
    """Whether model and update files are encrypted for the members (see `key_epochs`)."""
    max_task_iterations: int = 10_000
    """The most iterations that a task may be proposed for."""
    account_burst: int = 16
    """How many transactions, commits and updates aside, a member may say at once on the chain."""
    account_interval_ms: int = 60_000
    """After how long it may say one more, milliseconds."""

    def __post_init__(self) -> None:
        if type(self.encrypt_models) is not bool:
            raise FieldError(f"encrypt_models: {self.encrypt_models!r:.60} is not true or false")
        check_integer("difficulty", self.difficulty, 0, MAX_DIFFICULTY)
        check_integer("update_wait_ms", self.update_wait_ms, 0)
        check_integer("minimum_updates", self.minimum_updates, 1, MAX_MEMBERS)
        check_float("byzantine_fraction", self.byzantine_fraction, 0.0, 0.5)
        check_integer("reward", self.reward, 0, 2**32)
        if self.mode not in MODES:
            raise FieldError(f"mode: {self.mode!r:.60} is not one of {', '.join(MODES)}")
        if self.rule not in RULES:
            raise FieldError(f"rule: {self.rule!r:.60} is not one of {', '.join(RULES)}")
        check_integer("max_clock_skew_ms", self.max_clock_skew_ms, 0)
        check_float("max_omitted_fraction", self.max_omitted_fraction, 0.0, 1.0)
        check_float("membership_threshold", self.membership_threshold, 0.0, 0.99)
        check_integer("plain_interval_ms", self.plain_interval_ms, 0)
        check_integer("task_timeout_ms", self.task_timeout_ms, 0)
        check_integer("max_task_iterations", self.max_task_iterations, 1)
        check_integer("account_burst", self.account_burst, 1)
        check_integer("account_interval_ms", self.account_interval_ms, 0)

    @property
    def commit_reveal(self) -> bool:
        """Whether an update counts only where its member committed to it before."""
        return self.mode == "bift"

    @property
    def commit_retry_ms(self) -> int:
        """How long after an iteration's commits more may follow: its reveals were too few."""
        return 2 * self.update_wait_ms

    def byzantine_among(self, updates: int) -> int:
        """Give `⌊byzantine_fraction × updates⌋`, with the fraction read as it is written.

        In floats 0.29 × 100 falls below 29; every member must count alike, so this is exact.
        """
        return math.floor(Fraction(repr(self.byzantine_fraction)) * updates)


@dataclass(frozen=True)
class Genesis:
    """Block 0: what all members agree on beforehand."""

    name: str
    """The chain's name, for people."""
    timestamp: int
    """When the chain begins, milliseconds since the Unix epoch."""
    members: tuple[Member, ...]
    """Whose keys count at first, in the file's order. Later ones get in by the members' vote."""
    policy: Policy
    """The rules."""

    def __post_init__(self) -> None:
        check_text("name", self.name, _LABEL)
        check_integer("timestamp", self.timestamp, 0)
        check_integer("the number of members", len(self.members), 1, MAX_MEMBERS)
        for what in ("name", "public_key"):
            values = [getattr(member, what) for member in self.members]
            if len(set(values)) < len(values):
                raise FieldError(f"members: two have the same {what}")
        if self.policy.minimum_updates > len(self.members):
            raise FieldError(
                f"minimum_updates: {self.policy.minimum_updates} can't come from "
                f"{len(self.members)} members"
            )
        for member in self.members:
            if not is_sound(member.public_key):
                raise FieldError(f"members: {member.name}'s public_key is no sound Ed25519 key")

    @cached_property
    def hash(self) -> bytes:
        """The previous hash of block 1, and what every signature is bound to."""
        members = [[member.name, member.public_key] for member in self.members]
        policy = [getattr(self.policy, field.name) for field in fields(Policy)]
        return sha256(encode([_FORMAT, self.name, self.timestamp, members, policy]))

    @cached_property
    def by_address(self) -> dict[str, Member]:
        """The founding members by their accounts, in the order of `members`."""
        return {member.address: member for member in self.members}

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every member's account, in the order of `members`."""
        return tuple(self.by_address)

    def member(self, address: str) -> Member | None:
        """Give the founding member with this address, or None."""
        return self.by_address.get(address)


def save_genesis(path: str | Path, genesis: Genesis) -> None:
    """Write `genesis` as JSON, whole or not at all; raises GenesisError."""
    path = Path(path)
    document = {
        "name": genesis.name,
        "timestamp": genesis.timestamp,
        "members": [
            {"name": member.name, "public_key": member.public_key.hex()}
            for member in genesis.members
        ],
        "policy": {f.name: getattr(genesis.policy, f.name) for f in fields(Policy)},
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise GenesisError(f"can't write the genesis file {path}: {error.strerror}") from error


def load_genesis(path: str | Path) -> Genesis:
    """Read a genesis file; raises GenesisError naming the file, the field and the fault."""
    path = Path(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise GenesisError(f"can't read the genesis file {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise GenesisError(f"the genesis file {path} is not JSON: {error}") from error
    try:
        top = _object(document, "the file", {"name", "timestamp", "members", "policy"})
        members = top["members"]
        if not isinstance(members, list):
            raise FieldError("members: not a list")
        names = {field.name for field in fields(Policy)}
        policy = _object(top["policy"], "policy", names, optional=True)
        # JSON writers drop the point of a whole number: 0 stands for 0.0 in these.
        for name in ("byzantine_fraction", "max_omitted_fraction", "membership_threshold"):
            if type(policy.get(name)) is int and abs(policy[name]) < 2**53:
                policy[name] = float(policy[name])  # anything larger is refused as it is
        return Genesis(
            top["name"],
            top["timestamp"],
            tuple(_member(item, i) for i, item in enumerate(members)),
            Policy(**policy),
        )
    except FieldError as error:
        raise GenesisError(f"the genesis file {path} is wrong: {error}") from error


def _member(item: Any, index: int) -> Member:
    entry = _object(item, f"members[{index}]", {"name", "public_key"})
    try:
        return Member(entry["name"], bytes.fromhex(entry["public_key"]))
    except (TypeError, ValueError) as error:
        raise FieldError(f"members[{index}]: public_key is not 64 hex digits") from error
    except FieldError as error:
        raise FieldError(f"members[{index}]: {error}") from error


def _object(value: Any, where: str, names: set[str], optional: bool = False) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FieldError(f"{where}: not a JSON object")
    unknown, missing = set(value) - names, names - set(value)
    if unknown:
        raise FieldError(f"{where}: unknown {', '.join(sorted(unknown)):.200}")
    if missing and not optional:
        raise FieldError(f"{where}: lacks {', '.join(sorted(missing))}")
    return dict(value)
