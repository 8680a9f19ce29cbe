"""Azure Kinect and the node.

ros2 launch gam_depth_ros azure_kinect.launch.py
"""

from launch.actions import IncludeLaunchDescription

from gam_depth_ros.launch_support import argument, camera_description, source
from launch import LaunchDescription

PACKAGE = "azure_kinect_ros_driver"
INSTALL = "build github.com/microsoft/Azure_Kinect_ROS_Driver, branch humble"
# Named as driver.launch.py names them, so they reach it; so does any other of its arguments.
ARGUMENTS = (
    ("color_format", "bgra", "bgra, or jpeg together with image_transport:=compressed."),
    ("color_resolution", "720P", "720P, 1080P, 1440P, 1536P, 2160P or 3072P."),
    ("depth_mode", "NFOV_UNBINNED", "NFOV_UNBINNED, NFOV_2X2BINNED, WFOV_UNBINNED, ..."),
    ("depth_unit", "16UC1", "16UC1 millimetres or 32FC1 metres."),
    ("fps", "30", "5, 15 or 30; 30 is not to be had with WFOV_UNBINNED or 3072P."),
    ("point_cloud", "false", "The driver's own cloud of the depth camera."),
    ("rgb_point_cloud", "false", "The driver's own cloud of both cameras."),
    ("sensor_sn", "", "Serial number; empty: any."),
)


def generate_launch_description() -> LaunchDescription:
    """Start azure_kinect_ros_driver and the node."""
    arguments = [argument(*row) for row in ARGUMENTS]
    arguments += [
        argument("camera", "azure_kinect", "Camera file."),
        argument("camera_base", "", "What the driver's topics have in common."),
    ]
    return camera_description(
        arguments,
        lambda _: [IncludeLaunchDescription(source(PACKAGE, "driver.launch.py", INSTALL))],
    )
