"""A picture of each panel with 30 vehicles: it shows something, and nothing sticks out of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.browser

PANELS = {
    ".top": 3,
    "#accuracy": 3,
    "#loss": 3,
    "#files": 3,
    "#messages": 3,
    "#chain": 5,
    "#fleet": 8,
    "#refusals": 4,
    "#details": 4,
}
"""Each panel, and the least share of its pixels, in percent, that differ from its ground."""

STICKING_OUT = """panel => {
    const scrolls = (e) => /auto|scroll|hidden/.test(getComputedStyle(e).overflowX);
    const within = (e) => {
        for (let up = e.parentElement; up && up !== panel; up = up.parentElement) {
            if (scrolls(up)) return false;
        }
        return true;
    };
    const edge = panel.getBoundingClientRect();
    return [...panel.querySelectorAll("*")]
        .filter((e) => within(e) && !e.closest(".unseen, svg"))
        .filter((e) => {
            const box = e.getBoundingClientRect();
            return box.width > 0 && (box.right > edge.right + 1 || box.left < edge.left - 1);
        })
        .map((e) => e.outerHTML.slice(0, 120));
}"""


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1440), ("dark", 1920), ("light", 900), ("dark", 390)]
)
def test_each_panel_shows_something_and_fits(
    large: Any, visit: Callable[..., Any], tmp_path: Path, scheme: str, width: int
) -> None:
    seen = visit(
        large, "#vehicle/vehicle_02", color_scheme=scheme, viewport={"width": width, "height": 900}
    )
    seen.page.locator("#details .classes li").first.wait_for()
    faults = []
    for selector, least in PANELS.items():
        panel = seen.page.locator(selector)
        picture = tmp_path / f"{selector.strip('.#')}-{scheme}-{width}.png"
        panel.screenshot(path=picture, animations="disabled")
        share = drawn_share(picture)
        if share < least / 100:
            faults.append(f"{selector} is nearly blank: {share:.1%}")
        faults += [f"{selector}: {what} sticks out" for what in panel.evaluate(STICKING_OUT)]
    page_width = seen.page.evaluate("document.documentElement.scrollWidth")
    assert faults == []
    assert page_width <= width


def drawn_share(picture: Path) -> float:
    """The share of a picture's pixels that are not its commonest colour."""
    pixels = cv2.imread(str(picture)).astype(np.uint32)
    colours = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    _, counts = np.unique(colours, return_counts=True)
    return 1 - float(counts.max()) / colours.size
