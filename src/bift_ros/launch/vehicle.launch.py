"""One vehicle: `ros2 launch bift_ros vehicle.launch.py genesis:=FILE key:=FILE data:=FOLDER`.

It runs `bift miner start` or `bift node run`. Its name and namespace are what the genesis file
calls the key's owner.
"""

import sys

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch.substitutions import LaunchConfiguration

REQUIRED = {
    "genesis": "the fleet's genesis file (`bift genesis create`)",
    "key": "this vehicle's key file (`bift account create`)",
    "data": "folder for the chain, files and dataset; a vehicle resumes from it",
}
OPTIONAL = {
    "passphrase_file": "file with the key's passphrase; empty: the key has none",
    "bag": "rosbag2 folder to replay as this vehicle's camera; empty: none",
    "device": "where to train: auto, cpu, cuda or cuda:N; empty: auto",
    "malicious": "attack of bift_ros.attacks, to test how a fleet bears it; empty: honest",
    "security": "keystore of DDS security (`bift security create`); empty: without",
    "params_file": "ROS parameters (YAML) for all other settings; empty: the defaults",
}
SWITCHES = {
    "mine": ("true", "whether to aggregate updates and search for blocks"),
    "propose": ("false", "whether to propose the task of the settings once there is a dataset"),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and run the vehicle."""
    return LaunchDescription(
        [
            *(DeclareLaunchArgument(name, description=text) for name, text in REQUIRED.items()),
            *(
                DeclareLaunchArgument(name, default_value="", description=text)
                for name, text in OPTIONAL.items()
            ),
            *(
                DeclareLaunchArgument(
                    name, default_value=value, choices=["true", "false"], description=text
                )
                for name, (value, text) in SWITCHES.items()
            ),
            OpaqueFunction(function=run_vehicle),
        ]
    )


def run_vehicle(context: LaunchContext) -> list[ExecuteProcess]:
    """The vehicle's process: all its nodes are composed in it."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    command = ["miner", "start"] if value("mine") == "true" else ["node", "run"]
    for name in (*REQUIRED, *OPTIONAL):
        if value(name):
            command += [f"--{name.replace('_', '-')}", value(name)]
    if value("propose") == "true":
        command.append("--propose")
    return [
        ExecuteProcess(
            cmd=[sys.executable, "-m", "bift_ros.console", *command],
            name="vehicle",
            output="screen",
        )
    ]
