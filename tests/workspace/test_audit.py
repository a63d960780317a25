"""What is known of the packages that Bift is built of, and what is not known."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import audit_dependencies as audit
import pytest
from audit_dependencies import Package, SourceError

ACCEPTED = audit.ROOT / "requirements" / "accepted.txt"
NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)
AIOHTTP = Package("PyPI", "aiohttp", "3.9.1")
ADVISORY = {
    "id": "PYSEC-2024-26",
    "aliases": ["CVE-2024-23829", "GHSA-8qpw-xqxj-h4r2"],
    "modified": "2026-05-20T20:20:18Z",
    "details": "Too lenient a parser.",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "aiohttp"},
            "ranges": [
                {"type": "GIT", "events": [{"introduced": "0"}, {"fixed": "33ccdfb"}]},
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.9.2"}]},
            ],
            "versions": ["3.9.0"],
        }
    ],
}


def ranged(*events: dict[str, str]) -> dict[str, Any]:
    return {"ranges": [{"type": "SEMVER", "events": list(events)}]}


@pytest.mark.parametrize(
    ("version", "events", "affected"),
    [
        ("1.2.3", [{"introduced": "0"}], True),
        ("0.0.0-20200101000000-abcdef", [{"introduced": "0"}, {"fixed": "0.1.0"}], True),
        ("0.54.0", [{"introduced": "0"}, {"fixed": "0.0.0-20200101000000-abcdef"}], False),
        ("1.2.3", [{"introduced": "1.0.0"}, {"fixed": "1.2.3"}], False),
        ("1.2.3-rc.1", [{"introduced": "1.0.0"}, {"fixed": "1.2.3"}], True),
        ("1.2.3-rc.10", [{"introduced": "1.2.3-rc.2"}, {"fixed": "1.2.3"}], True),
        ("1.2.3", [{"introduced": "1.0.0"}, {"last_affected": "1.2.3"}], True),
        ("1.2.4", [{"introduced": "1.0.0"}, {"last_affected": "1.2.3"}], False),
        ("2.1.0", [{"introduced": "0"}, {"fixed": "1.5.0"}, {"introduced": "2.0.0"}], True),
        ("1.6.0", [{"fixed": "1.5.0"}, {"introduced": "2.0.0"}, {"introduced": "0"}], False),
    ],
)
def test_versions_within_an_advisorys_ranges(
    version: str, events: list[dict[str, str]], affected: bool
) -> None:
    assert audit.is_affected(Package("Go", "x", version), ranged(*events)) is affected


@pytest.mark.parametrize(
    ("version", "affected"), [("3.9.0", True), ("3.9.1", True), ("3.9.2rc1", True), ("3.10", False)]
)
def test_versions_of_python_packages(version: str, affected: bool) -> None:
    assert audit.is_affected(AIOHTTP._replace(version=version), ADVISORY["affected"][0]) is affected


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.json").write_text(json.dumps(ADVISORY))
    (tmp_path / "b.json").write_text(json.dumps({**ADVISORY, "id": "X", "withdrawn": "2024"}))
    (tmp_path / "c.yaml").write_text("id: Y\nother: 1\n")
    return tmp_path


def no_service(packages: object) -> list[audit.Finding]:
    raise SourceError("no service")


def test_a_folder_of_advisories_is_searched(folder: Path) -> None:
    found, unknown = audit.audit([AIOHTTP], [folder], no_service, NOW)
    assert [(f.package, f.advisory) for f in found] == [(AIOHTTP, "PYSEC-2024-26 = CVE-2024-23829")]
    assert unknown == {}


def test_what_a_folder_says_nothing_of_is_not_checked(folder: Path) -> None:
    kubo = Package("Go", "github.com/ipfs/kubo", "0.43.0")
    found, unknown = audit.audit([AIOHTTP, kubo], [folder], no_service, NOW)
    assert len(found) == 1
    assert list(unknown) == ["Go"]
    assert "no advisories" in unknown["Go"][0]


def test_an_old_collection_does_not_count(folder: Path) -> None:
    later = datetime(2026, 8, 1, tzinfo=timezone.utc)
    found, unknown = audit.audit([AIOHTTP], [folder], no_service, later)
    assert len(found) == 1
    assert "of 2026-05-20" in unknown["PyPI"][0]


class Service(BaseHTTPRequestHandler):
    """Answers as OSV does."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        known = {"vulns": [{"id": ADVISORY["id"], "modified": "x"}]}
        self.answer({"results": [known if q["version"] == "3.9.1" else {} for q in asked]})

    def do_GET(self) -> None:
        self.answer(ADVISORY)

    def answer(self, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_the_service_is_asked_for_all(service: str) -> None:
    found = list(audit.ask_service([AIOHTTP, AIOHTTP._replace(version="3.10")], service))
    assert [f.package for f in found] == [AIOHTTP]
    assert found[0].summary == "Too lenient a parser."


def test_nothing_is_fine_where_nothing_can_be_looked_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "ask_service", no_service)
    assert audit.main([]) == audit.NOT_CHECKED
    said = capsys.readouterr()
    for ecosystem in ("PyPI", "npm"):
        assert f"NOT CHECKED: {ecosystem}: no service" in said.err


def test_a_service_that_is_not_there_is_said() -> None:
    with pytest.raises(SourceError, match="can't be asked"):
        list(audit.ask_service([AIOHTTP], "http://127.0.0.1:9"))


def test_what_is_known_has_a_status_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = audit.Finding(AIOHTTP, "PYSEC-2024-26", "Too lenient a parser.")
    monkeypatch.setattr(audit, "built_kubo", list)
    monkeypatch.setattr(audit, "ask_service", lambda packages: [known])
    assert audit.main([]) == audit.KNOWN
    assert "PyPI aiohttp 3.9.1: PYSEC-2024-26: Too lenient" in capsys.readouterr().out
    monkeypatch.setattr(audit, "ask_service", lambda packages: [])
    assert audit.main([]) == 0


def test_what_is_accepted_is_shown_with_its_reason_and_does_not_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    advisory = next(iter(audit.accepted_reasons(ACCEPTED.read_text())))
    known = audit.Finding(Package("Go", "x", "1.0.0"), f"{advisory} = CVE-2024-1", "Bad.")
    monkeypatch.setattr(audit, "built_kubo", list)
    monkeypatch.setattr(audit, "ask_service", lambda packages: [known])
    assert audit.main([]) == 0
    said = capsys.readouterr().out
    assert f"Go x 1.0.0: {advisory} = CVE-2024-1: Bad. [accepted: " in said
    assert "1 known vulnerabilities, 0 not accepted" in said


def test_whatever_is_accepted_has_a_reason() -> None:
    reasons = audit.accepted_reasons(ACCEPTED.read_text())
    assert all(reason.endswith(".") for reason in reasons.values())


def test_the_modules_of_a_go_binary() -> None:
    listing = (
        "ipfs: go1.26.8\n\tpath\tgithub.com/ipfs/kubo/cmd/ipfs\n"
        "\tmod\tgithub.com/ipfs/kubo\tv0.43.1\t\n\tdep\tgolang.org/x/net\tv0.57.0\th1:x=\n"
        "\tdep\tgithub.com/a/b\tv1.0.0\n\t=>\tgithub.com/c/b\tv0.0.0-2026-a\th1:y=\n"
    )
    assert audit.go_packages(listing) == [
        Package("Go", "stdlib", "1.26.8"),
        Package("Go", "github.com/ipfs/kubo", "0.43.1"),
        Package("Go", "golang.org/x/net", "0.57.0"),
        Package("Go", "github.com/c/b", "0.0.0-2026-a"),
    ]


def test_all_that_is_pinned_is_looked_up() -> None:
    pins = (audit.ROOT / "requirements" / "bift.txt").read_text()
    assert len(audit.python_packages(pins)) == len(pins.splitlines())
    assert audit.npm_packages()[0].name == "uplot"
