"""A fleet's description that is wrong: every mistake is told, with its line and the remedy."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bift_ros.attacks.registry import ATTACKS
from bift_ros.fleet.description.file import DescriptionError, load_description
from bift_ros.fleet.description.fleet import FleetDescription
from bift_ros.fleet.description.schema import fleet_schema
from bift_ros.pofl.aggregate import RULES


def errors(folder: Path, text: str, **overrides: Any) -> list[str]:
    """The messages, each after the file's name."""
    file = folder / "town.yaml"
    file.write_text(text)
    with pytest.raises(DescriptionError) as caught:
        load_description(file, **overrides)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{file}:") for line in lines)
    return [line.removeprefix(f"{file}:") for line in lines]


def test_all_mistakes_are_told_at_once_in_the_files_order(tmp_path: Path) -> None:
    text = """\
name: Town Hall
vehicles:
  - {}
  - mine: perhaps
    storrage: kubo
  - {}
  - malicious: flip
    memory: 1 gig
task:
  iterations: 0
  optimiser: adam
  learning_rate: .nan
policy: {rule: crumb}
network: {delay: 5}
"""
    assert errors(tmp_path, text) == [
        "1: name: 'Town Hall' is not a name of lower-case letters, digits, - and _",
        "4: vehicles.1.mine: 'perhaps' is not true or false",
        "5: vehicles.1.storrage: no such key; did you mean 'storage'?",
        "7: vehicles.3.malicious: no such attack 'flip'; choose one of " + ", ".join(ATTACKS),
        "8: vehicles.3.memory: '1 gig' is not a size such as 900MB or 1GB",
        "10: task.iterations: 0 is not a whole number from 1 to 100,000",
        "11: task.optimiser: no such key; did you mean 'optimizer'?",
        "12: task.learning_rate: nan is not a number from 1e-09 to 10.0",
        "13: policy.rule: no such rule 'crumb'; choose one of " + ", ".join(RULES),
        "14: network: no such key; there are " + ", ".join(sorted(fleet_schema()["properties"])),
    ]


def test_what_does_not_go_together_is_told_beside_other_mistakes(tmp_path: Path) -> None:
    text = (
        "task: {iterations: 0}\nvehicles: 2\nseed: 1\nseed: x\nmalicious: {attack: alie, count: 2}"
    )
    assert [line.partition(": ")[0] for line in errors(tmp_path, text)] == ["1", "4", "4", "5"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1: vehicles is missing: it is a number of vehicles from 1 to 1,000, or a list"),
        ("[]", "1: an empty list is not a mapping that describes a fleet"),
        ("5", "1: 5 is not a mapping that describes a fleet"),
        ("vehicles:", "1: vehicles: nothing is not a number of vehicles"),
        ("vehicles: 0", "1: vehicles: 0 is not a number of vehicles from 1 to 1,000"),
        ("vehicles: 3.0", "1: vehicles: 3.0 is not"),
        ("vehicles: true", "1: vehicles: true is not"),
        ("vehicles: []", "1: vehicles: an empty list is not a number of vehicles"),
        ("vehicles: [van]", "1: vehicles.0: 'van' is not a mapping of a vehicle's settings"),
        ("vehicles: 2\ndefaults: {network: {delay: 50}}", "2: defaults.network.delay: 50 is not"),
        ('vehicles: 2\ndefaults: {network: {delay: "5ms\\n"}}', "'5ms\\n' is not a time such as"),
        ("vehicles: 2\ndefaults: {network: {loss: 101%}}", "'101%' is not a share such as 1%"),
        ("vehicles: 2\ndefaults: {name: van}", "2: defaults.name: no such key"),
        ("vehicles: 2\nmalicious: {attack: alie}", "2: malicious: count is missing: it is a whole"),
        ("vehicles: 2\nmalicious: {count: 1}", "2: malicious: attack is missing: it is attack"),
        ("vehicles: 2\n7: seven", "2: 7: no such key"),
        (
            "vehicles: 2\ndiscovery: serve",
            "2: discovery: no such discovery 'serve'; choose one of multicast, server",
        ),
        ("vehicles: 2\nname: 2024-01-01", "2: name: datetime.date"),
    ],
)
def test_what_the_schema_refuses(tmp_path: Path, text: str, said: str) -> None:
    found = errors(tmp_path, text)
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vehicles: [{name: a}, {name: a}]", "1: vehicles.1.name: two vehicles are called a"),
        (
            "vehicles:\n  - {name: vehicle_01}\n  - {}",
            "3: vehicles.1.name: two vehicles are called vehicle_01: give one another name or none",
        ),
        (
            "vehicles: [{name: a, count: 2}]",
            "1: vehicles.0.name: two vehicles are called a: give one another name or none",
        ),
        (
            "vehicles: 3\nmalicious:\n  attack: alie\n  count: 3",
            "4: malicious.count: 3 attackers in a fleet of 3: leave an honest vehicle",
        ),
        (
            "vehicles: [{count: 1000}, {}]",
            "1: vehicles: 1001 are more than a chain has members: 1000",
        ),
        ("vehicles: [{malicious: alie}]", "1: vehicles: 1 attackers in a fleet of 1: leave"),
        ("vehicles: 2\ndefaults: {mine: false}", "1: vehicles: no vehicle mines: set mine: true"),
        (
            "vehicles: 2\ndefaults: {network: {jitter: 5ms}}",
            "2: defaults.network.jitter: varies a delay: give delay, too",
        ),
        (
            "vehicles: 2\ndefaults:\n  gpu_memory: 90MB",
            "3: defaults.gpu_memory: 90MB is too little: give 128MB or more",
        ),
        (
            "vehicles: [{camera: {}, bag: synthetic}]",
            "1: vehicles.0.camera: stands beside a bag: delete one of the two",
        ),
        (
            "vehicles: 2\ntask: {iterations: 9}\npolicy: {max_task_iterations: 8}",
            "2: task.iterations: 9 iterations, the policy allows 8",
        ),
        (
            "vehicles: 2\npolicy: {minimum_updates: 3}",
            "2: policy.minimum_updates: 3 updates can't come from 2 vehicles",
        ),
        (
            "vehicles: 2\ndefaults: {bag: nowhere}",
            "2: defaults.bag: no bag at {folder}/nowhere: make",
        ),
        (
            "vehicles: 2\ndefaults: {bag: no/*}",
            "2: defaults.bag: no bag at {folder}/no/*: make some",
        ),
        (
            "vehicles: 2\ndefaults: {bag: bags}",
            "2: defaults.bag: {folder}/bags is no bag: it has neither metadata.yaml nor .mcap; "
            "for the bags in it write bags/*",
        ),
        ("vehicles: 1\ndefaults: {bag: town.yaml}", "{folder}/town.yaml is no bag"),
        (
            "vehicles: 3\ndefaults:\n  bag: [bags/one]",
            "3: defaults.bag: 1 bags for 3 vehicles: make some with `bift bag synth` or "
            "`bift bag from-images`, or lower the number of vehicles",
        ),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bags" / "one").mkdir(parents=True)
    (tmp_path / "bags" / "one" / "ride.mcap").touch()
    found = errors(tmp_path, text)
    assert len(found) == 1
    assert said.replace("{folder}", str(tmp_path)) in found[0]


def test_a_command_cannot_ask_for_more_than_are_listed(tmp_path: Path) -> None:
    found = errors(tmp_path, "vehicles: [{}, {count: 2}]", vehicles=4)
    assert found == ["1: vehicles: 4 are asked for, but 3 are listed here"]
    found = errors(tmp_path, "vehicles: 3", vehicles=1001)
    assert found == ["1: vehicles: 1001 are more than a chain has members: 1000"]


def test_a_fleet_without_a_name_needs_one_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "My Town.yaml").write_text("vehicles: 2")
    with pytest.raises(
        DescriptionError, match=r"My Town.yaml:1: 'My Town' can't be the fleet's name: add"
    ):
        load_description(tmp_path / "My Town.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "vehicles: 2\nseed: 1\nseed: 2",
            "3: seed: stands twice: delete this or the one on line 2",
        ),
        ("vehicles: 2\ntask: {", "not YAML"),
        ("vehicles: 2\ntask: *nothing", "2: not YAML: found undefined alias"),
        ("vehicles: &v\n  - *v", "an alias inside of what it stands for"),
        ("vehicles: 2\n? [a]\n: 3", "2: not YAML: a key that is not a word"),
        ("vehicles: 2\nname: 2024-13-01", "'2024-13-01': month must be in 1..12; text goes into"),
        ("vehicles: !!python/object:os.system 2", "1: not YAML: could not determine a constructor"),
        ("vehicles: 2\n---\nvehicles: 3", "not YAML: but found another document"),
        ("vehicles: 2\x00", ": not YAML: special characters are not allowed"),
        ("[" * 500, "nested too deeply"),
    ],
)
def test_what_is_no_yaml(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "town.yaml"
    file.write_text(text)
    with pytest.raises(DescriptionError, match=re.escape(said)):
        load_description(file)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match=r"can't read .*nothing.yaml: No such file"):
        load_description(tmp_path / "nothing.yaml")
    (tmp_path / "latin.yaml").write_bytes("vehicles: 2 # Straße".encode("latin-1"))
    with pytest.raises(DescriptionError, match=r"latin.yaml is not UTF-8 text"):
        load_description(tmp_path / "latin.yaml")


def words(schema: Any = None) -> set[str]:
    """Every key and choice of the schema."""
    found: set[str] = set()
    for key, value in (schema or fleet_schema()).items():
        if key in ("properties", "$defs"):
            found |= set(value)
        found |= set(value) if key == "enum" else set()
        found |= words(value) if isinstance(value, dict) and value else set()
    return found


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 40), st.floats(), st.sampled_from(sorted(words())),
    st.sampled_from(["1GB", "5ms", "1%", "10mbit", "cpu", ""]), st.text(max_size=5),
)  # fmt: skip
KEYS = st.one_of(st.sampled_from(sorted(words())), st.text(max_size=3))
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inside: st.one_of(
        st.lists(inside, max_size=3), st.dictionaries(KEYS, inside, max_size=5)
    ),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {"vehicles": st.integers(1, 9) | DOCUMENTS},
        optional={name: DOCUMENTS for name in fleet_schema()["properties"] if name != "vehicles"},
    )
)
def test_any_document_is_a_fleet_or_is_told_why_not(
    tmp_path_factory: pytest.TempPathFactory, document: Any
) -> None:
    file = tmp_path_factory.getbasetemp() / f"any_{os.getpid()}.yaml"
    file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    try:
        assert isinstance(load_description(file), FleetDescription)
    except DescriptionError as error:
        for line in str(error).split(f"{file}:")[1:]:
            assert re.match(r"\d+: .", line)


@given(st.text())
def test_any_text_is_a_fleet_or_is_told_why_not(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.getbasetemp() / f"any_{os.getpid()}.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(DescriptionError):
        load_description(file)
