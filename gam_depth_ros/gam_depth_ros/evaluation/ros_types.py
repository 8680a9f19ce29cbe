"""The ROS message types that bags are read and written with, without ROS.

The standard types come from rosbags' type stores. The two custom ones stand here as text, so that a
bag can be written on a machine that has no ROS at all; a test holds them equal to gam_depth_msgs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
ODOMETRY = "nav_msgs/msg/Odometry"
TRANSFORMS = "tf2_msgs/msg/TFMessage"
SCALE_STATUS = "gam_depth_msgs/msg/ScaleStatus"
PERCEPTION_STATUS = "gam_depth_msgs/msg/PerceptionStatus"

NANOSECONDS = 1_000_000_000

CUSTOM_DEFINITIONS: dict[str, str] = {
    SCALE_STATUS: """\
std_msgs/Header header
uint8 UNKNOWN=0
uint8 ACQUIRING=1
uint8 LOCKED=2
uint8 HOLDING=3
uint8 LOST=4
uint8 state
string source
float64 value
float64 sigma_log
float64 age_s
string reason
float64 interval_90
float64 interval_95
""",
    PERCEPTION_STATUS: """\
std_msgs/Header header
uint8 OK=0
uint8 WARN=1
uint8 ERROR=2
uint8 STALE=3
uint8 level
string health
string[] notes
string model_name
string model_sha256
string provider
string precision
uint32 engines_replaced
uint64 frames_in
uint64 frames_published
uint64 frames_dropped
uint64 frames_failed
uint64 frames_idle
string[] drop_reasons
uint64[] drop_counts
string[] input_names
float64[] input_age_s
float64 rate_in_hz
float64 rate_out_hz
float64 latency_p50_ms
float64 latency_p99_ms
string[] stage_names
float64[] stage_p50_ms
float64[] stage_p99_ms
string scale_state
float64 scale_value
string[] picture
string drift
string[] given_up
float64 memory_mb
float64 cpu_temperature_c
string reload
float64 scale_age_s
string[] qos_faults
string[] silent_inputs
string[] drift_names
float64[] drift_psi
float64[] drift_outside
float64 boundary_agreement
""",
}
"""Message definitions of gam_depth_msgs, comments left out: they do not enter the type hash."""


@lru_cache(maxsize=1)
def ros2_types() -> Typestore:
    """Return the ROS 2 types: the standard ones and gam_depth_msgs."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    for name, text in CUSTOM_DEFINITIONS.items():
        store.register(get_types_from_msg(text, name))
    return store


def message_class(name: str) -> Any:
    """Return rosbags' class for a ROS 2 message type, for example ``std_msgs/msg/Header``."""
    return ros2_types().types[name]


def make_header(stamp_ns: int, frame_id: str) -> Any:
    """Build a ``std_msgs/Header``."""
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
    time = message_class("builtin_interfaces/msg/Time")(sec=seconds, nanosec=nanoseconds)
    return message_class("std_msgs/msg/Header")(stamp=time, frame_id=frame_id)


def stamp_ns(message: Any) -> int:
    """Return the header stamp of a decoded message in nanoseconds."""
    return int(message.header.stamp.sec) * NANOSECONDS + int(message.header.stamp.nanosec)
