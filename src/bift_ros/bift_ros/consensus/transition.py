"""The chain's rules as pure functions: a state, a block, and the state after it.

Modelled on `state_transition` of ethereum/execution-specs. Recomputing PoFL needs the updates'
files, so it stands apart in `model_check`; a block is valid when both agree.
"""

from __future__ import annotations

from bift_ros.consensus.authorship import check_authorship
from bift_ros.consensus.blocks import MAX_BLOCK_BYTES, Block, ModelInfo, lower_median
from bift_ros.consensus.exceptions import (
    BlockTooLarge,
    BodyMismatch,
    CommitsClosed,
    InvalidBlockTransaction,
    InvalidTransaction,
    MisplacedUpdate,
    NoGroupKey,
    TooFewCommits,
    TooFewUpdates,
    WrongDifficulty,
    WrongHeight,
    WrongModelInfo,
    WrongParent,
    WrongTimestamp,
)
from bift_ros.consensus.genesis import Genesis
from bift_ros.consensus.key_epochs import key_in_force
from bift_ros.consensus.payloads import (
    Learning,
    ModelCommit,
    ModelUpdate,
)
from bift_ros.consensus.state import Iteration, State, Task, changed, changed_task
from bift_ros.consensus.transaction_rules import apply_transaction, check_transaction
from bift_ros.consensus.transactions import Transaction


def state_transition(state: State, genesis: Genesis, block: Block, now_ms: int) -> State:
    """Check all of `block` but PoFL against its parent's `state`, and give the state after it.

    `now_ms` is the checker's clock, milliseconds since the Unix epoch. Raises a kind of
    InvalidBlock.
    """
    validate_header(state, genesis, block, now_ms)
    return apply_body(state, genesis, block)


def validate_header(parent: State, genesis: Genesis, block: Block, now_ms: int) -> None:
    """Refuse a block that does not follow `parent`, lacks work or signature, or is too large."""
    header = block.header
    policy = genesis.policy
    if header.previous_hash != parent.tip_hash:
        raise WrongParent(
            f"the parent is {header.previous_hash.hex()[:16]}…, not {parent.tip_hash.hex()[:16]}…"
        )
    if header.height != parent.height + 1:
        raise WrongHeight(f"height {header.height} after {parent.height}")
    if header.timestamp <= parent.timestamp:
        raise WrongTimestamp(f"stamped {header.timestamp}, not after {parent.timestamp}")
    if header.timestamp > now_ms + policy.max_clock_skew_ms:
        raise WrongTimestamp(
            f"stamped {header.timestamp - now_ms} ms ahead of this clock, more than "
            f"{policy.max_clock_skew_ms}"
        )
    if header.difficulty != policy.difficulty:
        raise WrongDifficulty(f"difficulty {header.difficulty}, not {policy.difficulty}")
    check_authorship(header, block.signature, genesis, parent.members)
    if header.body_hash != block.body.hash:
        raise BodyMismatch("the body is not the one that the header names")
    size = len(block.to_bytes())
    if size > MAX_BLOCK_BYTES:
        raise BlockTooLarge(f"{size} bytes, more than {MAX_BLOCK_BYTES}")


def apply_body(state: State, genesis: Genesis, block: Block) -> State:
    """Apply the transactions in order and, in a model block, end the iteration."""
    header, body = block.header, block.body
    if (body.model_info is not None) != bool(header.model_flag):
        raise WrongModelInfo("the model flag is 1 exactly where there is a model info")
    if header.model_flag and state.task is None:  # a proposal in this very block comes too late
        raise WrongModelInfo("a model block while no task is active")
    if header.model_flag and genesis.policy.encrypt_models and key_in_force(state) is None:
        raise NoGroupKey("a model block while its members have no key to encrypt the model with")
    parent = state
    state = changed(state, timestamp=header.timestamp)
    draft: _Draft | None = None
    weight = 0
    unwanted = ModelCommit if header.model_flag else ModelUpdate
    for position, tx in enumerate(body.transactions):
        if isinstance(tx.payload, unwanted):
            raise MisplacedUpdate(
                f"transaction {position}: a {tx.payload.KIND} in a block with "
                f"model_flag {header.model_flag}"
            )
        try:
            check_transaction(state, genesis, tx)
        except InvalidTransaction as error:
            raise InvalidBlockTransaction(f"transaction {position}: {error}") from error
        if not isinstance(tx.payload, Learning):
            state = apply_transaction(state, tx)
            continue
        if draft is None or state.task is not draft.task:
            assert state.task is not None, "checked before"
            draft = _Draft(state.task)
            state = changed(state, task=draft.task)
        weight += draft.note(tx.sender, tx.payload)
    learning = sum(isinstance(tx.payload, Learning) for tx in body.transactions)
    state = changed(state, learning_weight=state.learning_weight + weight)
    if body.model_info is not None:
        state = _end_iteration(state, genesis, body.model_info, body.transactions)
    elif learning:
        state = _take_commits(state, learning)
    elif header.timestamp < parent.timestamp + genesis.policy.plain_interval_ms:
        raise WrongTimestamp(
            f"a block without learning {header.timestamp - parent.timestamp} ms after its parent, "
            f"the policy wants {genesis.policy.plain_interval_ms}"
        )
    task = state.task
    if task is not None and not task.base_block:
        task = changed_task(task, base_block=header.hash)
    return changed(
        state,
        task=task,
        height=header.height,
        tip_hash=header.hash,
        work=parent.work + (2**header.difficulty if learning else 0),
    )


class _Draft:
    """A block's own copy of the task: each commit or update is noted without one more copy."""

    def __init__(self, task: Task) -> None:
        self._commitments, self._updates = dict(task.commitments), dict(task.updates)
        self.task = changed_task(task, commitments=self._commitments, updates=self._updates)

    def note(self, sender: str, payload: ModelCommit | ModelUpdate) -> bool:
        """Note what `apply_transaction` would; whether the sender counts anew."""
        known = sender in self._commitments or sender in self._updates
        if isinstance(payload, ModelCommit):
            self._commitments[sender] = payload.commitment
        else:
            self._updates[sender] = payload.cid
        return not known


def _take_commits(state: State, commits: int) -> State:
    """Let an iteration's commits in once, and again only where its reveals came to nothing.

    Reveals follow the block with the commits. Whoever could commit after it would have seen them.
    """
    task, policy = state.task, state.policy
    assert task is not None, "commits were checked against it"
    before = task.committed_at
    if before is None and commits < policy.minimum_updates:
        raise TooFewCommits(f"{commits} commits, the policy wants {policy.minimum_updates}")
    if before is not None and state.timestamp < before + policy.commit_retry_ms:
        raise CommitsClosed(
            f"commits {state.timestamp - before} ms after the iteration's first, more may come "
            f"after {policy.commit_retry_ms}"
        )
    return changed(state, task=changed_task(task, committed_at=state.timestamp))


def _end_iteration(
    state: State, genesis: Genesis, info: ModelInfo, transactions: tuple[Transaction, ...]
) -> State:
    """Check `info` as far as it goes without files, pay the contributors, move the task on."""
    task = state.task
    assert task is not None, "checked before"
    count, minimum = len(task.updates), genesis.policy.minimum_updates
    if count < minimum:
        raise TooFewUpdates(f"{count} updates, the policy wants {minimum}")
    _check_model_info(task, info, transactions)
    balances = dict(state.balances)
    for address in info.contributors:
        balances[address] += genesis.policy.reward
    entry = Iteration(
        info.current_iter, info.global_cid, info.accuracy, info.rule, info.contributors
    )
    task = Task(task.proposal, task.proposer, state.timestamp, (*task.history, entry))
    if task.finished:
        return changed(state, balances=balances, task=None, finished=(*state.finished, task))
    return changed(state, balances=balances, task=task)


def _check_model_info(task: Task, info: ModelInfo, transactions: tuple[Transaction, ...]) -> None:
    expected = {
        "model_id": task.model_id,
        "init_cid": task.proposal.init_cid,
        "total_iter": task.proposal.total_iter,
        "current_iter": task.current_iter + 1,
        "from_addr": task.proposer,
    }
    for name, value in expected.items():
        if getattr(info, name) != value:
            raise WrongModelInfo(f"{name} is {getattr(info, name)}, not {value}")
    strangers = set(info.contributors) - set(task.updates)
    if strangers:
        raise WrongModelInfo(f"contributors without an update: {', '.join(sorted(strangers))}")
    accuracy = claimed_accuracy(transactions, info.contributors)
    if info.accuracy != accuracy:
        raise WrongModelInfo(f"accuracy is {info.accuracy}, not {accuracy}")


def claimed_accuracy(transactions: tuple[Transaction, ...], contributors: tuple[str, ...]) -> float:
    """Give the lower median of the accuracies that the contributors' updates declare."""
    return lower_median(
        [
            tx.payload.accuracy
            for tx in transactions
            if isinstance(tx.payload, ModelUpdate) and tx.sender in contributors
        ]
    )
