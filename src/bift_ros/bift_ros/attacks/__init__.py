"""Attacks on federated learning behind one interface, for experiments and for real fleets."""
