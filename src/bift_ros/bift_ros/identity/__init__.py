"""Ed25519 keys, addresses, encrypted key files, and vehicles' names."""
