"""Kinect for Xbox and the node.

ros2 launch gam_depth_ros kinect.launch.py version:=v1
"""

from launch.launch_context import LaunchContext
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from gam_depth_ros.launch_support import argument, camera_description, require, value
from launch import LaunchDescription

# Version: package, executable, how to get it.
DRIVERS = {
    "v1": ("kinect_ros2", "kinect_ros2_node", "build github.com/fadlio/kinect_ros2"),
    "v2": ("kinect2_bridge", "kinect2_bridge_node", "build github.com/krepa098/kinect2_ros2"),
}


def driver(context: LaunchContext) -> list[Node]:
    """Describe the driver of the version."""
    version = value(context, "version")
    package, executable, install = DRIVERS[version]
    require(package, install)
    if version == "v1":
        return [Node(package=package, executable=executable, namespace="kinect", output="screen")]
    return [
        Node(
            package=package,
            executable=executable,
            output="screen",
            parameters=[
                {
                    "base_name": "kinect2",
                    "base_name_tf": "kinect2",
                    "publish_tf": True,
                    "sensor": ParameterValue(value(context, "sensor"), value_type=str),
                    "fps_limit": float(value(context, "fps_limit")),
                }
            ],
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Start the driver of the Kinect's version, and the node."""
    arguments = [
        argument("version", "v1", "v1: Xbox 360; v2: Xbox One.", choices=list(DRIVERS)),
        argument("sensor", "", "v2: serial number; empty: any."),
        argument("fps_limit", "30.0", "v2: most frames per second."),
        argument(
            "camera",
            ["kinect_", LaunchConfiguration("version")],
            "Camera file; where you have calibrated a v1, a copy of config/cameras/kinect_v1.yaml "
            "with your own extrinsics.",
        ),
        argument("camera_base", "", "What the driver's topics have in common."),
    ]
    return camera_description(arguments, driver)
