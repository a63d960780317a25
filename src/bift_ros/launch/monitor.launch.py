"""Watch a fleet: `ros2 launch bift_ros monitor.launch.py rqt:=true`.

It starts the monitor, and the graphical tools that are asked for. See docs/monitoring.md.
"""

import shutil
from pathlib import Path

from ament_index_python.packages import get_package_share_directory, get_packages_with_prefixes
from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    OpaqueFunction,
)
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from bift_ros.security.environment import secured_observer

CONFIG = Path(get_package_share_directory("bift_ros")) / "config"
TOOLS = {
    "rqt": ["rqt", "--force-discover", "--perspective-file", str(CONFIG / "rqt/bift.perspective")],
    "rviz": ["rviz2", "-d", str(CONFIG / "rviz/bift.rviz")],
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start what they ask for."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "params_file",
                default_value=str(CONFIG / "monitor.yaml"),
                description="ROS parameters (YAML) of the monitor: where its levels begin",
            ),
            DeclareLaunchArgument(
                "record",
                default_value="",
                description="new folder to record what the fleet says to (rosbag2); empty: none",
            ),
            DeclareLaunchArgument(
                "security",
                default_value="",
                description="keystore of DDS security with the observers' enclave; empty: without",
            ),
            DeclareLaunchArgument(
                "camera",
                default_value="",
                description="vehicle through whose camera to look with the model; empty: none",
            ),
            DeclareLaunchArgument(
                "genesis",
                default_value="",
                description="genesis file of the fleet, whose model the camera is to show",
            ),
            DeclareLaunchArgument(
                "analyzers",
                default_value=(
                    str(CONFIG / "diagnostics/bift.yaml")
                    if "diagnostic_aggregator" in get_packages_with_prefixes()
                    else ""
                ),
                description="how diagnostic_aggregator is to make a tree (YAML); empty: not at all",
            ),
            DeclareLaunchArgument(
                "rqt",
                default_value="false",
                choices=["true", "false"],
                description="whether to open rqt: diagnostics, plots, topics and the node graph",
            ),
            DeclareLaunchArgument(
                "rviz",
                default_value="true" if shutil.which("rviz2") else "false",
                choices=["true", "false"],
                description="whether to open RViz; true where it is installed",
            ),
            OpaqueFunction(function=watch),
        ]
    )


def watch(context: LaunchContext) -> list[Action]:
    """The monitor's process, and the tools'."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    security = secured_observer(value("security")) if value("security") else {}
    monitor = Node(
        package="bift_ros",
        executable="monitor",
        parameters=[value("params_file"), {"record": value("record")}],
        additional_env=security,
        output="screen",
    )
    camera = Node(
        package="bift_ros",
        executable="camera_view",
        parameters=[
            value("params_file"),
            {"vehicle": value("camera"), "genesis": value("genesis")},
        ],
        additional_env=security,
        output="screen",
    )
    aggregator = Node(
        package="diagnostic_aggregator",
        executable="aggregator_node",
        parameters=[value("analyzers")],
        output="screen",
    )
    tools = [
        ExecuteProcess(cmd=command, name=name)
        for name, command in TOOLS.items()
        if value(name) == "true"
    ]
    optional = [("camera", camera), ("analyzers", aggregator)]
    return [monitor, *(node for name, node in optional if value(name)), *tools]
