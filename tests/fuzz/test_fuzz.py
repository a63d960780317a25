"""A short fuzz run for CI; `run.py` beside this does the long one with the same targets."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bift_ros.consensus.encoding import MAX_DEPTH, byte_strings, decode, encode
from bift_ros.consensus.exceptions import BadBlockSignature, BadSignature, MissingWork
from bift_ros.consensus.payloads import Payload, ShareFile
from fuzz import corpus, mutators
from fuzz.targets import TARGETS, Target, inputs_in

RUN = Path(__file__).with_name("run.py")
ALL = list(TARGETS)
DECODERS = [name for name in ALL if name not in ("peer", "tree", "vehicle")]
scalars = (
    st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=40)
    | st.booleans() | st.none() | st.floats(allow_nan=False, allow_infinity=False)
)  # fmt: skip


def lists(depth: int) -> st.SearchStrategy[Any]:
    return scalars if depth == 0 else scalars | st.lists(lists(depth - 1), max_size=5)


@pytest.mark.parametrize("name", ALL)
def test_what_the_mutators_start_from_is_valid(name: str) -> None:
    target = TARGETS[name]
    accepted = [target.run(seed) for seed in target.seeds()]
    assert accepted.count(False) == (name == "update")  # one of whose files is another task's


@pytest.mark.parametrize("name", ALL)
def test_mutated_inputs_are_refused_or_right(name: str) -> None:
    target, rng = TARGETS[name], Random(name)
    wanted = {"peer": 2_000, "vehicle": 2_000, "tree": 300, "block": 500, "signed_block": 500}.get(
        name, 2_000
    )
    done = accepted = 0
    while done < wanted:
        data = target.make(rng)[:1_500]
        accepted += target.run(data)
        done += inputs_in(target, data)
    assert accepted < done or name in ("peer", "vehicle"), (
        "nothing was refused: the mutators do nothing"
    )


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=60)
@given(data=st.data())
def test_anything_is_refused_or_right(name: str, data: st.DataObject) -> None:
    target = TARGETS[name]
    start = data.draw(st.binary(max_size=300) | st.sampled_from(target.seeds()))
    rng = data.draw(st.randoms(use_true_random=False))
    seed = Random(rng.getrandbits(32))
    for _ in range(data.draw(st.integers(0, 3))):
        start = target.mutate(seed, start)
    target.run(start)


@given(lists(MAX_DEPTH))
def test_every_value_has_its_bytes_and_no_others(value: Any) -> None:
    data = encode(value)
    assert decode(data) == value
    assert mutators.fold(mutators.unfold(data)) == data


def test_every_way_to_forge_a_transaction_is_refused() -> None:
    target, rng = TARGETS["signed_transaction"], Random(0)
    genesis, foreign = corpus.world().genesis.hash, bytes(range(32))
    originals = [said.to_bytes() for said in corpus.transactions()]
    forgeries = {mutators.forge_transaction(rng, rng.choice(originals), genesis, foreign)
                 for _ in range(300)}  # fmt: skip
    assert len(forgeries) > 50
    assert not any(target.run(forgery) for forgery in forgeries)
    assert all(target.run(original) for original in originals)


@pytest.mark.parametrize("name", DECODERS)
def test_no_decoder_takes_memory_that_its_input_does_not_pay_for(name: str) -> None:
    """A short input that claims a great length must not be believed."""
    target, rng = TARGETS[name], Random(f"memory {name}")
    claims = [bytes((head,)) + size for head in (0x5B, 0x7B, 0x9B, 0x81)
              for size in (b"\x7f" + b"\xff" * 7, (2**32).to_bytes(8, "big"))]  # fmt: skip
    claims += [(2**40).to_bytes(8, "little") + b"{}", b"\x0a" + b"\xff" * 8 + b"\x7f"]
    inputs = [*target.seeds(), *claims, *(target.make(rng) for _ in range(100))]
    for data in inputs:
        target.run(data)  # what is made once and kept is no input's fault
    tracemalloc.start()
    try:
        for data in inputs:
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            target.run(data)
            _, peak = tracemalloc.get_traced_memory()
            assert peak - before < 200_000 + 100 * len(data), data[:64].hex()
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_a_peer_stays_under_its_caps_however_long_it_goes_on() -> None:
    TARGETS["peer"].run(Random(1).randbytes(3 * 6_000))


def campaign(tmp_path: Path, *flags: str) -> dict[str, Any]:
    command = [sys.executable, str(RUN), "--json", "--crashes", str(tmp_path / "crashes"), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0, result
    return result


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris has no wheel for this Python or machine",
)
def test_atheris_finds_nothing(tmp_path: Path) -> None:
    result = campaign(tmp_path, "--engine", "atheris", "--inputs", "20000")
    assert result["inputs"] >= 20_000
    assert result["crashes"] == 0
    assert result["memory_bounded"]


def left_in(folder: str) -> set[Path]:
    return set(Path(folder).glob("bift-fuzz-*"))


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris has no wheel here")
def test_a_campaign_leaves_no_folder(tmp_path: Path) -> None:
    before = {folder: left_in(folder) for folder in (tempfile.gettempdir(), "/dev/shm")}
    campaign(tmp_path, "--engine", "atheris", "--inputs", "200", "--targets", "genesis")
    assert {folder: left_in(folder) for folder in before} == before


def test_a_campaign_counts_its_inputs(tmp_path: Path) -> None:
    flags = ("--engine", "mutators", "--inputs", "3000", "--targets", "encoding,cid")
    result = campaign(tmp_path, *flags)
    assert 3_000 <= result["inputs"] == sum(result["targets"].values()) < 3_010
    assert set(result["targets"]) == {"encoding", "cid"}


def test_a_crash_is_saved_once_for_each_place_and_replays(tmp_path: Path) -> None:
    from argparse import Namespace

    from fuzz.worker import Recorder, run_mutators

    def check(data: bytes) -> None:
        if data[:1] == b"\xff":
            raise IndexError(data[0])

    def make(rng: Random) -> bytes:
        return rng.randbytes(2)

    target = Target("brittle", check, (), lambda: [b"ok"], make, mutators.flip, 1.0)
    args = Namespace(
        target="brittle", engine="mutators", inputs=3_000, seconds=0,
        crashes=str(tmp_path / "crashes"), status=str(tmp_path / "status.json"),
    )  # fmt: skip
    recorder = Recorder(target, inputs_in, args)
    run_mutators(target, recorder, seed=0)
    recorder.report(finished=True)
    result = json.loads((tmp_path / "status.json").read_text())
    assert result["inputs"] == 3_000
    assert result["crashes"] > 1
    assert result["distinct_crashes"] == 1
    saved, reason = sorted((tmp_path / "crashes").iterdir())
    assert "IndexError" in reason.read_text()
    with pytest.raises(IndexError):
        target.run(saved.read_bytes())


def _unchecked(*_: Any) -> None:
    """A check that somebody forgot."""


def _never(*_: Any) -> bool:
    return False


def _narrow(said: Payload) -> None:
    """What only a member's signed words can lead to."""
    if isinstance(said, ShareFile) and said.size >= 2**32:
        raise OverflowError(said.size)


def raised_by(target: Target, inputs: list[bytes]) -> set[type[Exception]]:
    found: set[type[Exception]] = set()
    for data in inputs:
        try:
            target.run(data)
        except Exception as error:
            found.add(type(error))
    return found


@pytest.mark.parametrize(
    ("place", "fault", "raised"),
    [
        ("bift_ros.chain.tips.check_signed", _unchecked, BadSignature),
        ("bift_ros.consensus.transactions.check_signed", _unchecked, BadSignature),
        ("bift_ros.admission.gate.check_miner_signature", _unchecked, BadBlockSignature),
        ("bift_ros.admission.gate.check_work", _unchecked, MissingWork),
        ("bift_ros.admission.known.Known.is_replay", _never, AssertionError),
        ("bift_ros.consensus.payloads.ShareFile.__post_init__", _narrow, OverflowError),
    ],
    ids=["tip", "transaction", "block", "work", "replay", "behind the signature"],
)  # fmt: skip
def test_the_fuzzer_finds_a_planted_fault(
    monkeypatch: pytest.MonkeyPatch, place: str, fault: Any, raised: type[Exception]
) -> None:
    target, rng = TARGETS["arrival"], Random(1)
    target.seeds()
    monkeypatch.setattr(place, fault)
    assert raised_by(target, [target.make(rng) for _ in range(5_000)]) == {raised}


def _believing(data: bytes, most: int) -> list[bytes]:
    items = byte_strings(data, 2**32)
    return [items[number] for number in range(min(most, len(items) + 1))]


@pytest.mark.skipif("vehicle" not in TARGETS, reason="needs ROS 2: run `make setup`")
@pytest.mark.parametrize(
    ("place", "fault", "raised"),
    [
        ("bift_ros.peer.owner_requests.OwnerCheck.check", _unchecked, AssertionError),
        ("bift_ros.consensus.transactions.check_signed", _unchecked, BadSignature),
        ("bift_ros.admission.answers.byte_strings", _believing, IndexError),
    ],
    ids=["owner", "transaction", "answers"],
)
def test_a_fault_planted_in_a_vehicle_is_found(
    monkeypatch: pytest.MonkeyPatch, place: str, fault: Any, raised: type[Exception]
) -> None:
    monkeypatch.setattr(place, fault)
    target, rng = TARGETS["vehicle"], Random(1)
    assert raised_by(target, [target.make(rng) for _ in range(80)]) == {raised}
