"""Documented, repeatable experiments on the same code as the vehicles."""
