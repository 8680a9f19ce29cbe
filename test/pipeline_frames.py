"""Frames for the tiny model, whose depth is known."""


import numpy as np
from tiny_model import tiny_depth

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_ros.core.frame import (
    Frame,
    Perception,
    ReferenceDepth,
)

PERIOD = 33_000_000
CAMERA = Intrinsics(64, 48, 50.0, 50.0, 31.5, 23.5)
RGB = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def frame(index: int, metres_per_unit: float | None = 2.0, rgb=RGB, **changes) -> Frame:
    reference = None
    if metres_per_unit is not None:
        depth_m = (tiny_depth(rgb) * metres_per_unit).astype(np.float32)
        reference = ReferenceDepth(depth_m, index * PERIOD, "camera")
    values = {"rgb": rgb, "stamp_ns": index * PERIOD, "frame_id": "camera", "intrinsics": CAMERA}
    return Frame(**(values | {"reference": reference} | changes))


def bytes_of(perception: Perception) -> bytes:
    arrays = (
        perception.network_depth,
        perception.depth_m,
        perception.sigma_m,
        perception.labels,
        perception.label_confidence,
        perception.source,
    )
    return b"".join(array.tobytes() for array in arrays)
