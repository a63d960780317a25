"""Figures as SVG within a page: with a title and a description, in the page's own colours."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

from bift_ros.monitoring import colours

INK, LINE, PAPER = colours.PAGE["text"][0], colours.PAGE["edge"][0], colours.PAGE["panel"][0]
SERIES = tuple(light for light, _ in colours.SERIES)
_VARIABLES = {light: f"var(--{name})" for name, (light, _) in colours.custom_properties().items()}
"""What stands for each colour in the page's style sheet, which has two values for it."""
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text
    "text.parse_math": False,  # names come from outside
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_COLOUR = re.compile("#[0-9a-f]{6}")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


@contextmanager
def page_style() -> Iterator[None]:
    """Draw within this: it sets what `inline` relies on."""
    with matplotlib.rc_context(_STYLE):
        yield


def inline(figure: Figure, name: str, title: str, description: str) -> Markup:
    """A figure as an SVG element. `name`, unique on the page, keeps its ids apart from others'."""
    file = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):  # the same figure, the same text
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(file.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
        for key, value in parent.attrib.items():
            parent.set(key, _rewritten(key, value, name))
    for label, text in (("desc", description), ("title", title)):
        element = ElementTree.Element(f"{{{_SVG}}}{label}", {"id": f"{name}-{label}"})
        element.text = text
        root.insert(0, element)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _rewritten(key: str, value: str, name: str) -> str:
    """An attribute's value with the page's colours, and ids that no other figure has."""
    if key == "id":
        return f"{name}-{value}"
    if key == f"{{{_XLINK}}}href" and value.startswith("#"):
        return f"#{name}-{value[1:]}"
    value = _REFERENCE.sub(rf"url(#{name}-\1)", value)
    if key == "style":
        return _COLOUR.sub(lambda found: _VARIABLES.get(found[0], found[0]), value)
    return value
