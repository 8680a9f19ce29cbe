"""Our codec, pairing and cloud hold to cv_bridge, message_filters and sensor_msgs_py.

Those come with apt, not from the package index: each test is skipped where its one is missing.
"""

import numpy as np
import pytest

from gam_depth_ros.core.camera import CLOUD_DTYPE, Intrinsics, organised_cloud
from gam_depth_ros.core.image_codec import decode_color, decode_depth
from gam_depth_ros.core.pairing import StampPairer

NO_CV_BRIDGE = "cv_bridge comes with apt (ros-<distro>-cv-bridge), not from the package index"
NO_FILTERS = "message_filters comes with apt (ros-<distro>-message-filters)"
NO_CLOUDS = "sensor_msgs_py comes with apt (ros-<distro>-sensor-msgs-py)"
NO_MESSAGES = "sensor_msgs is not installed"


def image_message(array, encoding, is_bigendian=False):
    messages = pytest.importorskip("sensor_msgs.msg", reason=NO_MESSAGES)
    message = messages.Image()
    message.height, message.width = array.shape[:2]
    message.encoding, message.is_bigendian = encoding, int(is_bigendian)
    message.step = array.nbytes // array.shape[0]
    message.data = array.tobytes()
    return message


def decoded(decode, message):
    return decode(
        bytes(message.data),
        message.encoding,
        message.height,
        message.width,
        message.step,
        bool(message.is_bigendian),
    )


@pytest.mark.parametrize(
    ("encoding", "channels", "dtype", "tolerance"),
    [
        ("rgb8", 3, np.uint8, 0),
        ("bgr8", 3, np.uint8, 0),
        ("rgba8", 4, np.uint8, 0),
        ("bgra8", 4, np.uint8, 0),
        ("mono8", 1, np.uint8, 0),
        ("mono16", 1, np.uint16, 1),  # rounding of 16 to 8 bits
        ("yuv422", 2, np.uint8, 1),
        ("yuv422_yuy2", 2, np.uint8, 1),
        ("bayer_rggb8", 1, np.uint8, 0),
        ("bayer_bggr8", 1, np.uint8, 0),
        ("bayer_gbrg8", 1, np.uint8, 0),
        ("bayer_grbg8", 1, np.uint8, 0),
    ],
)
def test_colour_decodes_as_cv_bridge_does(encoding, channels, dtype, tolerance):
    bridge = pytest.importorskip("cv_bridge", reason=NO_CV_BRIDGE).CvBridge()
    shape = (24, 32) if channels == 1 else (24, 32, channels)
    limit = np.iinfo(dtype).max + 1
    array = np.random.default_rng(0).integers(0, limit, shape).astype(dtype)
    message = image_message(array, encoding)
    theirs = bridge.imgmsg_to_cv2(message, desired_encoding="rgb8")
    ours = decoded(decode_color, message)
    assert np.abs(ours.astype(int) - theirs).max() <= tolerance


@pytest.mark.parametrize("is_bigendian", [False, True])
@pytest.mark.parametrize(("encoding", "dtype"), [("16UC1", "u2"), ("32FC1", "f4")])
def test_depth_decodes_as_cv_bridge_does(encoding, dtype, is_bigendian):
    bridge = pytest.importorskip("cv_bridge", reason=NO_CV_BRIDGE).CvBridge()
    if is_bigendian and not hasattr(np.ndarray, "newbyteorder"):
        pytest.skip("cv_bridge reads big-endian data through a method that numpy 2 took away")
    array = np.arange(1, 25).reshape(4, 6).astype((">" if is_bigendian else "<") + dtype)
    message = image_message(array, encoding, is_bigendian)
    theirs = bridge.imgmsg_to_cv2(message, desired_encoding="passthrough").astype(np.float32)
    unit = 1000.0 if encoding == "16UC1" else 1.0
    np.testing.assert_allclose(decoded(decode_depth, message), theirs / unit, rtol=1e-6)


def test_stamps_pair_as_message_filters_pairs_them():
    filters = pytest.importorskip("message_filters", reason=NO_FILTERS)
    messages = pytest.importorskip("sensor_msgs.msg", reason=NO_MESSAGES)
    rng = np.random.default_rng(0)
    period_ns, slop_ns = 33_000_000, 10_000_000
    images = [i * period_ns for i in range(40)]
    references = [stamp + int(rng.integers(-8_000_000, 8_000_000)) for stamp in images if stamp % 7]
    theirs: list[tuple[int, int]] = []
    queues = [filters.SimpleFilter(), filters.SimpleFilter()]
    synchroniser = filters.ApproximateTimeSynchronizer(queues, 32, slop_ns / 1e9)

    def stamp_of(message):
        return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec

    synchroniser.registerCallback(lambda a, b: theirs.append((stamp_of(a), stamp_of(b))))
    pairer: StampPairer[int] = StampPairer(slop_ns, capacity=len(references))
    for stamp, queue in sorted([(s, 0) for s in images] + [(s, 1) for s in references]):
        message = messages.Image()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 1_000_000_000)
        queues[queue].signalMessage(message)
        if queue == 1:
            pairer.add(stamp, stamp)
    ours = [(stamp, pairer.take(stamp)) for stamp in images]
    assert [pair for pair in ours if pair[1] is not None] == sorted(theirs)


def test_cloud_reads_back_with_sensor_msgs_py():
    reader = pytest.importorskip("sensor_msgs_py.point_cloud2", reason=NO_CLOUDS)
    messages = pytest.importorskip("sensor_msgs.msg", reason=NO_MESSAGES)
    camera = Intrinsics(6, 4, 5.0, 5.0, 2.5, 1.5)
    depth_m = np.arange(1, 25, dtype=np.float32).reshape(4, 6)
    depth_m[0, 0] = np.nan
    labels = np.full((4, 6), 4, np.uint8)
    rgb = np.full((4, 6, 3), (1, 2, 3), np.uint8)
    cloud = organised_cloud(depth_m, depth_m * 0.1, rgb, labels, camera)
    message = messages.PointCloud2(height=4, width=6, point_step=24, row_step=144)
    kinds = {"<f4": 7, "<u4": 6, "|u1": 2}
    for name in CLOUD_DTYPE.names:
        dtype, offset = CLOUD_DTYPE.fields[name][:2]
        message.fields.append(
            messages.PointField(name=name, offset=offset, datatype=kinds[dtype.str], count=1)
        )
    message.data = cloud.tobytes()
    points = reader.read_points(message)
    for name in ("x", "y", "z", "sigma", "label", "rgb"):
        np.testing.assert_array_equal(np.ravel(points[name]), cloud[name].ravel())
