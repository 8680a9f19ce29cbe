"""Start the node: ros2 launch gam_depth_ros gam_depth.launch.py image:=/camera/image_raw ..."""

import os
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument
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


def generate_launch_description() -> LaunchDescription:
    config = Path(get_package_share_directory("gam_depth_ros")) / "config"
    profile = str(config / "fastdds_large_images.xml")
    given = {
        name: os.environ.get(name, profile)
        for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
    }
    arguments = [
        DeclareLaunchArgument("name", default_value="gam_depth", description="Node name."),
        DeclareLaunchArgument("namespace", default_value="", description="Node namespace."),
        DeclareLaunchArgument(
            "params_file",
            default_value=str(config / "gam_depth.yaml"),
            description="Parameters of the node.",
        ),
        DeclareLaunchArgument("model_path", default_value="", description="ONNX; empty: shipped."),
        DeclareLaunchArgument("autostart", default_value="true", description="Activate at start."),
        DeclareLaunchArgument(
            "image_transport", default_value="raw", description="raw or compressed."
        ),
        DeclareLaunchArgument("log_level", default_value="info", description="Log level."),
    ]
    arguments += [
        DeclareLaunchArgument(
            name,
            default_value=name.replace("reference_camera", "reference_depth/camera"),
            description=what,
        )
        for name, what in REMAPPED.items()
    ]
    node = Node(
        package="gam_depth_ros",
        executable="gam_depth_node",
        name=LaunchConfiguration("name"),
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        # Images are larger than Fast DDS's default shared memory; a profile of the user's own wins.
        additional_env=given,
        parameters=[
            LaunchConfiguration("params_file"),
            {
                # Typed, because launch would read an empty path as no value at all.
                "model_path": ParameterValue(LaunchConfiguration("model_path"), value_type=str),
                "autostart": ParameterValue(LaunchConfiguration("autostart"), value_type=bool),
                "image_transport": ParameterValue(
                    LaunchConfiguration("image_transport"), value_type=str
                ),
            },
        ],
        remappings=[
            ("image", LaunchConfiguration("image")),
            ("image/compressed", [LaunchConfiguration("image"), "/compressed"]),
            ("camera_info", LaunchConfiguration("camera_info")),
            ("reference_depth", LaunchConfiguration("reference_depth")),
            ("reference_depth/camera_info", LaunchConfiguration("reference_camera_info")),
        ],
        arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
    )
    return LaunchDescription([*arguments, node])
