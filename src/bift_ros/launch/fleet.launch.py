"""A fleet: `ros2 launch bift_ros fleet.launch.py fleet:=FILE runtime:=docker vehicles:=30`.

It runs `bift fleet up`: the fleet's state streams to the screen, and Ctrl-C takes the fleet down.
"""

import sys
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration

OPTIONS = {
    "runtime": "what vehicles run as: process or docker; empty: what the file says",
    "vehicles": "how many vehicles; empty: what the file says",
    "iterations": "iterations of the task; empty: what the file says",
    "fleets": "folder in which fleets lie; empty: out/fleets",
}
SECONDS_TO_GO_DOWN = "120"
"""After Ctrl-C, before `ros2 launch` loses patience: 30 containers take a while."""


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and bring the fleet up."""
    config = Path(get_package_share_directory("bift_ros")) / "config"
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "fleet",
                default_value=str(config / "fleet_5.yaml"),
                description="the fleet's description (docs/fleets.md), or the name of a kept one",
            ),
            *(
                DeclareLaunchArgument(name, default_value="", description=text)
                for name, text in OPTIONS.items()
            ),
            DeclareLaunchArgument(
                "keep_data",
                default_value="false",
                choices=["true", "false"],
                description="whether to keep keys, chains, datasets and logs when it goes down",
            ),
            OpaqueFunction(function=bring_up),
        ]
    )


def bring_up(context: LaunchContext) -> list[ExecuteProcess]:
    """The process that has the fleet; the launch ends with it."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    command = [sys.executable, "-m", "bift_ros.console", "fleet", "up", value("fleet")]
    for name in OPTIONS:
        if value(name):
            command += [f"--{name}", value(name)]
    if value("keep_data") == "true":
        command.append("--keep-data")
    return [
        ExecuteProcess(
            cmd=command,
            name="fleet",
            output="screen",
            sigterm_timeout=SECONDS_TO_GO_DOWN,
            on_exit=Shutdown(reason="the fleet is down"),
        )
    ]
