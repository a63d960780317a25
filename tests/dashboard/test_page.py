"""The page in a real browser: quick to load, live, without complaints, and at home."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_fleet import SyntheticFleet

from bift_ros.perception.dataset import Dataset, frame_key

pytestmark = pytest.mark.browser

# When a text appears in the document, by the page's clock.
WATCH = """([selector, text]) => {
    window.appeared = new Promise((resolve) => {
        const look = () => {
            if (document.querySelector(selector)?.textContent.includes(text)) {
                requestAnimationFrame(() => resolve(Date.now()));
                return true;
            }
            return false;
        };
        const watcher = new MutationObserver(() => look() && watcher.disconnect());
        const all = {subtree: true, childList: true, characterData: true};
        if (!look()) watcher.observe(document, all);
    });
}"""


def test_it_loads_with_all_that_thirty_vehicles_and_a_thousand_blocks_have(
    large: Any, visit: Callable[..., Any], record_property: Callable[[str, object], None]
) -> None:
    seen = visit(large)
    rows = seen.page.locator("#fleet tbody tr")
    assert rows.count() == 30
    assert seen.page.locator("#summary").inner_text().count("30 / 30") == 0  # one is silent
    assert "29 / 30" in seen.page.locator("#summary").inner_text()
    assert seen.page.locator(".block").count() < 120  # those in view alone
    drawn = seen.page.evaluate("performance.getEntriesByName('drawn')[0].startTime")
    record_property("drawn_ms", round(drawn))
    print(f"drawn {drawn:.0f} ms after the navigation began")


def test_nothing_complains_and_no_request_leaves_the_machine(
    large: Any, visit: Callable[..., Any]
) -> None:
    seen = visit(large)
    large.change(large.fleet.iterate)
    large.change(large.fleet.speak)
    seen.wait("document.querySelector('#announcements').textContent !== ''")
    seen.page.click("#theme")
    seen.page.locator("#fleet tbody th button").nth(4).click()
    seen.wait("document.querySelector('#details .classes li')")
    assert seen.complaints == []
    assert seen.requests
    assert [r for r in seen.requests if not r.startswith(large.url)] == []


def test_a_change_appears(
    small: Any, visit: Callable[..., Any], record_property: Callable[[str, object], None]
) -> None:
    seen = visit(small)
    cell = "#fleet tbody tr:nth-child(2) td[data-state]"
    delays = []
    for word in ("parked", "washed", "asleep"):
        seen.page.evaluate(WATCH, [cell, word])
        said_at = seen.page.evaluate("Date.now()")
        small.change(lambda word=word: small.fleet.say(1, state=word))
        delays.append(seen.page.evaluate("window.appeared") - said_at)
    record_property("live_ms", delays)
    print(f"shown after {delays} ms")
    assert seen.page.locator(cell).inner_text() == "asleep"


def test_a_new_iteration_is_announced_once(small: Any, visit: Callable[..., Any]) -> None:
    seen = visit(small)
    said = seen.page.locator("#announcements")
    assert said.get_attribute("aria-live") == "polite"
    assert said.inner_text() == ""
    small.change(small.fleet.iterate)
    small.change(small.fleet.speak)
    seen.wait("document.querySelector('#announcements').textContent !== ''")
    number = small.fleet.view.history.blocks[-1].model.current_iter
    assert said.inner_text().startswith(f"Iteration {number} of 10: accuracy ")


def test_the_page_comes_back_after_the_server_was_away(
    small: Any, visit: Callable[..., Any]
) -> None:
    from bift_ros.dashboard.server import Dashboard

    seen = visit(small)
    port = int(small.url.rstrip("/").rsplit(":")[-1])
    small.dashboard.close()
    seen.wait("document.querySelector('#connection').dataset.state === 'lost'")
    again = SyntheticFleet(vehicles=5, blocks=9)
    small.dashboard = Dashboard(lambda _: None, port)
    small.dashboard.start(again.reading)
    seen.wait("document.body.dataset.drawn === '5'")
    assert seen.page.locator("#connection").inner_text() == "live"
    small.dashboard.close()


def test_what_vehicles_say_never_becomes_markup(small: Any, visit: Callable[..., Any]) -> None:
    bad = "<img src=x onerror=\"document.title='owned'\">"
    small.fleet.say(0, state=bad, refused=1, last_refusal=bad, model_id=bad, rule=bad)
    seen = visit(small, "#vehicle/vehicle_00")
    assert bad in seen.page.locator("#refused").inner_text()
    assert bad in seen.page.locator("#details").inner_text()
    assert seen.page.locator("img[src=x]").count() == 0
    assert seen.page.title() == "Bift: the fleet"
    static = Path(__file__).parents[2] / "src/bift_ros/bift_ros/dashboard/static/js"
    assert [f for f in static.glob("*.js") if "innerHTML" in f.read_text()] == []


def test_columns_sort(large: Any, visit: Callable[..., Any]) -> None:
    seen = visit(large)
    heading = seen.page.locator("#fleet thead th", has_text="Stake")
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    texts = seen.page.locator("#fleet tbody tr td:nth-child(7)").all_inner_texts()
    stakes = [int(text.replace(",", "")) for text in texts]
    assert stakes == sorted(stakes, reverse=True)
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"


def test_a_vehicle_shows_its_samples_where_they_lie(
    small: Any, data: Path, visit: Callable[..., Any]
) -> None:
    with Dataset(data / "vehicle_01" / "dataset") as kept:
        for stamp in range(1, 9):
            crop = np.full((32, 32, 3), 30 * stamp, np.uint8)
            kept.add_frame(frame_key(stamp, b""), stamp, [("red_left", crop)])
    seen = visit(small, "#vehicle/vehicle_01")
    seen.wait("document.querySelectorAll('#details .crops img').length === 6")
    seen.wait("[...document.images].every((i) => i.complete && i.naturalWidth === 32)")
    seen.page.locator("#fleet tbody th button").nth(0).click()
    seen.wait("document.querySelector('#details .note')?.textContent.includes('--data')")
    vehicle = small.fleet.view.vehicles["vehicle_00"]
    # The balance is the vehicle's own word, whether or not its samples are here.
    assert seen.page.locator("#details .classes li").first.inner_text().split() == [
        "red", "circle", str(vehicle.status.dataset.class_samples[0]),
    ]  # fmt: skip
