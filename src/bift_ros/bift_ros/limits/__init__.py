"""How much others may have: token buckets, and what is built of them."""
