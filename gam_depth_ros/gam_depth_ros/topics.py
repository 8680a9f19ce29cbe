"""Every topic and service of the node, once: node.py subscribes and publishes by this table.

No ROS here, so that the reference page can be written where ROS is not installed.
"""

from __future__ import annotations

from dataclasses import dataclass

SENSOR_DATA = "sensor data"
SYSTEM_DEFAULT = "system default"
LATCHED = "latched"


@dataclass(frozen=True)
class Topic:
    """One row of the table.

    Attributes:
        name: Relative name; ``~`` is the node's own name.
        interface: Type, for example ``sensor_msgs/msg/Image``.
        what: One line: content, encoding, unit, invalid value.
        qos: ``sensor data`` (best effort, depth 5), ``system default`` or ``latched``
            (reliable, transient local).
    """

    name: str
    interface: str
    what: str
    qos: str = SYSTEM_DEFAULT


IMAGE = Topic(
    "image",
    "sensor_msgs/msg/Image",
    "Colour image, any of the encodings below; used when `image_transport` is `raw`.",
    SENSOR_DATA,
)
IMAGE_COMPRESSED = Topic(
    "image/compressed",
    "sensor_msgs/msg/CompressedImage",
    "Colour image as JPEG or PNG; used when `image_transport` is `compressed`.",
    SENSOR_DATA,
)
CAMERA_INFO = Topic(
    "camera_info",
    "sensor_msgs/msg/CameraInfo",
    "Calibration of the colour image. Without it there is no `~/depth/camera_info` and no "
    "`~/points`; everything else is published.",
    SENSOR_DATA,
)
REFERENCE_DEPTH = Topic(
    "reference_depth",
    "sensor_msgs/msg/Image",
    "Optional sensor depth (16UC1 millimetres or 32FC1 metres): sets the metric scale. In the "
    "colour image's frame and size it is used as it is, else registered by `registration.*`.",
    SENSOR_DATA,
)
REFERENCE_CAMERA_INFO = Topic(
    "reference_depth/camera_info",
    "sensor_msgs/msg/CameraInfo",
    "Calibration of the reference depth; needed only where that has to be registered.",
    SENSOR_DATA,
)
TF_STATIC = Topic(
    "/tf_static",
    "tf2_msgs/msg/TFMessage",
    "Where the depth camera stands, for reference depth in another frame than the image, and where "
    "the camera stands on what `odometry` moves. Off where tf2_msgs is not installed.",
    LATCHED,
)
ODOMETRY = Topic(
    "odometry",
    "nav_msgs/msg/Odometry",
    "Optional pose of the robot, or of the camera itself: the filter over time then goes by it "
    "instead of optical flow. Where its child_frame_id is not the image's frame, the camera's "
    "place comes from `/tf_static`. Off where nav_msgs is not installed.",
    SENSOR_DATA,
)
INPUTS = (
    IMAGE,
    IMAGE_COMPRESSED,
    CAMERA_INFO,
    REFERENCE_DEPTH,
    REFERENCE_CAMERA_INFO,
    TF_STATIC,
    ODOMETRY,
)

DEPTH = Topic(
    "~/depth/image",
    "sensor_msgs/msg/Image",
    "Metric depth at the size of the image (REP-118): 32FC1 metres, NaN unknown; or 16UC1 "
    "millimetres, 0 unknown, by `depth_encoding`.",
)
DEPTH_INFO = Topic(
    "~/depth/camera_info", "sensor_msgs/msg/CameraInfo", "The image's calibration, restamped."
)
UNCERTAINTY = Topic(
    "~/depth/uncertainty",
    "sensor_msgs/msg/Image",
    "Half-width of the 68.3 % interval of the depth, 32FC1 metres, NaN unknown.",
)
SOURCE = Topic(
    "~/depth/source",
    "sensor_msgs/msg/Image",
    "Where each depth came from, mono8: 0 unknown, 1 sensor, 2 network, 3 fused.",
)
MASK = Topic("~/semantics/mask", "sensor_msgs/msg/Image", "Label ids, mono8; 255 unlabelled.")
CONFIDENCE = Topic(
    "~/semantics/confidence", "sensor_msgs/msg/Image", "Confidence of the label, mono8, 0 to 255."
)
COLOR = Topic(
    "~/semantics/color", "sensor_msgs/msg/Image", "The mask in the label set's colours, rgb8."
)
LABEL_INFO = Topic(
    "~/semantics/label_info",
    "vision_msgs/msg/LabelInfo",
    "Names of the label ids. Off where vision_msgs is not installed.",
    LATCHED,
)
POINTS = Topic(
    "~/points",
    "sensor_msgs/msg/PointCloud2",
    "Organised cloud, one point a pixel: x, y, z (metres, optical frame, NaN unknown), rgb, "
    "label, sigma (metres).",
)
SCALE = Topic(
    "~/scale",
    "gam_depth_msgs/msg/ScaleStatus",
    "What is known of the metric scale, one for each frame. Off where gam_depth_msgs is not "
    "installed.",
)
STATUS = Topic(
    "~/status",
    "gam_depth_msgs/msg/PerceptionStatus",
    "Model, rates, counts and latencies, once a second. Off where gam_depth_msgs is not installed.",
)
DIAGNOSTICS = Topic(
    "/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", "The node's health, once a second."
)
OUTPUTS = (
    DEPTH,
    DEPTH_INFO,
    UNCERTAINTY,
    SOURCE,
    MASK,
    CONFIDENCE,
    COLOR,
    LABEL_INFO,
    POINTS,
    SCALE,
    STATUS,
    DIAGNOSTICS,
)

RESET_SCALE = Topic(
    "~/reset_scale",
    "gam_depth_msgs/srv/ResetScale",
    "Forget the metric scale; metric outputs are NaN until it is known again. Off where "
    "gam_depth_msgs is not installed.",
)
RELOAD_MODEL = Topic(
    "~/reload_model",
    "gam_depth_msgs/srv/ReloadModel",
    "Load another model beside the running one, compare both on `shadow_frames` frames, put it in "
    "its place between two frames, and take it back if it breaks the contract, gives unhealthy "
    "depth or sigma, or is slower than `reload.latency_budget_ms`. Answers when it is over. Off "
    "where gam_depth_msgs is not installed.",
)
SERVICES = (RESET_SCALE, RELOAD_MODEL)
