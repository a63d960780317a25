"""When a transaction may stand on the chain, and what it does there."""

from __future__ import annotations

from bift_ros.consensus.account_budget import check_budget, spend
from bift_ros.consensus.double_votes import apply_double_vote, check_double_vote
from bift_ros.consensus.exceptions import (
    DuplicateLearning,
    InsufficientBalance,
    InvalidTransaction,
    NotYetValid,
    SequenceUsed,
    StaleIteration,
    UnknownSender,
)
from bift_ros.consensus.genesis import Genesis
from bift_ros.consensus.group_key import GroupKey
from bift_ros.consensus.key_epochs import apply_group_key
from bift_ros.consensus.membership import apply_vote, check_vote
from bift_ros.consensus.payloads import (
    CancelTask,
    DoubleVote,
    Learning,
    MembershipVote,
    ModelCommit,
    ModelUpdate,
    ProposeTask,
    ShareFile,
    Transfer,
    WithdrawFile,
    commitment_of,
)
from bift_ros.consensus.sharing import apply_share, check_share
from bift_ros.consensus.state import State, Task, changed, changed_task, without_task
from bift_ros.consensus.transactions import Transaction, check_signature


def check_transaction(state: State, genesis: Genesis, tx: Transaction) -> None:
    """Refuse what may not come next on the chain; raises a kind of InvalidTransaction."""
    check_signature(tx, genesis, state.members)
    check_sequence(state, tx)
    check_budget(state, tx)
    check_payload(state, tx)


def check_sequence(state: State, tx: Transaction) -> None:
    """Refuse all but the sender's next sequence number, or of learning the iteration."""
    if isinstance(tx.payload, Learning):
        if tx.sequence != tx.payload.iteration:
            raise InvalidTransaction(
                f"sequence {tx.sequence} of a {tx.payload.KIND} for iteration "
                f"{tx.payload.iteration}: the two must be equal"
            )
        return
    expected = state.next_sequence(tx.sender)
    if tx.sequence < expected:
        raise SequenceUsed(f"sequence {tx.sequence} of {tx.sender} is used, {expected} is next")
    if tx.sequence > expected:
        raise NotYetValid(f"sequence {tx.sequence} of {tx.sender} is early, {expected} is next")


def check_payload(state: State, tx: Transaction) -> None:
    """Refuse what `state` does not allow, the sequence number aside."""
    payload = tx.payload
    if tx.sender not in state.members:
        if tx.sender not in state.sequences:
            raise NotYetValid(f"the sender {tx.sender} has not joined on this branch")
        raise UnknownSender(f"the sender {tx.sender} is no member any more")
    if isinstance(payload, Learning):  # nearly all of them
        task = check_round(state, payload)
        if isinstance(payload, ModelUpdate):
            _check_update(task, tx.sender, payload, state.policy.commit_reveal)
        else:
            _check_commit(task, tx.sender, payload, state.policy.commit_reveal)
    elif isinstance(payload, Transfer):
        if payload.recipient not in state.balances:
            raise InvalidTransaction(f"the recipient {payload.recipient} is not a member")
        if payload.amount > state.balances[tx.sender]:
            raise InsufficientBalance(
                f"{tx.sender} owns {state.balances[tx.sender]} and wants to give {payload.amount}"
            )
    elif isinstance(payload, ProposeTask):
        if state.task is not None and not _replaceable(state, state.task):
            raise InvalidTransaction(
                f"the task {state.task.model_id} is active; propose again after it"
            )
        active = state.task is not None and state.task.model_id == payload.model_id
        if active or payload.model_id in state.finished:
            raise InvalidTransaction(f"an earlier task has the name {payload.model_id}")
        most = state.policy.max_task_iterations
        if payload.total_iter > most:
            raise InvalidTransaction(f"{payload.total_iter} iterations, the policy allows {most}")
    elif isinstance(payload, CancelTask):
        _check_cancellation(state, tx.sender, payload)
    elif isinstance(payload, DoubleVote):
        check_double_vote(state, payload)
    elif isinstance(payload, MembershipVote):
        check_vote(state, tx.sender, payload)
    elif isinstance(payload, ShareFile):
        check_share(state, tx.sender, payload)
    elif isinstance(payload, GroupKey) and not state.policy.encrypt_models:
        raise InvalidTransaction("this chain's model files are not encrypted")


def _replaceable(state: State, task: Task) -> bool:
    return task.last is None and state.timestamp - task.since >= state.policy.task_timeout_ms


def _check_cancellation(state: State, voter: str, vote: CancelTask) -> None:
    task = state.task
    if task is None or task.model_id != vote.model_id:
        raise InvalidTransaction(f"no task {vote.model_id} is active")
    if voter in task.opponents:
        raise InvalidTransaction(f"{voter} has voted to cancel {vote.model_id} already")


def check_round(state: State, payload: Learning) -> Task:
    """Refuse a commit or update unless its task, iteration and base are going on."""
    if payload.model_id in state.finished:
        raise StaleIteration(f"the task {payload.model_id} is finished")
    task = state.task
    if task is None or task.model_id != payload.model_id:
        raise NotYetValid(f"no task {payload.model_id} is active")
    expected = task.current_iter + 1
    if payload.iteration < expected:
        raise StaleIteration(f"iteration {payload.iteration} is over, {expected} is going on")
    if payload.iteration > expected:
        raise NotYetValid(f"iteration {payload.iteration} is early, {expected} is going on")
    if payload.base_cid != task.global_cid:
        raise NotYetValid(f"trained from {payload.base_cid}, not from {task.global_cid}")
    return task


def _check_commit(task: Task, sender: str, commit: ModelCommit, committed: bool) -> None:
    if not committed:
        raise InvalidTransaction("this chain runs without commit–reveal")
    if sender in task.commitments:
        raise DuplicateLearning(f"{sender} has committed in iteration {commit.iteration}")
    if commit.base_block != task.base_block:
        raise NotYetValid("the commitment is for another branch with the same model")


def _check_update(task: Task, sender: str, update: ModelUpdate, committed: bool) -> None:
    if sender in task.updates:
        raise DuplicateLearning(f"{sender} has an update in iteration {update.iteration} already")
    # A copy must not earn a second reward, and the contributors are told apart by their CIDs.
    if update.cid in task.updates.values():
        raise DuplicateLearning(f"the update {update.cid} of {sender} is another member's too")
    if not committed:
        return
    commitment = task.commitments.get(sender)
    if commitment is None:
        raise NotYetValid(f"{sender} has not committed in iteration {update.iteration}")
    if commitment != commitment_of(update.cid, update.salt, sender):
        raise InvalidTransaction(f"{sender} reveals another update than it committed to")


def apply_transaction(state: State, tx: Transaction) -> State:
    """Give the state after an account's `tx`, which has passed `check_transaction`.

    What commits and updates do is their block's: see `transition`.
    """
    payload = tx.payload
    assert not isinstance(payload, Learning), "it is no part of the account's order"
    sequences = {**state.sequences, tx.sender: tx.sequence + 1}
    state = changed(state, sequences=sequences, full_at=spend(state, tx))
    if isinstance(payload, Transfer):
        balances = dict(state.balances)
        balances[tx.sender] -= payload.amount
        balances[payload.recipient] += payload.amount
        return changed(state, balances=balances)
    if isinstance(payload, MembershipVote):
        return apply_vote(state, tx.sender, payload)
    if isinstance(payload, ShareFile | WithdrawFile):
        return apply_share(state, tx.sender, payload)
    if isinstance(payload, GroupKey):
        return apply_group_key(state, tx, payload)
    if isinstance(payload, DoubleVote):
        return apply_double_vote(state, payload)
    if isinstance(payload, CancelTask):
        assert state.task is not None, "checked before"
        opponents = state.task.opponents | {tx.sender}
        return changed(state, task=changed_task(state.task, opponents=opponents))
    if state.task is not None:
        state = without_task(state, state.task)
    return changed(state, task=Task(payload, tx.sender, since=state.timestamp))
