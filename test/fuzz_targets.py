"""What bytes from outside are fed to, by name: hypothesis uses it for seconds, atheris for longer.

A target takes bytes and passes if they are read, or refused with the error that is documented and
one line. Pixels stand at the very end of a page whose successor may not be touched: reading one
byte past them ends the process.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.serde import SerdeError

from gam_depth_ros.core.camera import CameraError, Intrinsics
from gam_depth_ros.core.config import OdometryConfig
from gam_depth_ros.core.image_codec import (
    COLOR_ENCODINGS,
    DEPTH_ENCODINGS,
    MONO_ENCODINGS,
    ImageError,
    decode_color,
    decode_compressed_color,
    decode_compressed_depth,
    decode_depth,
    decode_mono,
)
from gam_depth_ros.core.labels import NYU13
from gam_depth_ros.core.model_file import ModelFile, _look_over, _MalformedError
from gam_depth_ros.core.model_spec import REQUIRED_OUTPUTS, ModelContractError, ModelSpec
from gam_depth_ros.core.odometry import Odometry, OdometryError, Pose
from gam_depth_ros.core.transforms import Extrinsics, TransformError, TransformTree
from gam_depth_ros.evaluation.bag_contents import DAMAGE, BagError
from gam_depth_ros.evaluation.bag_definitions import types_of
from gam_depth_ros.evaluation.bag_salvage import _walk_bag1_records, _walk_mcap_records
from gam_depth_ros.evaluation.message_decoding import color_of, depth_of, intrinsics_of
from gam_depth_ros.evaluation.ros_types import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, ros2_types

Target = Callable[[bytes], None]
PAGE = mmap.PAGESIZE
ROOM = 64 * PAGE
HEAD = struct.Struct("<BHHIB")  # encoding, height, width, step, byte order
FORMATS = ("", "jpeg", "bgr8; jpeg compressed bgr8", "bayer_rggb8; png compressed", "32FC1", "rvl")


class _Guarded:
    """Memory that ends where reading is forbidden."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, ROOM + PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mprotect(ctypes.c_void_p(start + ROOM), ctypes.c_size_t(PAGE), 0):
            raise OSError(ctypes.get_errno(), "mprotect")

    def holding(self, data: bytes) -> memoryview:
        """Return the data, copied to the end of what may be read; at most ``ROOM`` bytes."""
        data = data[:ROOM]
        begin = ROOM - len(data)
        self._map[begin:ROOM] = data
        return memoryview(self._map)[begin:ROOM]


_GUARDED = _Guarded()


class Tally:
    """How often bytes were offered to a reader, and read: that the seeds are, is a claim too."""

    tried = 0
    refused = 0

    def reset(self) -> None:
        """Count anew."""
        self.tried = self.refused = 0


TALLY = Tally()


@contextlib.contextmanager
def refused_in_one_line(*errors: type[Exception]) -> Iterator[None]:
    """Let these errors pass, if each is one line of text."""
    TALLY.tried += 1
    try:
        yield
    except errors as error:
        TALLY.refused += 1
        if not str(error) or "\n" in str(error):
            raise AssertionError(f"not one line: {error!r}") from error


def _raw(
    decode: Callable[..., np.ndarray[Any, Any]], encodings: tuple[str, ...], data: bytes
) -> None:
    head = data[: HEAD.size].ljust(HEAD.size, b"\0")
    which, height, width, step, big = HEAD.unpack(head)
    encoding = encodings[which % len(encodings)]
    pixels = _GUARDED.holding(data[HEAD.size :])
    with refused_in_one_line(ImageError):
        assert decode(pixels, encoding, height, width, step, bool(big & 1)).shape[:2] == (
            height,
            width,
        )


def color(data: bytes) -> None:
    _raw(decode_color, COLOR_ENCODINGS, data)


def depth(data: bytes) -> None:
    _raw(decode_depth, DEPTH_ENCODINGS, data)


def mono(data: bytes) -> None:
    _raw(decode_mono, MONO_ENCODINGS, data)


def compressed_color(data: bytes) -> None:
    with refused_in_one_line(ImageError):
        pixels = decode_compressed_color(_GUARDED.holding(data[1:]), _format(data))
        assert pixels.ndim == 3
        assert pixels.dtype == np.uint8


def compressed_depth(data: bytes) -> None:
    with refused_in_one_line(ImageError):
        depth_m = decode_compressed_depth(_GUARDED.holding(data[1:]), _format(data))
        assert depth_m.dtype == np.float32
        assert not (depth_m <= 0).any()


def _format(data: bytes) -> str:
    return FORMATS[(data[0] if data else 0) % len(FORMATS)]


def calibration(data: bytes) -> None:
    numbers = np.frombuffer(data[: len(data) // 8 * 8], np.float64).tolist()
    model = ("plumb_bob", "rational_polynomial", "equidistant", "")[len(data) % 4]
    sides = struct.unpack("<2H", data[:4].ljust(4, b"\0"))
    with refused_in_one_line(CameraError):
        Intrinsics.from_camera_info_values(*sides, numbers[:9], model, numbers[9:])


def pose(data: bytes) -> None:
    """Seven numbers as a static transform, and as two poses of odometry that an image follows."""
    numbers = np.frombuffer(data[:56].ljust(56, b"\0"), np.float64).tolist()
    motion = Extrinsics(tuple(numbers[:3]), tuple(numbers[3:]))
    transforms = TransformTree()
    with refused_in_one_line(TransformError):
        transforms.add("base", "camera", motion)
    odometry = Odometry(OdometryConfig(), transforms)
    with refused_in_one_line(OdometryError):
        odometry.add(Pose(1_000_000_000, "odom", "base", Extrinsics()))
        odometry.add(Pose(1_030_000_000, "odom", "base", motion))
        odometry.odom_T_camera(1_040_000_000, "camera")


def message(data: bytes) -> None:
    """A serialised message of one of the types that recordings are read for."""
    kind = (IMAGE, COMPRESSED_IMAGE, CAMERA_INFO)[(data[0] if data else 0) % 3]
    try:
        decoded = ros2_types().deserialize_cdr(data[1:], kind)
    except DAMAGE + (SerdeError,):  # what Bag.decode turns into a BagError
        TALLY.tried, TALLY.refused = TALLY.tried + 1, TALLY.refused + 1
        return
    if kind == CAMERA_INFO:
        with refused_in_one_line(CameraError):
            intrinsics_of(decoded)
        return
    for decode in (color_of, depth_of):
        with refused_in_one_line(ImageError):
            decode(decoded)


def model_file(data: bytes) -> None:
    with refused_in_one_line(ModelContractError, _MalformedError):
        _look_over(memoryview(data), "model", ModelFile(Path("fuzz.onnx"), data, ""))


def model_spec(data: bytes) -> None:
    with refused_in_one_line(ModelContractError):
        ModelSpec.from_json(data.decode("utf-8", "replace"))


def mcap(data: bytes) -> None:
    _walked(sum(1 for _ in _walk_mcap_records(BytesIO(data), {}, {})), data)


def rosbag1(data: bytes) -> None:
    _walked(sum(1 for _ in _walk_bag1_records(BytesIO(data), {})), data)


def _walked(records: int, data: bytes) -> None:
    TALLY.tried, TALLY.refused = TALLY.tried + 1, TALLY.refused + (records == 0)
    assert records <= len(data)


def definition(data: bytes) -> None:
    with refused_in_one_line(BagError):
        types_of("/fuzz", "fuzz_msgs/msg/Fuzz", data.decode("utf-8", "replace")[:2000], {})


def live_message(data: bytes) -> None:
    """The node's own conversion, where ROS 2 is installed."""
    try:
        from sensor_msgs.msg import CameraInfo, CompressedImage, Image

        from gam_depth_ros import messages
    except ImportError:
        return
    which, height, width, step, big = HEAD.unpack(data[: HEAD.size].ljust(HEAD.size, b"\0"))
    encodings = (*COLOR_ENCODINGS, *DEPTH_ENCODINGS, "no such")
    image = Image(height=height, width=width, step=step, is_bigendian=big)
    image.encoding, image.data = encodings[which % len(encodings)], data[HEAD.size :]
    packed = CompressedImage(format=_format(data), data=data[HEAD.size :])
    numbers = np.frombuffer(data[: len(data) // 8 * 8], np.float64).tolist()
    info = CameraInfo(height=height, width=width, d=numbers[9:], distortion_model="plumb_bob")
    info.k[: len(numbers[:9])] = numbers[:9]
    with refused_in_one_line(ImageError):
        messages.to_frame(image, 0, None, None)
    with refused_in_one_line(ImageError):
        messages.to_frame(packed, 0, None, None)
    with refused_in_one_line(ImageError):
        messages.to_reference(image, 0, None)
    for rectified in (False, True):
        with refused_in_one_line(CameraError):
            messages.to_intrinsics(info, rectified)


TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (
        color, depth, mono, compressed_color, compressed_depth, calibration, pose, message,
        model_file, model_spec, mcap, rosbag1, definition, live_message,
    )
}  # fmt: skip


def seeds() -> dict[str, list[bytes]]:
    """Return inputs that each target reads without complaint, to start from."""
    picture = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    depth_mm = np.arange(48, dtype=np.uint16).reshape(6, 8)
    jpeg, png = (cv2.imencode(kind, picture)[1].tobytes() for kind in (".jpg", ".png"))
    progressive = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    depth_png = cv2.imencode(".png", depth_mm)[1].tobytes()
    raw = [
        HEAD.pack(which, 6, 8, 8 * 16, 0) + bytes(6 * 8 * 16)
        for which in range(len(COLOR_ENCODINGS) + len(DEPTH_ENCODINGS))
    ]
    types = ros2_types()
    header = types.types["std_msgs/msg/Header"](
        stamp=types.types["builtin_interfaces/msg/Time"](sec=1, nanosec=2), frame_id="camera"
    )
    cdr = types.serialize_cdr(
        types.types[COMPRESSED_IMAGE](
            header=header, format="jpeg", data=np.frombuffer(jpeg, np.uint8)
        ),
        COMPRESSED_IMAGE,
    )
    numbers = np.array([500.0, 0, 4, 0, 500, 3, 0, 0, 1, 0.1, -0.2, 0, 0, 0.05]).tobytes()
    camera = struct.pack("<2H", 8, 6) + numbers[4:]  # the sides stand in digits that nobody misses
    fields = b"".join(
        struct.pack("<I", len(field)) + field
        for field in (b"op=\x02", b"conn=\0\0\0\0", b"time=" + bytes(8))
    )
    record = struct.pack("<I", len(fields)) + fields + struct.pack("<I", 4) + b"data"
    spec = ModelSpec("x", (48, 64), NYU13, outputs=REQUIRED_OUTPUTS).to_json().encode()
    body = struct.pack("<HIQQ", 1, 0, 7, 7) + b"data"
    return {
        "color": raw,
        "depth": raw[:3],
        "mono": raw[:3],
        "compressed_color": [b"\x01" + jpeg, b"\x02" + png, b"\x01" + progressive],
        "compressed_depth": [b"\x00" + depth_png, b"\x04" + bytes(12) + depth_png],
        "calibration": [camera],
        "pose": [np.array([0.1, 0.2, 0.3, 0.5, -0.5, 0.5, -0.5]).tobytes()],
        "message": [b"\x01" + bytes(cdr)],
        "model_file": [b"\x3a\x10\x0a\x06\x22\x04Relu\x2a\x06\x08\x01\x10\x01\x42\x00"],
        "model_spec": [spec],
        "mcap": [struct.pack("<BQ", 5, len(body)) + body],
        "rosbag1": [record],
        "definition": [b"std_msgs/Header header\nuint8[4] a\nstring B=x\nfloat64[] c"],
        "live_message": raw[:4],
    }  # fmt: skip
