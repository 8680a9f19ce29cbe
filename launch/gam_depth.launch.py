"""The node, behind any camera driver.

ros2 launch gam_depth_ros gam_depth.launch.py camera:=realsense
"""

from launch.actions import OpaqueFunction
from launch.launch_context import LaunchContext
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from gam_depth_ros import launch_support, topics
from gam_depth_ros.camera_file import INPUTS, CameraFile, read_camera
from gam_depth_ros.launch_support import argument, value
from launch import LaunchDescription

RESPAWN_DELAY_S = 2.0
REMAPPED = {
    "image": "Colour image; its compressed form is <image>/compressed.",
    "camera_info": "Calibration of the colour image.",
    "reference_depth": "Sensor depth; sets the metric scale.",
    "reference_camera_info": "Calibration of the sensor depth.",
    "odometry": "Pose of the robot or of the camera; the filter over time goes by it.",
}
# Parameters that are arguments too. One that is not given is left to params_file.
PARAMETERS = {
    "model_path": (str, "ONNX model file, or a name in models.yaml."),
    "autostart": (bool, "Configure and activate at start: true or false."),
    "image_transport": (str, "raw or compressed."),
    "use_sim_time": (bool, "Take the time from /clock, as a bag player sends it: true or false."),
}


def start(context: LaunchContext) -> list[Node]:
    """Describe the node once the arguments have their values."""
    camera = read_camera(value(context, "camera"), launch_support.share() / "config/cameras")
    given = {key: value(context, key) for key in INPUTS}
    actions = [node(context, camera, camera.resolved(value(context, "camera_base"), given))]
    if value(context, "rviz") == "true":
        actions.append(rviz(context, camera))
    return actions


def node(context: LaunchContext, camera: CameraFile, names: dict[str, str]) -> Node:
    """Describe the node with the camera's quirks, then the user's file, then the arguments."""
    # Typed, so that launch does not read a name such as 1e3 as a number.
    arguments = {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, (kind, _) in PARAMETERS.items()
        if value(context, name)
    }
    parameters = [camera.parameters, value(context, "params_file"), arguments]
    remappings = [(INPUTS[key], name) for key, name in names.items()]
    return Node(
        package="gam_depth_ros",
        executable="gam_depth_node",
        name=value(context, "name"),
        namespace=value(context, "namespace"),
        output="screen",
        parameters=[entry for entry in parameters if entry],
        remappings=[*remappings, (topics.IMAGE_COMPRESSED.name, f"{names['image']}/compressed")],
        arguments=["--ros-args", "--log-level", value(context, "log_level")],
        respawn=value(context, "respawn") == "true",
        respawn_delay=RESPAWN_DELAY_S,
    )


def rviz(context: LaunchContext, camera: CameraFile) -> Node:
    """Describe RViz with every output of the node, whatever the node's name and namespace are."""
    space = value(context, "namespace").strip("/")
    here = "".join(f"/{part}" for part in (space, value(context, "name")) if part)
    relative = [row.name for row in topics.OUTPUTS if row.name.startswith("~")]
    config = launch_support.share() / "config/gam_depth.rviz"
    frame = ["--fixed-frame", camera.frame] if camera.frame else []
    return Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        arguments=["--display-config", str(config), *frame],
        remappings=[(row.replace("~", "/gam_depth"), row.replace("~", here)) for row in relative],
    )


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, then start the node."""
    params_file = str(launch_support.share() / "config/gam_depth.yaml")
    arguments = [
        argument("name", "gam_depth", "Node name."),
        argument("namespace", "", "Node namespace."),
        argument(
            "camera",
            "",
            "Camera file with the driver's topics and quirks: a path, or a name in config/cameras, "
            "such as realsense. Empty: the node's own topic names.",
        ),
        argument(
            "camera_base",
            "",
            "What the driver's topics have in common, such as camera/camera; a leading slash "
            "leaves the namespace. Empty: as in the camera file.",
        ),
        argument("params_file", params_file, "Parameters of the node; they win over the camera's."),
        argument("log_level", "info", "Log level of the node."),
        argument("respawn", "false", "Start the node again whenever it ends: true or false."),
        argument("rviz", "false", "Show the outputs in RViz: true or false."),
    ]
    arguments += [
        argument(name, "", f"{what} Empty: as params_file or the node has it.")
        for name, (_, what) in PARAMETERS.items()
    ]
    arguments += [
        argument(name, "", f"{what} Empty: as in the camera file, or {INPUTS[name]}.")
        for name, what in REMAPPED.items()
    ]
    return LaunchDescription(
        [*arguments, *launch_support.large_image_profile(), OpaqueFunction(function=start)]
    )
