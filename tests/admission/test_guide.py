"""The page on topics states the budgets that the gate has."""

from __future__ import annotations

from pathlib import Path

from bift_ros.admission.budgets import BLOCK_RATES, RESERVE, TIP_RATES, TRANSACTION_RATES
from bift_ros.admission.cdr import READABLE_BYTES
from bift_ros.chain.tips import MAX_TIP_BYTES
from bift_ros.consensus.blocks import MAX_BLOCK_BYTES
from bift_ros.consensus.transactions import MAX_GROUP_KEY_BYTES
from bift_ros.limits.token_bucket import Rate

PAGE = (Path(__file__).parents[2] / "docs" / "topics.md").read_text()
TEXT = " ".join(PAGE.split())


def bytes_text(count: float) -> str:
    for unit, size in ((" MB", 1e6), (" kB", 1e3)):
        if count >= size:
            return f"{count / size:.2g}{unit}" if count < 1e5 else f"{count / size:g}{unit}"
    return f"{count:g} bytes"


def rate_text(rate: Rate, of_bytes: bool = False) -> str:
    text = bytes_text if of_bytes else "{:g}".format
    return f"{text(rate.burst)}, {text(rate.a_second)}"


def test_the_page_has_every_budget() -> None:
    for kind, (messages, octets, doubts) in {
        "transactions": TRANSACTION_RATES,
        "blocks": BLOCK_RATES,
        "tips": TIP_RATES,
    }.items():
        row = [kind, rate_text(messages), rate_text(octets, of_bytes=True), rate_text(doubts)]
        assert f"| {' | '.join(row)} |" in PAGE
    assert f"of {RESERVE.burst:,} checks that all share and that gains {RESERVE.a_second:g}" in TEXT


def test_the_page_has_every_size() -> None:
    said = (
        f"a transaction has at most {MAX_GROUP_KEY_BYTES // 1000} kB, a block "
        f"{MAX_BLOCK_BYTES // 1000} kB, a tip {MAX_TIP_BYTES} bytes, and "
        f"{READABLE_BYTES // 1000} kB for people"
    )
    assert said in TEXT
