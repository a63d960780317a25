"""ament_python packaging. What is needed is named here and in package.xml; a clone pins it."""

from __future__ import annotations

import os
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
SHARE = Path("share", "bift_ros")


def shared(folder: str) -> list[tuple[str, list[str]]]:
    """List the files below one of the package's folders for installation under its share."""
    files = sorted(path for path in (HERE / folder).rglob("*.*") if path.is_file())
    return [
        # distutils wants paths relative to this file's folder.
        (str(SHARE / path.parent.relative_to(HERE)), [os.path.relpath(path, HERE)])
        for path in files
        if "__pycache__" not in path.parts
    ]


setup(
    name="bift_ros",
    version="0.1.0",
    description="Federated learning for vehicles on a blockchain, over ROS 2",
    author="Bift authors",
    author_email="bift@example.com",
    maintainer="Bift authors",
    maintainer_email="bift@example.com",
    license="Apache-2.0",
    packages=find_packages(include=["bift_ros", "bift_ros.*"]),
    package_data={
        "bift_ros": [
            "**/*.html",
            "**/*.css",
            "**/*.js",
            "**/*.svg",
            "**/vendor/*.txt",
            "**/*.yaml",
            "**/*.json",
            "py.typed",
        ]
    },
    python_requires=">=3.10",
    install_requires=[
        "setuptools",
        "aiohttp",
        "cryptography",
        "dag-cbor",
        "jinja2",
        "markupsafe",
        "matplotlib",
        "multiformats",
        "numpy",
        "opencv-python-headless",
        "psutil",
        "pyyaml",
        "requests",
        "rich",
        "rosbags",
        "safetensors",
        "threadpoolctl",
        "torch",
    ],
    extras_require={
        "fleet": ["docker", "pydantic>=2"],
        "kubo": ["ipfshttpclient"],
        "completion": ["shtab"],
        "test": ["pytest"],
    },
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/bift_ros"]),
        (str(SHARE), ["package.xml"]),
        *shared("launch"),
        *shared("config"),
    ],
    zip_safe=False,
    entry_points={
        "console_scripts": [
            "bift = bift_ros.console.__main__:main",
            # What the launch files start
            "monitor = bift_ros.nodes.observer.monitor_node:main",
            "replay = bift_ros.nodes.bag.replay_node:main",
            "replay_fleet = bift_ros.nodes.bag.fleet_replay_node:main",
            "camera_view = bift_ros.nodes.observer.camera_view_node:main",
        ]
    },
)
