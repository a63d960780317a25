"""package.xml and setup.py name what bift_ros imports, and nothing that it does not."""

from __future__ import annotations

import ast
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "bift_ros"

# Module: its distribution on PyPI, and its rosdep key (none: from pip alone).
PYTHON_PACKAGES = {
    "aiohttp": ("aiohttp", "python3-aiohttp"),
    "cryptography": ("cryptography", "python3-cryptography"),
    "cv2": ("opencv-python-headless", "python3-opencv"),
    "dag_cbor": ("dag-cbor", None),
    "docker": ("docker", "python3-docker"),
    "ipfshttpclient": ("ipfshttpclient", None),
    "jinja2": ("jinja2", "python3-jinja2"),
    "markupsafe": ("markupsafe", "python3-jinja2"),
    "matplotlib": ("matplotlib", "python3-matplotlib"),
    "multiformats": ("multiformats", None),
    "numpy": ("numpy", "python3-numpy"),
    "psutil": ("psutil", "python3-psutil"),
    "pydantic": ("pydantic", None),
    "pydantic_core": ("pydantic", None),
    "requests": ("requests", "python3-requests"),
    "rich": ("rich", "python3-rich"),
    "rosbags": ("rosbags", "python3-rosbags-pip"),
    "safetensors": ("safetensors", None),
    "shtab": ("shtab", None),
    "threadpoolctl": ("threadpoolctl", None),
    "torch": ("torch", "python3-torch"),
    "yaml": ("pyyaml", "python3-yaml"),
}
# What Bift is compared with, where it is installed.
PEERS = {"byzfl", "flwr"}
LAUNCH = {"launch", "launch_ros", "ros2launch"}


def imported() -> set[str]:
    """Top-level names of the modules that the package imports, less Python's and its own."""
    found = set()
    for path in [*PACKAGE.glob("bift_ros/**/*.py"), *PACKAGE.glob("launch/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"bift_ros"} - PEERS


def test_package_xml_names_every_import_and_no_other() -> None:
    manifest = ElementTree.parse(PACKAGE / "package.xml")
    named = {
        str(element.text)
        for tag in ("depend", "exec_depend")
        for element in manifest.iter(tag)
        if element.text not in LAUNCH | {"rmw_fastrtps_cpp"}
    }
    keys = {PYTHON_PACKAGES.get(name, (name, name))[1] for name in imported() - LAUNCH}
    assert named == keys - {None}


def test_what_rosdep_does_not_know_is_named_for_pip() -> None:
    by_pip = {PYTHON_PACKAGES[n][0] for n in imported() & set(PYTHON_PACKAGES)} & {
        distribution for distribution, key in PYTHON_PACKAGES.values() if key is None
    }
    [comment] = re.findall(r"rosdep has no key: ([^.]*)\.", (PACKAGE / "package.xml").read_text())
    [command] = re.findall(r"pip install (.*)", (PACKAGE / "README.md").read_text())
    assert set(comment.split()) == set(command.split()) == by_pip


def test_setup_py_requires_every_import_and_no_other() -> None:
    [call] = [
        node
        for node in ast.walk(ast.parse((PACKAGE / "setup.py").read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setup"
    ]
    given = {k.arg: k.value for k in call.keywords if k.arg}
    required = set(ast.literal_eval(given["install_requires"]))
    extras = ast.literal_eval(given["extras_require"])
    named = {
        requirement.partition(">")[0]
        for requirement in required.union(*extras.values()) - {"setuptools", *extras["test"]}
    }
    assert named == {PYTHON_PACKAGES[n][0] for n in imported() & set(PYTHON_PACKAGES)}


def test_both_packages_say_whose_they_are_and_have_a_changelog_of_their_version() -> None:
    for package in (PACKAGE, PACKAGE.with_name("bift_msgs")):
        manifest = ElementTree.parse(package / "package.xml")
        assert all(manifest.find(tag) is not None for tag in ("url", "author", "test_depend"))
        assert f"\n{manifest.findtext('version')} (" in (package / "CHANGELOG.rst").read_text()
        assert (package / "README.md").is_file()
