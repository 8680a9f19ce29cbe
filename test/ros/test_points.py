"""The organised cloud against the lens equations: every point falls back onto its own pixel.

The projection is written out here from its definitions (Brown 1966 with the rational denominator;
Kannala & Brandt 2006), so that it shares nothing with what made the cloud.
"""

from __future__ import annotations

import struct

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="needs ROS 2")

from gam_depth_ros import messages
from gam_depth_ros.core.camera import Intrinsics
from gam_depth_ros.core.frame import Perception, ScaleState

SIZE_HW = (60, 80)
FX, FY, CX, CY = 62.5, 61.0, 38.2, 31.4
LENSES = {
    "none": (),
    "plumb_bob": (-0.28, 0.09, 0.0007, -0.0012, 0.01),
    "rational_polynomial": (0.6, -2.7, 0.0008, -0.0005, 1.6, 0.5, -2.5, 1.5),
    "equidistant": (-0.02, 0.011, -0.004, 0.0006),
}
FORMATS = {2: "B", 6: "I", 7: "f"}  # PointField.UINT8, UINT32, FLOAT32


def lens(model: str, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates of the direction (x, y, 1)."""
    if model == "equidistant":
        k1, k2, k3, k4 = LENSES[model]
        r = np.hypot(x, y)
        angle = np.arctan(r)
        bent = angle * (1 + k1 * angle**2 + k2 * angle**4 + k3 * angle**6 + k4 * angle**8)
        factor = np.where(r > 1e-12, bent / np.maximum(r, 1e-12), 1.0)
        return FX * x * factor + CX, FY * y * factor + CY
    k1, k2, p1, p2, k3, k4, k5, k6 = (*LENSES[model], *(0.0,) * 8)[:8]
    r2 = x**2 + y**2
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
    bent_y = y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y
    return FX * bent_x + CX, FY * bent_y + CY


def perception(model: str) -> Perception:
    """Random depth with holes, random labels; sigma a tenth of depth."""
    rng = np.random.default_rng(5)
    depth_m = rng.uniform(0.4, 6.0, SIZE_HW).astype(np.float32)
    depth_m[rng.random(SIZE_HW) < 0.1] = np.nan
    empty = np.empty((0, 0), np.float32)
    return Perception(
        stamp_ns=12,
        frame_id="camera",
        intrinsics=Intrinsics(SIZE_HW[1], SIZE_HW[0], FX, FY, CX, CY, model, LENSES[model]),
        network_depth=empty,
        steady_depth=empty,
        network_sigma_log=empty,
        depth_m=depth_m,
        sigma_m=np.float32(0.1) * depth_m,
        labels=rng.integers(0, 13, SIZE_HW).astype(np.uint8),
        label_confidence=empty,
        source=np.zeros(SIZE_HW, np.uint8),
        scale=ScaleState("LOCKED", "fixed", 1.0, 0.0, 0.0, "by hand"),
    )


def points_of(message: object) -> dict[str, np.ndarray]:
    """Read a cloud as its fields describe it, point by point; H×W for each field."""
    prefix = ">" if message.is_bigendian else "<"
    data = bytes(message.data)
    assert len(data) == message.row_step * message.height
    columns: dict[str, np.ndarray] = {}
    for field in message.fields:
        form = prefix + FORMATS[field.datatype]
        columns[field.name] = np.array(
            [
                struct.unpack_from(form, data, row * message.row_step + at + field.offset)[0]
                for row in range(message.height)
                for at in range(0, message.width * message.point_step, message.point_step)
            ]
        ).reshape(message.height, message.width)
    return columns


@pytest.mark.parametrize("model", LENSES)
def test_every_point_projects_back_onto_its_pixel_with_its_depth_label_and_sigma(model):
    result = perception(model)
    rgb = np.random.default_rng(6).integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8)
    message = messages.to_points(result, rgb, messages.to_header(12, "camera"))
    points = points_of(message)

    known = np.isfinite(result.depth_m)
    assert known.any()
    assert not known.all()
    for name in ("x", "y", "z", "sigma"):
        np.testing.assert_array_equal(np.isfinite(points[name]), known, err_msg=name)
    np.testing.assert_allclose(points["z"][known], result.depth_m[known], rtol=1e-6)
    np.testing.assert_allclose(points["sigma"][known], 0.1 * result.depth_m[known], rtol=1e-6)
    np.testing.assert_array_equal(points["label"], result.labels)

    z = points["z"][known].astype(np.float64)
    u, v = lens(model, points["x"][known] / z, points["y"][known] / z)
    rows, columns = np.nonzero(known)
    np.testing.assert_allclose(u, columns, atol=0.01)
    np.testing.assert_allclose(v, rows, atol=0.01)

    packed = points["rgb"].astype(np.float32).view(np.uint32)
    unpacked = np.stack([packed >> 16 & 255, packed >> 8 & 255, packed & 255], axis=-1)
    np.testing.assert_array_equal(unpacked, rgb)
