"""Storage on Kubo, a real IPFS daemon."""
