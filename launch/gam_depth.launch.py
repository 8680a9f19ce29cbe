"""Start the node: ros2 launch gam_depth_ros gam_depth.launch.py image:=/camera/image_raw ..."""

import os
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.launch_context import LaunchContext
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription

REMAPPED = {
    "image": "Colour image; its compressed form is <image>/compressed.",
    "camera_info": "Calibration of the colour image.",
    "reference_depth": "Sensor depth registered to the colour image; sets the metric scale.",
    "reference_camera_info": "Calibration of the reference depth.",
}
# Parameters that are arguments too. One that is not given is left to params_file.
PARAMETERS = {
    "model_path": (str, "ONNX model file."),
    "autostart": (bool, "Configure and activate at start: true or false."),
    "image_transport": (str, "raw or compressed."),
}


def node(context: LaunchContext) -> list[Node]:
    """Describe the node once the arguments have their values."""
    # Typed, so that launch does not read a name such as 1e3 as a number.
    parameters = {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, (kind, _) in PARAMETERS.items()
        if LaunchConfiguration(name).perform(context)
    }
    profile = str(_config() / "fastdds_large_images.xml")
    return [
        Node(
            package="gam_depth_ros",
            executable="gam_depth_node",
            name=LaunchConfiguration("name"),
            namespace=LaunchConfiguration("namespace"),
            output="screen",
            # Images are larger than Fast DDS's default shared memory; a user's own profile wins.
            additional_env={
                name: os.environ.get(name, profile)
                for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
            },
            parameters=[LaunchConfiguration("params_file"), *([parameters] if parameters else [])],
            remappings=[
                ("image", LaunchConfiguration("image")),
                ("image/compressed", [LaunchConfiguration("image"), "/compressed"]),
                ("camera_info", LaunchConfiguration("camera_info")),
                ("reference_depth", LaunchConfiguration("reference_depth")),
                ("reference_depth/camera_info", LaunchConfiguration("reference_camera_info")),
            ],
            arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, then start the node."""
    arguments = [
        DeclareLaunchArgument("name", default_value="gam_depth", description="Node name."),
        DeclareLaunchArgument("namespace", default_value="", description="Node namespace."),
        DeclareLaunchArgument(
            "params_file",
            default_value=str(_config() / "gam_depth.yaml"),
            description="Parameters of the node.",
        ),
        DeclareLaunchArgument("log_level", default_value="info", description="Log level."),
    ]
    arguments += [
        DeclareLaunchArgument(
            name, default_value="", description=f"{what} Empty: as params_file or the node has it."
        )
        for name, (_, what) in PARAMETERS.items()
    ]
    arguments += [
        DeclareLaunchArgument(
            name,
            default_value=name.replace("reference_camera", "reference_depth/camera"),
            description=what,
        )
        for name, what in REMAPPED.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=node)])


def _config() -> Path:
    return Path(get_package_share_directory("gam_depth_ros")) / "config"
