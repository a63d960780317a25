"""Ed25519 keys, addresses and encrypted key files."""
