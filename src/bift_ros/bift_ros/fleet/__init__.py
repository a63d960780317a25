"""A fleet's description, and the processes made from it."""
