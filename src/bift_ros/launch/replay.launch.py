"""A rosbag as a vehicle's camera: `ros2 launch bift_ros replay.launch.py bag:=DIR vehicle:=NAME`.

With `player:=bift` (the default) any bag of any vehicle fits: its topics are matched by how they
end. `player:=ros2` runs `ros2 bag play` with the same topics remapped, for its keyboard controls.

With `monitoring:=DIR` it plays what `monitor.launch.py record:=DIR` recorded of a whole fleet, for
monitors and dashboards: in a ROS domain where no vehicle runs.
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
            DeclareLaunchArgument(
                "bag", default_value="", description="rosbag2 folder of a vehicle's camera to play"
            ),
            DeclareLaunchArgument(
                "vehicle",
                default_value="",
                description="namespace of the vehicle whose camera it is; needed with bag",
            ),
            DeclareLaunchArgument(
                "monitoring",
                default_value="",
                description="rosbag2 folder of a recorded fleet to play instead",
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
    bag, vehicle, monitoring, rate, player = (
        LaunchConfiguration(name).perform(context)
        for name in ("bag", "vehicle", "monitoring", "rate", "player")
    )
    if bool(monitoring) == bool(bag and vehicle):
        raise RuntimeError("give either bag and vehicle, or monitoring")
    if player == "ros2":
        topics = {} if monitoring else remappings(Path(bag), vehicle)
        remap = ["--remap", *(f"{old}:={new}" for old, new in topics.items())] if topics else []
        command = ["ros2", "bag", "play", monitoring or bag, "--rate", rate, *remap]
        return [ExecuteProcess(cmd=command, output="screen")]
    return [
        Node(
            package="bift_ros",
            executable="replay_fleet" if monitoring else "replay",
            namespace=vehicle,
            parameters=[{"bag": monitoring or bag, "rate": float(rate)}],
            output="screen",
        )
    ]
