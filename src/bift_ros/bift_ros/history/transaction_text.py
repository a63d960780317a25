"""Transactions as people and machines read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from bift_ros.consensus.group_key import GroupKey
from bift_ros.consensus.payloads import (
    CancelTask,
    DoubleVote,
    MembershipVote,
    ModelCommit,
    ModelUpdate,
    Payload,
    ProposeTask,
    ShareFile,
    Transfer,
    WithdrawFile,
)
from bift_ros.consensus.transactions import Transaction

NameOf = Callable[[str], str]
"""Gives what people call the owner of an address."""

KINDS = {
    "transfer": "transfer",
    "propose_task": "task",
    "model_commit": "commit",
    "model_update": "update",
    "membership_vote": "vote",
    "share_file": "share",
    "withdraw_file": "withdrawal",
    "group_key": "key",
    "cancel_task": "cancellation",
    "double_vote": "evidence",
}
"""What a table calls each kind of payload."""


def transaction_object(transaction: Transaction, name_of: NameOf) -> dict[str, Any]:
    """A transaction as JSON has it; bytes are hex digits."""
    payload = transaction.payload
    return {
        "id": transaction.hash.hex(),
        "sender": transaction.sender,
        "sender_name": name_of(transaction.sender),
        "sequence": transaction.sequence,
        "kind": payload.KIND,
        "payload": {f.name: _plain(getattr(payload, f.name)) for f in fields(payload)},
        "signature": transaction.signature.hex(),
    }


def says(payload: Payload, name_of: NameOf) -> str:
    """What a payload says, in a few words."""
    match payload:
        case Transfer(recipient, amount):
            return f"gives {amount} to {name_of(recipient)}"
        case ProposeTask():
            return f"proposes the task {payload.model_id}, {payload.total_iter} iterations"
        case ModelCommit():
            return f"commits to an update of {payload.model_id}, iteration {payload.iteration}"
        case ModelUpdate():
            return f"updates {payload.model_id}, iteration {payload.iteration}: {payload.cid}"
        case MembershipVote(action, name, _):
            return f"votes for {name} to {action}"
        case ShareFile():
            return f"shares {payload.name}: {payload.cid}"
        case WithdrawFile(name):
            return f"withdraws {name}"
        case GroupKey():
            return "gives the members a key for model files"
        case CancelTask(model_id):
            return f"votes for the task {model_id} to end"
        case DoubleVote():
            return f"proves that {name_of(payload.accused)} voted twice"


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value
