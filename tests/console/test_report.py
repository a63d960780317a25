"""`bift report` on runs whose chains are real: what the page holds, and that it fetches nothing."""

from __future__ import annotations

import json
import os
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="the room below needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.fleet.runtimes.folder import FleetFolder, FleetRecord, write_record
from bift_ros.fleet.runtimes.process_identity import ProcessIdentity

NAMES = ["vehicle_00", "vehicle_01", "vehicle_02"]


class Page(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta",):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def attributes(self) -> list[tuple[str, str]]:
        return [(name, value or "") for _, given in self.elements for name, value in given.items()]


def page_of(bift: Any, folder: Path) -> Page:
    result = bift("report", folder)
    assert result.code == 0, result.err
    assert result.out.strip() == str(folder / "report.html")
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def document_of(bift: Any, folder: Path) -> Any:
    result = bift("report", folder, "--json")
    assert result.code == 0, result.err
    return json.loads(result.out)


@pytest.fixture
def measured(built_chain: Any, tmp_path: Path) -> Any:
    """A demo's folder: what it has measured, its vehicle's parameters and its log."""
    cids = [i["global_cid"] for i in _iterations(built_chain)]
    report = {
        "global_cids": cids,
        "accuracy": [0.25, None],
        "seconds": [{"training": 3.0, "storage": 0.5, "consensus": 0.25}] * 2,
        "verified": {"vehicle_00": True},
        "peak_rss_mb": {"vehicle_00": 321},
        "wall_seconds": 12.5,
    }
    (tmp_path / "report.json").write_text(json.dumps(report))
    parameters = {"/vehicle_00/vehicle": {"ros__parameters": {"malicious": "label_flip"}}}
    (built_chain.data / "parameters.yaml").write_text(json.dumps(parameters))
    (built_chain.data / "vehicle.log").write_text(
        "[WARN] [1.5] [vehicle_00.peer]: refused block from vehicle_02: it is <b>late</b>\n"
    )
    return report


def _iterations(chain: Any) -> list[Any]:
    from bift_ros.chain.store import ChainStore
    from bift_ros.chain.verification import blocks_of
    from bift_ros.history.blocks import summary_of

    store = ChainStore(chain.data / "chain.sqlite", chain.genesis, read_only=True)
    try:
        models = (summary_of(block).model for block in blocks_of(store))
        return [vars(model) for model in models if model is not None]
    finally:
        store.close()


def test_a_chain_alone_tells_who_contributed(bift: Any, built_chain: Any, tmp_path: Path) -> None:
    run = document_of(bift, tmp_path)
    assert run["tip"] == built_chain.tip
    assert run["height"] == 3
    assert (run["agreed"], run["verified"]) == (True, True)
    first, second = run["iterations"]
    assert (first["number"], first["iteration"], first["total"]) == (1, 1, 2)
    assert first["rule"] == "multi_krum"
    assert sorted(first["contributors"] + first["left_out"]) == NAMES
    assert first["absent"] == []
    assert len(first["contributors"]) > 0
    assert first["seconds"] == 1.0  # between blocks, which the chain's maker stamps so
    for name in NAMES:
        earned = 20 * sum(name in i["contributors"] for i in (first, second))
        assert second["stakes"][name] == earned
    (vehicle,) = run["vehicles"]
    assert vehicle["verified"] is True
    assert vehicle["samples"] == 10  # as its last update says: it has no dataset here
    assert run["wall_seconds"] is None
    assert first["test_accuracy"] is first["parts"] is None
    told = " ".join(run["missing"])
    for what in ("Wall time", "held-out test set", "Memory", "Datasets", "no log of vehicle_00"):
        assert what in told


def test_a_page_shows_it_and_what_is_not_there(bift: Any, built_chain: Any, tmp_path: Path) -> None:
    page = page_of(bift, tmp_path)
    assert "Not in this run" in page.text
    assert built_chain.tip in page.text
    assert page.text.count("✓") - 2 == sum(  # the legend and a heading beside the marks
        len(i["contributors"]) for i in document_of(bift, tmp_path)["iterations"]
    )
    plots = {svg["aria-labelledby"].split("-title")[0] for svg in page.all("svg")}  # type: ignore[union-attr]
    assert plots == {"plot-accuracy", "plot-stakes", "plot-seconds", "plot-datasets", "plot-chain"}


def test_what_the_run_measured_is_told(bift: Any, measured: Any, tmp_path: Path) -> None:
    run = document_of(bift, tmp_path)
    first, second = run["iterations"]
    assert (first["test_accuracy"], second["test_accuracy"]) == (0.25, None)
    assert first["parts"] == measured["seconds"][0]
    assert run["wall_seconds"] == 12.5
    (vehicle,) = run["vehicles"]
    assert vehicle["peak_rss_mb"] == 321
    assert vehicle["attack"] == "label_flip"
    (refusal,) = run["refusals"]
    assert (refusal["sender"], refusal["what"], refusal["times"]) == ("vehicle_02", "block", 1)
    page = page_of(bift, tmp_path)
    assert "12.5 s" in page.text
    assert "25.0%" in page.text
    assert "(label_flip)" in page.text
    assert "it is <b>late</b>" in page.text  # as text: no element came of it
    assert page.all("b") == []


def test_a_page_fetches_nothing_and_runs_nothing(bift: Any, measured: Any, tmp_path: Path) -> None:
    page = page_of(bift, tmp_path)
    tags = {tag for tag, _ in page.elements}
    assert tags.isdisjoint({"script", "link", "img", "iframe", "object", "image", "form", "base"})
    for name, value in page.attributes:
        assert not name.startswith("on")
        assert "javascript:" not in value
        if name in ("src", "href", "xlink:href"):
            assert value.startswith("#")
        if "url(" in value:
            assert "url(#" in value
    style = (tmp_path / "report.html").read_text().split("</style>")[0]
    assert "@import" not in style
    assert "url(" not in style
    policies = [m["content"] for m in page.all("meta") if "http-equiv" in m]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_a_page_is_accessible(bift: Any, measured: Any, tmp_path: Path) -> None:
    page = page_of(bift, tmp_path)
    ids = Counter(value for name, value in page.attributes if name == "id")
    assert {name: number for name, number in ids.items() if number > 1} == {}
    references = [
        word
        for name, value in page.attributes
        if name in ("aria-labelledby", "href", "xlink:href")
        for word in value.split()
    ]
    assert {word.removeprefix("#") for word in references} <= set(ids)
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in heading for heading in page.all("th"))
    for svg in page.all("svg"):
        assert svg["role"] == "img"
        assert svg["aria-labelledby"]
    regions = [div for tag, div in page.elements if div.get("class") == "scroll"]
    assert all(region["tabindex"] == "0" and region["aria-label"] for region in regions)


def test_colours_are_the_style_sheets(bift: Any, measured: Any, tmp_path: Path) -> None:
    page = page_of(bift, tmp_path)
    styles = " ".join(value for name, value in page.attributes if name == "style")
    assert "var(--series-0)" in styles
    assert "#" not in styles.replace("url(#", "")
    sheet = (tmp_path / "report.html").read_text().split("</style>")[0]
    light, dark = sheet.split("@media (prefers-color-scheme: dark)")
    for name in ("text", "panel", "line", *(f"series-{n}" for n in range(8))):
        assert f"--{name}:" in light
        assert f"--{name}:" in dark


def test_the_same_run_gives_the_same_page(bift: Any, measured: Any, tmp_path: Path) -> None:
    bift("report", tmp_path, "-o", tmp_path / "one.html")
    bift("report", tmp_path, "-o", tmp_path / "two.html")
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_forks_disagreement_and_proofs_are_told(
    bift: Any, forked_chain: Any, tmp_path: Path
) -> None:
    run = document_of(bift, tmp_path)
    assert run["agreed"] is False
    assert run["verified"] is True
    assert [vehicle["height"] for vehicle in run["vehicles"]] == [2, 2]
    assert [block["on_chain"] for block in run["blocks"]] == [True, True, False]
    side = run["blocks"][-1]
    assert side["miner"] == "vehicle_02"
    assert side["previous_hash"] == run["blocks"][0]["hash"]
    assert run["equivocations"] == [{"miner": "vehicle_02", "height": 2, "held_by": ["vehicle_00"]}]
    page = page_of(bift, tmp_path)
    assert "not all agree" in page.text
    assert "1 on other branches" in page.text
    assert "vehicle_02 signed two blocks at height 2" in page.text


def test_a_chain_that_does_not_verify_is_named(bift: Any, built_chain: Any, tmp_path: Path) -> None:
    (built_chain.data / "storage" / "files" / built_chain.update_cids[0][1]).unlink()
    run = document_of(bift, tmp_path)
    assert run["verified"] is False
    assert run["vehicles"][0]["problem"].startswith("block 2: ")
    assert "not all valid" in page_of(bift, tmp_path).text


def test_a_vehicle_whose_chain_is_damaged_is_named(
    bift: Any, forked_chain: Any, tmp_path: Path
) -> None:
    path = forked_chain.data.with_name("vehicle_01") / "chain.sqlite"
    path.write_bytes(b"no database")
    run = document_of(bift, tmp_path)
    assert (run["agreed"], run["verified"]) == (False, False)
    assert "damaged" in run["vehicles"][1]["problem"]
    assert run["vehicles"][1]["tip"] is None


def test_a_fleet_is_read_once_it_is_down(bift: Any, built_chain: Any, tmp_path: Path) -> None:
    folder = FleetFolder(tmp_path / "town")
    write_record(folder, FleetRecord("town", "process", "town.yaml", ("vehicle_00",)))
    built_chain.data.parent.rename(folder.vehicles)
    run = document_of(bift, folder.root)
    assert (run["name"], run["verified"], len(run["iterations"])) == ("town", True, 2)
    running = {"environment": {}, "vehicles": {"vehicle_00": vars(ProcessIdentity.of(os.getpid()))}}
    (folder.root / "processes.json").write_text(json.dumps(running))
    result = bift("report", folder.root)
    assert result.code == 2
    assert "bift fleet down town --keep-data" in result.err


def test_a_folder_without_a_run_is_refused(bift: Any, tmp_path: Path) -> None:
    result = bift("report", tmp_path)
    assert result.code == 2
    assert f"{tmp_path} holds no run" in result.err


def test_a_run_without_a_readable_chain_is_refused(
    bift: Any, built_chain: Any, tmp_path: Path
) -> None:
    (built_chain.data / "chain.sqlite").write_bytes(b"no database")
    result = bift("report", tmp_path)
    assert result.code == 2
    assert "no chain in" in result.err
    assert "vehicle_00" in result.err


@pytest.mark.parametrize("text", ["{", "[]", '{"held": true}'])
def test_a_report_that_is_none_is_refused(
    bift: Any, built_chain: Any, tmp_path: Path, text: str
) -> None:
    (tmp_path / "report.json").write_text(text)
    result = bift("report", tmp_path)
    assert result.code == 2
    assert "report.json" in result.err
    assert "move it away" in result.err


def test_a_page_that_cannot_be_written_is_an_error(
    bift: Any, built_chain: Any, tmp_path: Path
) -> None:
    result = bift("report", tmp_path, "-o", tmp_path / "no" / "page.html")
    assert result.code == 2
    assert "No such file" in result.err
