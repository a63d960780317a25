"""The page without a mouse, and as those who don't see it are told of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.browser


def focused(page: Any) -> str:
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    return str(label)


def test_arrow_keys_go_along_the_chain_and_into_forks(
    large: Any, visit: Callable[..., Any]
) -> None:
    seen = visit(large)
    page, tree = seen.page, large.fleet.view.chain
    canonical = large.fleet.view.history.blocks
    page.locator(".block[tabindex='0']").focus()
    assert focused(page).startswith(f"Block {canonical[-1].height},")
    for _ in range(50):
        page.keyboard.press("ArrowLeft")
    here = canonical[-51]
    assert focused(page).startswith(f"Block {here.height},")
    assert page.locator("#details-title").inner_text() == f"Block {here.height}"
    assert here.hash in page.locator("#details").inner_text()
    page.keyboard.press("Home")
    assert focused(page).startswith(f"Block {canonical[0].height},")
    assert page.locator(".block").count() < 120
    fork = tree.beside(large.fleet.view.head)[0]
    while not focused(page).startswith(f"Block {fork.height},"):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert "beside the chain" in focused(page)
    page.keyboard.press("ArrowUp")
    assert "beside the chain" not in focused(page)
    page.keyboard.press("End")
    assert focused(page).startswith(f"Block {canonical[-1].height},")


def test_the_chain_is_a_table_too(large: Any, visit: Callable[..., Any]) -> None:
    page = visit(large).page
    page.locator("#chain-table summary").focus()
    page.keyboard.press("Enter")
    rows = page.locator("#chain-table tbody tr")
    rows.first.wait_for()
    assert rows.count() == 50
    page.locator("#chain-table button.quiet").click()
    assert rows.count() == 100
    rows.nth(3).locator("button").press("Enter")
    assert page.locator("#details-title").inner_text().startswith("Block ")


def test_a_vehicle_is_chosen_by_keyboard_and_kept_in_the_address(
    small: Any, visit: Callable[..., Any]
) -> None:
    seen = visit(small)
    page = seen.page
    page.locator("#fleet tbody th button").nth(1).press("Enter")
    assert page.locator("#details-title").inner_text() == "vehicle_01"
    seen.reload()
    page.locator("#details-title", has_text="vehicle_01").wait_for()


def test_tab_reaches_every_part(small: Any, visit: Callable[..., Any]) -> None:
    page = visit(small).page
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.closest('section[id], header, aside')?.id")
        )
    assert {"", "chain", "fleet", "refusals"} <= reached


def test_charts_say_what_they_show(large: Any, visit: Callable[..., Any]) -> None:
    page = visit(large).page
    for name, words in {
        "accuracy": "iterations; global model now ",
        "loss": "now 0.",
        "files": " fetched, ",
        "messages": "now ",
    }.items():
        label = page.locator(f"#{name} .chart[role=img]").get_attribute("aria-label")
        assert words in label


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("fragment", ["", "#vehicle/vehicle_02"])
def test_axe_finds_no_serious_violation(
    large: Any, visit: Callable[..., Any], scheme: str, fragment: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    seen = visit(large, fragment, color_scheme=scheme)
    seen.page.locator("#chain-table summary").click()
    if fragment:
        seen.page.locator("#details .classes li").first.wait_for()
    violations = axe.Axe().run(seen.page).response["violations"]
    assert [
        (v["id"], [node["html"][:200] for node in v["nodes"][:3]])
        for v in violations
        if v["impact"] in ("serious", "critical")
    ] == []


def test_the_theme_is_the_systems_until_one_is_chosen(
    small: Any, visit: Callable[..., Any]
) -> None:
    seen = visit(small, color_scheme="dark")
    page = seen.page
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.click("#theme")
    assert page.evaluate(background) != dark
    seen.reload()
    seen.wait("document.documentElement.dataset.theme === 'light'")
    page.emulate_media(color_scheme="light")
    assert page.evaluate(background) != dark


def test_nothing_moves_for_those_who_want_no_motion(small: Any, visit: Callable[..., Any]) -> None:
    page = visit(small, reduced_motion="reduce").page
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.block')).transitionDuration")
        == "0s"
    )
