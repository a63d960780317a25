"""One reading of a chain's history: branches, iterations, who contributed and who did not and why.

A stored chain and the blocks that an observer hears are read alike.
"""
