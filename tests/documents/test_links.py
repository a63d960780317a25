"""Links lead somewhere, anchors too, and the index leaves no page out."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGES = [
    *REPOSITORY.glob("*.md"),
    *REPOSITORY.glob("docs/**/*.md"),
    *REPOSITORY.glob("src/*/README.md"),
]


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors_of(page: Path) -> set[str]:
    """What a heading can be linked by: lower case, hyphens for spaces, no punctuation."""
    headings = re.findall(r"^#+ (.+)$", without_code(page.read_text()), re.MULTILINE)
    texts = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in texts}


def broken(page: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    text = without_code(page.read_text())
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src(?:set)?="([^"]+)"', text)
    found = []
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue  # elsewhere
        name, _, anchor = target.partition("#")
        place = Path(os.path.normpath(page.parent.resolve() / name)) if name else page
        # Web views of a repository follow no links among the folders.
        follows_links = place.parent.resolve() != place.parent
        missing = anchor and place.suffix == ".md" and anchor not in anchors_of(place)
        if not place.exists() or follows_links or missing:
            found.append(target)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "page.md").write_text("# A page\n\n## Its `part`, *two*\n")
    (tmp_path / "link").symlink_to("folder")
    page = tmp_path / "index.md"
    good = "[a](folder/page.md) [b](folder/page.md#its-part-two) [c](#here)\n# Here\n"
    page.write_text(good + "[d](gone.md) [e](folder/page.md#its) [f](#there) [g](link/page.md)")
    assert broken(page) == ["gone.md", "folder/page.md#its", "#there", "link/page.md"]


def test_the_index_names_every_page() -> None:
    index = (REPOSITORY / "docs" / "README.md").read_text()
    pages = {str(page.relative_to(REPOSITORY / "docs")) for page in REPOSITORY.glob("docs/**/*.md")}
    assert {name for name in pages - {"README.md"} if f"]({name})" not in index} == set()
