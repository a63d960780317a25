"""A rosbag as a vehicle's camera: `ros2 launch bift_ros replay.launch.py bag:=DIR vehicle:=NAME`.

With `player:=bift` (the default) any bag of any vehicle fits: its topics are matched by how they
end. `player:=ros2` runs `ros2 bag play` with the same topics remapped, for its keyboard controls.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from bift_ros.perception.replay_topics import remappings


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and play."""
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", description="rosbag2 folder to play"),
            DeclareLaunchArgument(
                "vehicle", description="namespace of the vehicle whose camera it is"
            ),
            DeclareLaunchArgument(
                "rate", default_value="1.0", description="speed, as a multiple of the bag's own"
            ),
            DeclareLaunchArgument(
                "player",
                default_value="bift",
                choices=["bift", "ros2"],
                description="bift: Bift's own player; ros2: `ros2 bag play` (rosbag2)",
            ),
            OpaqueFunction(function=play),
        ]
    )


def play(context: LaunchContext) -> list[Action]:
    """The player's process; it ends with the bag."""
    bag, vehicle, rate, player = (
        LaunchConfiguration(name).perform(context) for name in ("bag", "vehicle", "rate", "player")
    )
    if player == "bift":
        return [
            Node(
                package="bift_ros",
                executable="replay",
                namespace=vehicle,
                parameters=[{"bag": bag, "rate": float(rate)}],
                output="screen",
            )
        ]
    arguments = [f"{old}:={new}" for old, new in remappings(Path(bag), vehicle).items()]
    return [
        ExecuteProcess(
            cmd=["ros2", "bag", "play", bag, "--rate", rate, "--remap", *arguments],
            output="screen",
        )
    ]
