"""Transactions, blocks, state, proof of work, fork choice, the store and the mempool."""
