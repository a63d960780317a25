"""`bift chain show|verify` on a real chain, whole and damaged."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest


def file_of(chain: Any, cid: str) -> Path:
    """Where a one-chunk file lies in the vehicle's store."""
    path: Path = chain.data / "storage" / "files" / cid
    assert path.exists()
    return path


def test_a_sound_chain_verifies(bift: Any, built_chain: Any) -> None:
    result = bift("chain", "verify", "--data", built_chain.data)
    assert result.code == 0
    assert "valid: 3 blocks, PoFL recomputed for 2" in result.out


def test_verify_speaks_json(bift: Any, built_chain: Any) -> None:
    result = bift("chain", "verify", "--data", built_chain.data, "--json")
    assert result.code == 0
    outcome = json.loads(result.out)
    assert outcome["valid"] is True
    assert outcome["problem"] is None
    assert outcome["height"] == 3
    assert outcome["tip"] == built_chain.tip
    assert outcome["model_blocks"] == 2
    assert set(outcome["balances"]) == {"vehicle_00", "vehicle_01", "vehicle_02"}
    assert sum(outcome["balances"].values()) == outcome["rewards_paid"] > 0


def test_show_prints_the_blocks(bift: Any, built_chain: Any) -> None:
    result = bift("chain", "show", "--data", built_chain.data)
    assert result.code == 0
    assert built_chain.genesis.hash.hex()[:12] in result.out
    assert built_chain.tip[:8] in result.out


def test_show_speaks_json(bift: Any, built_chain: Any) -> None:
    result = bift("chain", "show", "--data", built_chain.data, "--json")
    assert result.code == 0
    shown = json.loads(result.out)
    assert shown["genesis"] == built_chain.genesis.hash.hex()
    assert [b["index"] for b in shown["blocks"]] == [1, 2, 3]
    assert [b["transactions"] for b in shown["blocks"]] == [
        {"propose_task": 1}, {"model_update": 3}, {"model_update": 3}
    ]  # fmt: skip
    first, second, third = shown["blocks"]
    assert first["model_info"] is None
    assert first["miner"] == "vehicle_00"
    assert second["model_info"]["current_iter"] == 1
    assert third["model_info"]["rule"] == "multi_krum"
    assert set(third["model_info"]["contributors"]) <= {f"vehicle_{i:02d}" for i in range(3)}
    fared = third["model_info"]["contributors"] + third["model_info"]["left_out"]
    assert sorted(fared) == [f"vehicle_{i:02d}" for i in range(3)]
    assert third["model_info"]["not_revealed"] == []
    assert third["hash"] == built_chain.tip


def test_the_genesis_may_lie_elsewhere(bift: Any, built_chain: Any, tmp_path: Path) -> None:
    moved = (built_chain.data.parent / "genesis.json").replace(tmp_path / "other.json")
    result = bift("chain", "verify", "--data", built_chain.data)
    assert result.code == 2
    assert "give --genesis FILE" in result.err
    assert bift("chain", "verify", "--data", built_chain.data, "--genesis", moved).code == 0


@pytest.mark.parametrize("iteration", [1, 2])
def test_a_missing_update_fails_and_names_the_block(
    bift: Any, built_chain: Any, iteration: int
) -> None:
    cid = built_chain.update_cids[iteration - 1][1]
    file_of(built_chain, cid).unlink()
    result = bift("chain", "verify", "--data", built_chain.data, "--json")
    assert result.code == 1
    outcome = json.loads(result.out)
    assert outcome["valid"] is False
    assert outcome["problem"].startswith(f"block {iteration + 1}: ")
    assert cid in outcome["problem"]
    assert outcome["model_blocks"] == iteration - 1


def test_a_damaged_update_fails_and_names_the_block(bift: Any, built_chain: Any) -> None:
    cid = built_chain.update_cids[0][2]
    path = file_of(built_chain, cid)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    result = bift("chain", "verify", "--data", built_chain.data)
    assert result.code == 1
    assert "NOT valid: block 2: " in result.out
    assert "damaged" in result.out


def test_a_chain_without_any_storage_fails(bift: Any, built_chain: Any) -> None:
    shutil.rmtree(built_chain.data / "storage")
    result = bift("chain", "verify", "--data", built_chain.data)
    assert result.code == 1
    assert "block 2" in result.out


def test_a_damaged_database_is_refused_with_the_remedy(bift: Any, built_chain: Any) -> None:
    path = built_chain.data / "chain.sqlite"
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    for action in ("show", "verify"):
        result = bift("chain", action, "--data", built_chain.data)
        assert result.code == 2
        assert "damaged" in result.err
        assert "rebuilds it" in result.err
    assert path.read_bytes()[4096:8192] == b"\xff" * 4096  # reading changes nothing


def test_another_fleets_genesis_is_refused(bift: Any, built_chain: Any, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    public = json.loads(bift("account", "create", key, "--no-passphrase", "--json").out)
    other = tmp_path / "other.json"
    member = f"car={public['public_key']}"
    created = bift("genesis", "create", other, "--member", member, "--minimum-updates", 1)
    assert created.code == 0, created.err
    result = bift("chain", "verify", "--data", built_chain.data, "--genesis", other)
    assert result.code == 2
    assert "belongs to another chain" in result.err


def test_a_folder_without_a_chain_is_refused(bift: Any, tmp_path: Path) -> None:
    result = bift("chain", "show", "--data", tmp_path)
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert str(tmp_path) in result.err


def test_one_block_is_shown_with_all_it_carries(bift: Any, built_chain: Any) -> None:
    result = bift("chain", "show", 3, "--data", built_chain.data, "--json")
    assert result.code == 0, result.err
    block = json.loads(result.out)
    assert block["hash"] == built_chain.tip
    assert [tx["payload"]["cid"] for tx in block["transactions"]] == list(
        built_chain.update_cids[1]
    )
    assert {tx["sender_name"] for tx in block["transactions"]} == {
        "vehicle_00", "vehicle_01", "vehicle_02",
    }  # fmt: skip
    plain = bift("chain", "show", 3, "--data", built_chain.data).out
    assert built_chain.tip in plain
    assert "multi_krum" in plain
    for height in (0, 4):
        beyond = bift("chain", "show", height, "--data", built_chain.data)
        assert beyond.code == 2
        assert "blocks 1 to 3" in beyond.err


def test_a_chain_is_exported_whole(bift: Any, built_chain: Any, tmp_path: Path) -> None:
    file = tmp_path / "chain.json"
    result = bift("chain", "export", "--data", built_chain.data, "-o", file)
    assert (result.code, result.out.strip()) == (0, str(file)), result.err
    exported = json.loads(file.read_text())
    assert exported["genesis"] == built_chain.genesis.hash.hex()
    assert exported["members"] == {m.address: m.name for m in built_chain.genesis.members}
    first, second, third = exported["blocks"]
    assert first["previous_hash"] == exported["genesis"]
    assert (second["previous_hash"], third["previous_hash"]) == (first["hash"], second["hash"])
    assert first["transactions"][0]["payload"]["learning_rate"] == 0.01
    assert third["model_info"]["current_iter"] == 2
    again = bift("chain", "export", "--data", built_chain.data, "-o", file)
    assert again.code == 2
    assert "exists" in again.err
    nowhere = bift("chain", "export", "--data", built_chain.data, "-o", tmp_path / "no" / "file")
    assert nowhere.code == 2
    assert "No such file" in nowhere.err


def test_a_chain_is_exported_as_a_table(bift: Any, built_chain: Any) -> None:
    result = bift("chain", "export", "--data", built_chain.data, "--format", "csv")
    assert result.code == 0, result.err
    rows = list(csv.DictReader(result.out.splitlines()))
    assert [row["index"] for row in rows] == ["1", "2", "3"]
    assert [row["model_update"] for row in rows] == ["0", "3", "3"]
    assert rows[0]["iteration"] == ""
    assert rows[2]["hash"] == built_chain.tip
    assert (rows[2]["rule"], rows[2]["iteration"]) == ("multi_krum", "2")
    assert len((rows[2]["contributors"] + " " + rows[2]["left_out"]).split()) == 3


def test_a_chain_is_exported_as_a_graph(bift: Any, built_chain: Any) -> None:
    graph = bift("chain", "export", "--data", built_chain.data, "--format", "dot").out
    assert graph.startswith("digraph chain {")
    assert graph.count("->") == 3
    assert "lights 2/2, multi_krum" in graph
    assert "dashed" not in graph
    check_dot(graph)


def test_forks_are_exported(bift: Any, forked_chain: Any) -> None:
    export = ("chain", "export", "--data", forked_chain.data, "--format")
    document = json.loads(bift(*export, "json").out)
    (other,) = document["other_branches"]
    first, second = document["blocks"]
    assert other["previous_hash"] == second["previous_hash"] == first["hash"]
    assert other["miner_name"] == "vehicle_02"
    graph = bift(*export, "dot").out
    lines = [line for line in graph.splitlines() if "dashed" in line]
    assert len(lines) == 2
    assert all(other["hash"] in line for line in lines)
    assert f'"{other["hash"]}" -> "{first["hash"]}"' in graph
    check_dot(graph)
    rows = list(csv.DictReader(bift(*export, "csv").out.splitlines()))
    assert [row["hash"] for row in rows] == [first["hash"], second["hash"]]


DOT_STRING = r'"(?:[^"\\]|\\.)*"'
DOT_STATEMENT = re.compile(
    rf"  (?:rankdir=RL|node \[shape=box\]|{DOT_STRING}(?: -> {DOT_STRING})?"
    rf" \[(?:\w+=(?:\w+|{DOT_STRING}) ?)+\]);"
)


def check_dot(graph: str) -> None:
    """Read a graph as Graphviz does: by Graphviz where it is, and by the part of it we write."""
    head, *statements, end = graph.splitlines()
    assert (head, end) == ("digraph chain {", "}")
    assert [line for line in statements if not DOT_STATEMENT.fullmatch(line)] == []
    dot = shutil.which("dot")
    if dot is not None:
        subprocess.run([dot, "-Tsvg"], input=graph, text=True, check=True, capture_output=True)


def test_a_folder_or_a_vehicle(bift: Any, built_chain: Any) -> None:
    result = bift("chain", "show", "--data", built_chain.data, "--vehicle", "car")
    assert result.code == 2
    assert "not allowed with" in result.err
