"""What every member computes alike: the same bytes give the same result. A change is a fork.

All rules, formats and bounds are listed in `docs/specification.md`.
"""
