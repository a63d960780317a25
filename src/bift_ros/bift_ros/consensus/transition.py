"""The chain's rules as pure functions: a state, a block, and the state after it.

Modelled on `state_transition` of ethereum/execution-specs. Recomputing PoFL needs the updates'
files, so it stands apart in `model_check`; a block is valid when both agree.
"""

from __future__ import annotations

from bift_ros.consensus.attendance import after_iteration
from bift_ros.consensus.authorship import check_authorship
from bift_ros.consensus.blocks import MAX_BLOCK_BYTES, Block, ModelInfo, lower_median
from bift_ros.consensus.exceptions import (
    BlockTooLarge,
    BodyMismatch,
    InvalidBlock,
    InvalidBlockTransaction,
    InvalidTransaction,
    WrongModel,
    WrongTimestamp,
)
from bift_ros.consensus.genesis import Genesis
from bift_ros.consensus.key_epochs import key_in_force
from bift_ros.consensus.payloads import (
    Learning,
    ModelCommit,
    ModelUpdate,
)
from bift_ros.consensus.state import Iteration, State, Task, changed, changed_task, without_task
from bift_ros.consensus.transaction_rules import apply_transaction, check_transaction
from bift_ros.consensus.transactions import Transaction, check_together


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
        raise InvalidBlock(
            f"the parent is {header.previous_hash.hex()[:16]}…, not {parent.tip_hash.hex()[:16]}…"
        )
    if header.height != parent.height + 1:
        raise InvalidBlock(f"height {header.height} after {parent.height}")
    if header.timestamp <= parent.timestamp:
        raise WrongTimestamp(f"stamped {header.timestamp}, not after {parent.timestamp}")
    if header.timestamp > now_ms + policy.max_clock_skew_ms:
        raise WrongTimestamp(
            f"stamped {header.timestamp - now_ms} ms ahead of this clock, more than "
            f"{policy.max_clock_skew_ms}"
        )
    if header.difficulty != policy.difficulty:
        raise InvalidBlock(f"difficulty {header.difficulty}, not {policy.difficulty}")
    check_authorship(header, block.signature, genesis, parent.members)
    if header.body_hash != block.body.hash:
        raise BodyMismatch("the body is not the one that the header names")
    size = len(block.to_bytes())
    if size > MAX_BLOCK_BYTES:
        raise BlockTooLarge(f"{size} bytes, more than {MAX_BLOCK_BYTES}")


def apply_body(parent: State, genesis: Genesis, block: Block) -> State:
    """Apply the transactions in order, and what a block of this kind does beside."""
    header = block.header
    check_together(block.body.transactions, genesis, parent.members)
    if (block.body.model_info is not None) != bool(header.model_flag):
        raise WrongModel("the model flag is 1 exactly where there is a model info")
    state = _end_cancelled_task(_APPLY[block.learning](parent, genesis, block))
    task = state.task
    if task is not None and not task.base_block:
        task = changed_task(task, base_block=header.hash)
    work = 0 if block.learning is None else 2**header.difficulty
    return changed(
        state, task=task, height=header.height, tip_hash=header.hash, work=parent.work + work
    )


def _end_cancelled_task(state: State) -> State:
    """End the task where enough members are against it; what its block learned still counts."""
    task = state.task
    if task is None or not task.opponents:
        return state
    standing = sum(voter in state.members for voter in task.opponents)
    if standing <= state.policy.membership_threshold * len(state.members):
        return state
    return without_task(state, task)


def _apply_plain_block(parent: State, genesis: Genesis, block: Block) -> State:
    """Only accounts speak; nobody can flood the chain with such blocks."""
    state = _apply_transactions(parent, genesis, block)
    elapsed = block.header.timestamp - parent.timestamp
    if elapsed < genesis.policy.plain_interval_ms:
        raise WrongTimestamp(
            f"a block without learning {elapsed} ms after its parent, the policy wants "
            f"{genesis.policy.plain_interval_ms}"
        )
    return state


def _apply_commit_block(parent: State, genesis: Genesis, block: Block) -> State:
    """Let an iteration's commits in once, and again only where its reveals came to nothing.

    Reveals follow the block with the commits. Whoever could commit after it would have seen them.
    """
    state = _apply_transactions(parent, genesis, block)
    task, policy = state.task, genesis.policy
    assert task is not None, "commits were checked against it"
    commits = sum(isinstance(tx.payload, ModelCommit) for tx in block.body.transactions)
    before = task.committed_at
    if before is None and commits < policy.minimum_updates:
        raise InvalidBlock(f"{commits} commits, the policy wants {policy.minimum_updates}")
    if before is not None and state.timestamp < before + policy.commit_retry_ms:
        raise InvalidBlock(
            f"commits {state.timestamp - before} ms after the iteration's first, more may come "
            f"after {policy.commit_retry_ms}"
        )
    return changed(state, task=changed_task(task, committed_at=state.timestamp))


def _apply_model_block(parent: State, genesis: Genesis, block: Block) -> State:
    """End the iteration: check the outcome as far as it goes without files, and pay for it."""
    if parent.task is None:  # a proposal in this very block comes too late
        raise WrongModel("a model block while no task is active")
    if genesis.policy.encrypt_models and key_in_force(parent) is None:
        raise InvalidBlock("a model block while its members have no key to encrypt the model with")
    state = _apply_transactions(parent, genesis, block)
    task, info = state.task, block.body.model_info
    assert task is not None, "checked before"
    assert info is not None, "checked before"
    count, minimum = len(task.updates), genesis.policy.minimum_updates
    if count < minimum:
        raise InvalidBlock(f"{count} updates, the policy wants {minimum}")
    _check_model_info(task, info, block.body.transactions)
    balances = dict(state.balances)
    for address in info.contributors:
        balances[address] += genesis.policy.reward
    entry = Iteration(
        info.current_iter, info.global_cid, info.accuracy, info.rule, info.contributors
    )
    missed = after_iteration(state, task.updates)
    task = Task(task.proposal, task.proposer, state.timestamp, entry, opponents=task.opponents)
    state = changed(state, balances=balances, task=task, missed=missed)
    return without_task(state, task) if task.finished else state


_APPLY = {
    None: _apply_plain_block,
    ModelCommit: _apply_commit_block,
    ModelUpdate: _apply_model_block,
}


def _apply_transactions(state: State, genesis: Genesis, block: Block) -> State:
    """Check and apply the transactions, and count the members who contribute to learning."""
    state = changed(state, timestamp=block.header.timestamp)
    draft: _Draft | None = None
    weight = 0
    unwanted = ModelCommit if block.header.model_flag else ModelUpdate
    for position, tx in enumerate(block.body.transactions):
        if isinstance(tx.payload, unwanted):
            raise InvalidBlock(
                f"transaction {position}: a {tx.payload.KIND} in a block with "
                f"model_flag {block.header.model_flag}"
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
    return changed(state, learning_weight=state.learning_weight + weight)


class _Draft:
    """A block's own copy of the task: each commit or update is noted without one more copy."""

    def __init__(self, task: Task) -> None:
        self._commitments, self._updates = dict(task.commitments), dict(task.updates)
        self.task = changed_task(task, commitments=self._commitments, updates=self._updates)

    def note(self, sender: str, payload: ModelCommit | ModelUpdate) -> bool:
        """Note a commit or update; whether its sender adds to the branch's learning weight.

        Each member counts once an iteration, whether it commits, updates, or does both.
        """
        known = sender in self._commitments or sender in self._updates
        if isinstance(payload, ModelCommit):
            self._commitments[sender] = payload.commitment
        else:
            self._updates[sender] = payload.cid
        return not known


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
            raise WrongModel(f"{name} is {getattr(info, name)}, not {value}")
    strangers = set(info.contributors) - set(task.updates)
    if strangers:
        raise WrongModel(f"contributors without an update: {', '.join(sorted(strangers))}")
    accuracy = claimed_accuracy(transactions, info.contributors)
    if info.accuracy != accuracy:
        raise WrongModel(f"accuracy is {info.accuracy}, not {accuracy}")


def claimed_accuracy(transactions: tuple[Transaction, ...], contributors: tuple[str, ...]) -> float:
    """Give the lower median of the accuracies that the contributors' updates declare."""
    return lower_median(
        [
            tx.payload.accuracy
            for tx in transactions
            if isinstance(tx.payload, ModelUpdate) and tx.sender in contributors
        ]
    )
