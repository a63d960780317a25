"""`./bift fleet build`, `compose` and `manifests`: the image of vehicles, and files that use it."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

from rich.console import Console

from bift_ros.console.arguments import Parser
from bift_ros.console.errors import reporting
from bift_ros.console.run_arguments import FLEET_ERRORS
from bift_ros.fleet.deploy.compose import compose_file, give_away_keys, swarm_stack
from bift_ros.fleet.deploy.image import build_image
from bift_ros.fleet.deploy.kubernetes import kubernetes_manifests
from bift_ros.fleet.description.file import load_description
from bift_ros.fleet.description.fleet import FleetDescription
from bift_ros.fleet.runs.bags import bags_of
from bift_ros.fleet.runtimes.docker.containers import (
    CPU_IMAGE,
    CUDA_IMAGE,
    ContainerFleet,
    container_fleet,
)
from bift_ros.fleet.runtimes.docker.engine import connect
from bift_ros.fleet.runtimes.docker.subnets import subnets

_CLONE = Path(__file__).parents[4]
_IMAGES = {image.torch: image for image in (CPU_IMAGE, CUDA_IMAGE)}
_CLUSTERS = {"swarm": ("stack.yaml", "docker stack deploy --compose-file {} {}"),
             "kubernetes": ("kubernetes.yaml", "kubectl apply --filename {}")}  # fmt: skip


def add_arguments(parser: Parser) -> None:
    """The sub-commands and their options."""
    summary = "Build the image that vehicles in containers run."
    build = parser.add_action("build", summary, _build)
    build.add_argument(
        "--torch",
        choices=_IMAGES,
        default="cpu",
        help="cuda: for vehicles with a GPU (%(default)s)",
    )
    build.add_argument("--base", metavar="IMAGE", help="a Debian 12 instead of the Dockerfile's")
    summary = "Write a Compose file, and all that it refers to."
    compose = parser.add_action("compose", summary, _compose)
    summary = "Write what a cluster of several hosts runs."
    manifests = parser.add_action("manifests", summary, _manifests)
    manifests.add_argument("--for", dest="cluster", choices=_CLUSTERS, required=True)
    manifests.add_argument(
        "--image", metavar="NAME", help="where the hosts pull the image from, such as HOST/bift:1"
    )
    for action in (compose, manifests):
        action.add_argument("file", type=Path, metavar="FILE", help="the fleet's description")
        action.add_argument(
            "--out", type=Path, metavar="DIR", help="a folder for it (out/deploy/NAME)"
        )


@reporting(*FLEET_ERRORS)
def _build(arguments: argparse.Namespace) -> None:
    """Build an image and say how large it is."""
    client, image, began = connect(), _IMAGES[arguments.torch], time.monotonic()
    made = build_image(client, image, _CLONE, arguments.base, lambda line: print(line, flush=True))
    size = client.images.get(made).attrs["Size"]
    print(f"{image.tag}: {size / 1e9:.1f} GB, built in {time.monotonic() - began:.0f} s")


@reporting(*FLEET_ERRORS)
def _compose(arguments: argparse.Namespace) -> None:
    """Write compose.yaml, keys, genesis and parameters."""
    fleet = load_description(arguments.file)
    folder = _folder(arguments, fleet)
    containers = _containers(folder, fleet, next(subnets(fleet.name)))
    give_away_keys(containers)
    _write(folder / "compose.yaml", compose_file(containers, folder))
    print(f"start it with: docker compose --file {folder / 'compose.yaml'} up --detach")


@reporting(*FLEET_ERRORS)
def _manifests(arguments: argparse.Namespace) -> None:
    """Write a Swarm stack or Kubernetes manifests, and what they refer to."""
    fleet = load_description(arguments.file)
    folder = _folder(arguments, fleet)
    containers = _containers(folder, fleet, None)
    if arguments.image is not None:
        there = tuple(
            replace(c, image=replace(c.image, tag=arguments.image)) for c in containers.containers
        )
        containers = replace(containers, containers=there)
    name, command = _CLUSTERS[arguments.cluster]
    text = (
        swarm_stack(containers, folder)
        if arguments.cluster == "swarm"
        else kubernetes_manifests(containers)
    )
    _write(folder / name, text)
    print(f"start it with: {command.format(folder / name, containers.network)}")


def _folder(arguments: argparse.Namespace, fleet: FleetDescription) -> Path:
    folder: Path = arguments.out or Path("out/deploy", fleet.name)
    return folder


def _containers(
    folder: Path, fleet: FleetDescription, subnet: IPv4Network | None
) -> ContainerFleet:
    bags = bags_of(fleet, folder / "bags", Console(stderr=True))
    now_ms = time.time_ns() // 1_000_000
    return container_fleet(folder / "vehicles", fleet, bags, now_ms, subnet)


def _write(file: Path, text: str) -> None:
    """Write a file that may hold keys: for its owner alone."""
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")
