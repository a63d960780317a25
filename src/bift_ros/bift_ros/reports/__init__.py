"""A finished run after the fact: what its folder holds, as data and as a page."""
