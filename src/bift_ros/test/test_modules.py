"""Every module of the package can be imported with what package.xml and setup.py name."""

from __future__ import annotations

import importlib
import pkgutil

import bift_ros


def test_every_module_can_be_imported() -> None:
    names = [m.name for m in pkgutil.walk_packages(bift_ros.__path__, "bift_ros.")]
    assert len(names) > 100
    for name in names:
        if not name.endswith("__main__"):
            importlib.import_module(name)
