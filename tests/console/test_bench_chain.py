"""./bift bench chain: what it prints, not how fast anything is."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from bift_ros.benchmarks import chain
from bift_ros.consensus import envelopes, transactions
from bift_ros.console.main import main
from bift_ros.identity import keys


def call(*arguments: str) -> int:
    return main(["bench", "chain", *arguments])


def test_one_json_object_for_each_check_and_each_loading(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(chain, "TURNS", 2)
    assert call("--updates", "4", "--blocks", "6", "--json") == 0
    *checks, load, final = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert [check["bench"] for check in checks] == ["check new", "check known"]
    for check in checks:
        assert (check["updates"], check["signatures"]) == (4, 5)
        assert check["ratio"] == pytest.approx(check["ours_ms"] / check["bare_ms"], rel=0.01)
    assert (load["bench"], load["blocks"], load["transactions"]) == ("load", 6, 16)
    assert load["blocks_per_s"] > 0
    assert load["memory_mib"] >= 0
    assert load["side_block_ms"] > 0
    assert final["bench"] == "load final"
    assert final.keys() == load.keys()


def test_each_signature_that_is_to_be_checked_is(monkeypatch: pytest.MonkeyPatch) -> None:
    in_blocks: list[bytes] = []
    alone: list[bytes] = []

    def noted(checked: list[bytes]) -> Callable[[bytes, bytes, bytes], bool]:
        def verify(public_key: bytes, signature: bytes, message: bytes) -> bool:
            checked.append(signature)
            return keys.verify(public_key, signature, message)

        return verify

    monkeypatch.setattr(chain, "TURNS", 1)
    monkeypatch.setattr(transactions, "verify", noted(in_blocks))
    monkeypatch.setattr(envelopes, "verify", noted(alone))
    list(chain._check(4))
    # The proposal's block; then on all cores and on one, first with nothing heard before.
    assert len(in_blocks) == 1 + 2 * 5 + 2 * 1
    assert len(alone) == 2 * 4


@pytest.mark.parametrize("bad", [["--updates", "0"], ["--updates", "151"], ["--blocks", "1"]])
def test_numbers_that_make_no_sense_are_refused(
    bad: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*bad) == 2
    assert "bench chain" in capsys.readouterr().err
