"""Small frames for tests of the fusion of a sensor with the prediction."""

import numpy as np

from gam_depth_ros.core.config import FusionConfig
from gam_depth_ros.core.frame import ReferenceDepth
from gam_depth_ros.core.sensor_fusion import SensorFusion

SIZE = (48, 64)


def metres(value, size=SIZE):
    return np.full(size, value, np.float32)


def picture(grey=128, size=SIZE):
    return np.full((*size, 3), grey, np.uint8)


def reference(depth_m, stamp_ns=0):
    return ReferenceDepth(depth_m, stamp_ns, "camera")


def fusion(mode="fuse", **changes):
    return SensorFusion(FusionConfig(mode=mode, **{"sensor": "kinect"} | changes))


def fused_once(sensor_m, depth_m, sigma_m, mode="fuse", **changes):
    """Fuse one frame of constant or given arrays."""
    arrays = [metres(v) if np.isscalar(v) else v for v in (sensor_m, depth_m, sigma_m)]
    camera = fusion(mode, **changes)
    return camera.update(
        0, arrays[1], arrays[2], reference(arrays[0]), picture(size=arrays[1].shape)
    )


def textured(seed, low=1.0, high=3.0, size=SIZE):
    """Smooth positive relief that differs by seed."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]] / max(size)
    a, b, c = rng.uniform(0.5, 4, 3)
    wave = 0.5 + 0.25 * (np.sin(a * rows * 3 + b) + np.sin(c * columns * 3))
    return (low + (high - low) * wave).astype(np.float32)


def with_hole(depth_m, rows=slice(16, 32), columns=slice(20, 44)):
    holed = depth_m.copy()
    holed[rows, columns] = np.nan
    return holed
