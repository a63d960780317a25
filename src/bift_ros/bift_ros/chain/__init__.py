"""One vehicle's own: its tree of blocks, store, mempool, keyring, files, and how it checks them."""
