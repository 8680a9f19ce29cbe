"""Intel RealSense and the node.

ros2 launch gam_depth_ros realsense.launch.py
"""

from launch.actions import IncludeLaunchDescription
from launch.substitutions import LaunchConfiguration

from gam_depth_ros.launch_support import argument, camera_description, source
from launch import LaunchDescription

PACKAGE = "realsense2_camera"
INSTALL = "apt install ros-$ROS_DISTRO-realsense2-camera"
# Named as rs_launch.py names them, so they reach it; so does any other of its arguments.
ARGUMENTS = (
    ("camera_name", "camera", "Name of the camera, of its frames and topics."),
    ("camera_namespace", "camera", "Namespace of the camera."),
    ("serial_no", "''", "Serial number after an underscore, such as _845112071234; '': any."),
    ("align_depth.enable", "true", "Have the driver align the depth to the colour image."),
    ("enable_sync", "true", "Have colour and depth of one instant carry one stamp."),
    ("rgb_camera.color_profile", "640x480x30", "Colour: width x height x frames per second."),
    ("depth_module.depth_profile", "640x480x30", "Depth: width x height x frames per second."),
)


def generate_launch_description() -> LaunchDescription:
    """Start realsense2_camera and the node."""
    arguments = [argument(*row) for row in ARGUMENTS]
    arguments += [
        argument(
            "camera",
            "realsense",
            "Camera file; realsense_unaligned with align_depth.enable:=false.",
        ),
        argument(
            "camera_base",
            [LaunchConfiguration("camera_namespace"), "/", LaunchConfiguration("camera_name")],
            "What the driver's topics have in common.",
        ),
    ]
    return camera_description(
        arguments, lambda _: [IncludeLaunchDescription(source(PACKAGE, "rs_launch.py", INSTALL))]
    )
