"""An Orbbec camera and the node.

ros2 launch gam_depth_ros orbbec.launch.py model:=femto_bolt
"""

from launch.actions import IncludeLaunchDescription
from launch.launch_context import LaunchContext
from launch.substitutions import LaunchConfiguration

from gam_depth_ros.launch_support import argument, camera_description, source, value
from launch import LaunchDescription

PACKAGE = "orbbec_camera"
INSTALL = "build github.com/orbbec/OrbbecSDK_ROS2"
# But for the first, named as the driver's launch files name them, so they reach it.
ARGUMENTS = (
    ("model", "femto_bolt", "Launch file of the driver: femto_bolt, femto_mega, gemini2, ..."),
    ("camera_name", "camera", "Name of the camera, of its frames and topics."),
    ("serial_number", "", "Serial number; empty: any."),
    ("depth_registration", "true", "Have the driver register the depth to the colour image."),
    ("enable_point_cloud", "false", "The driver's own cloud."),
)


def driver(context: LaunchContext) -> list[IncludeLaunchDescription]:
    """Include the launch file of the camera's model."""
    name = f"{value(context, 'model')}.launch.py"
    return [IncludeLaunchDescription(source(PACKAGE, name, INSTALL))]


def generate_launch_description() -> LaunchDescription:
    """Start orbbec_camera and the node."""
    arguments = [argument(*row) for row in ARGUMENTS]
    arguments += [
        argument("camera", "orbbec", "Camera file."),
        argument(
            "camera_base",
            LaunchConfiguration("camera_name"),
            "What the driver's topics have in common.",
        ),
    ]
    return camera_description(arguments, driver)
