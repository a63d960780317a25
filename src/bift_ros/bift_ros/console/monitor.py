"""`./bift monitor run|camera|replay`: a fleet in the tools of ROS; see docs/monitoring.md."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from bift_ros.console.arguments import Parser
from bift_ros.console.errors import CommandError


def add_arguments(parser: Parser) -> None:
    """Sub-commands and their options."""
    summary = "Publish /diagnostics and numbers to plot, until Ctrl-C."
    run = parser.add_action("run", summary)
    run.add_argument("--params-file", type=Path, help="ROS parameters (YAML): config/monitor.yaml")
    run.add_argument(
        "--record", type=Path, metavar="DIR", help="record what the fleet says to this new rosbag2"
    )
    summary = "Publish /bift/camera_view: a camera, labels and predictions, until Ctrl-C."
    camera = parser.add_action("camera", summary)
    camera.add_argument("vehicle", help="name of the vehicle to look through, such as vehicle_00")
    camera.add_argument("--genesis", type=Path, help="the fleet's genesis file, to show its model")
    camera.add_argument("--params-file", type=Path, help="ROS parameters (YAML)")
    summary = "Play a recorded fleet's bag, for monitors and dashboards in this ROS_DOMAIN_ID."
    replay = parser.add_action("replay", summary)
    replay.add_argument("bag", type=Path, help="what `monitor run --record` has written")
    replay.add_argument("--rate", type=float, default=1.0, help="multiple of the bag's own speed")


def main(arguments: argparse.Namespace) -> int:
    """Become the monitor's process, or the player's."""
    ros: list[str] = []
    if arguments.action != "replay" and arguments.params_file is not None:
        ros += ["--params-file", str(_there(arguments.params_file))]
    if arguments.action == "run":
        module = "bift_ros.nodes.observer.monitor_node"
        if arguments.record is not None:
            ros += ["-p", f"record:={arguments.record}"]
    elif arguments.action == "camera":
        module = "bift_ros.nodes.observer.camera_view_node"
        ros += ["-p", f"vehicle:={arguments.vehicle}"]
        if arguments.genesis is not None:
            ros += ["-p", f"genesis:={_there(arguments.genesis)}"]
    else:
        module = "bift_ros.nodes.bag.fleet_replay_node"
        ros = ["-p", f"bag:={_there(arguments.bag)}", "-p", f"rate:={arguments.rate}"]
    command = [sys.executable, "-m", module, *(["--ros-args", *ros] if ros else [])]
    os.execv(command[0], command)


def _there(path: Path) -> Path:
    if not path.exists():
        raise CommandError(f"there is no {path}")
    return path
