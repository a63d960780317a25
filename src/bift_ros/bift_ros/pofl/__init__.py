"""Proof of Federated Learning: fixed-point updates and bit-exact robust aggregation."""
