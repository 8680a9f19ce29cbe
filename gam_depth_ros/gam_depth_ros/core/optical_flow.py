"""Where each pixel was one frame before: by optical flow, or by the camera's own motion.

Flow is backward: the pixel at p now was at p + flow(p) in the frame before, so that what was known
of that frame is fetched by one look-up per pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_ros.core.medians import median

Floats = npt.NDArray[np.float32]
Grey = npt.NDArray[np.uint8]

_FIT_STEP = 4
_FIT_ROUNDS = 4
_FIT_SOFTNESS_PX = 0.1
_MIN_FIT_POINTS = 24
_RIDGE = np.diag([1e-9, 1.0, 1.0])
_MAX_LOOMING = 0.5
_EDGE_LOG = 0.02  # where linear and nearest look-up differ by more, an edge runs between
_EXPOSURE_STEP = 2  # every how many-th pixel shows how the whole picture's brightness changed
_TEXTURE_GREY = 8  # grey levels between darkest and brightest neighbour: above a sensor's noise
_NEIGHBOURS = np.ones((3, 3), np.uint8)
_NOWHERE = -1e4  # pixels; a NaN would be cast to any integer


@dataclass(frozen=True)
class Motion:
    """How the picture moved since the frame before.

    Attributes:
        flow: H×W×2 float32 pixels (x, y): the pixel at p was at p + flow. NaN where unknown.
        log_change: Log of the depth of what a pixel shows, now over before; one number for the
            frame or H×W float32, NaN where unknown. Zero for a camera that only turns.
    """

    flow: Floats
    log_change: float | Floats = 0.0

    def on_grid(self, size_hw: tuple[int, int]) -> Motion:
        """Return the same motion on another grid over the same picture, in that grid's pixels."""
        change = self.log_change
        if isinstance(change, np.ndarray):
            change = _resize_nearest(change, size_hw)
        return Motion(resize_flow(self.flow, size_hw), change)


def grey_picture(rgb: npt.NDArray[np.uint8], size_hw: tuple[int, int]) -> Grey:
    """Return the picture's brightness at a size, h×w uint8.

    Args:
        rgb: H×W×3 uint8 RGB.
        size_hw: Height and width wanted, pixels.
    """
    # One channel is resized instead of three.
    return resize_grey(np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8), size_hw)


def resize_grey(grey: Grey, size_hw: tuple[int, int]) -> Grey:
    """Return a picture at another size; when it shrinks, each pixel is the mean of its area."""
    height, width = size_hw
    if grey.shape == size_hw:
        return grey
    resized = cv2.resize(grey, (width, height), interpolation=_method(grey, size_hw))
    return np.asarray(resized, np.uint8)


def _method(image: npt.NDArray[Any], size_hw: tuple[int, int]) -> int:
    """Return how OpenCV is to bring an image to a size."""
    shrinks = image.shape[0] >= size_hw[0] and image.shape[1] >= size_hw[1]
    return cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR


def _resize_nearest(values: Floats, size_hw: tuple[int, int]) -> Floats:
    """Return values on another grid over the same picture, each that of the nearest pixel."""
    if values.shape == size_hw:
        return values
    resized = cv2.resize(values, size_hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(resized, np.float32)


class FlowEstimator:
    """Dense inverse search flow (Kroeger et al., ECCV 2016) in OpenCV's fastest preset."""

    def __init__(self) -> None:
        self._search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        # The preset stops at a quarter of the size, which is for pictures far larger than these.
        self._search.setFinestScale(1)

    def flow(self, grey: Grey, previous: Grey) -> Floats:
        """Return the flow from a picture back to the one before, h×w×2 float32 pixels.

        Args:
            grey: h×w uint8, at least 16 pixels along each axis.
            previous: h×w uint8, the frame before.
        """
        # No flow is handed in as a start: one bad frame must not spoil the next.
        return np.asarray(self._search.calc(grey, previous, None), np.float32)


def resize_flow(flow: Floats, size_hw: tuple[int, int]) -> Floats:
    """Return the flow on another grid over the same picture, in that grid's pixels."""
    height, width = size_hw
    if flow.shape[:2] == size_hw:
        return flow
    method = _method(flow, size_hw)
    resized: Floats = np.asarray(cv2.resize(flow, size_hw[::-1], interpolation=method), np.float32)
    # One axis after the other: a product with both numbers at once takes NumPy five times as long.
    resized[..., 0] *= np.float32(width / flow.shape[1])
    resized[..., 1] *= np.float32(height / flow.shape[0])
    return resized


def rigid_flow(
    depth_m: Floats,
    intrinsics: Intrinsics,
    previous_T_current: npt.NDArray[np.float64],  # noqa: N803
) -> Motion:
    """Return the motion of a scene that stands still, seen by a camera that moved.

    Distortion is not applied: on a distorted picture the flow is off where the distortion's slope
    differs between the two places of a pixel.

    Args:
        depth_m: H×W float32 depth of the frame now, metres; NaN where unknown.
        intrinsics: Calibration of the depth image.
        previous_T_current: 4×4, takes points of the camera now to the camera of the frame before.

    Returns:
        Flow and log change of depth; NaN where depth is unknown or the point lay behind the camera.

    Raises:
        ValueError: the transform is not 4×4 and finite.
    """
    transform = np.asarray(previous_T_current, np.float64)
    if transform.shape != (4, 4) or not np.isfinite(transform).all():
        raise ValueError(
            f"previous_T_current: got {transform.shape} or values that are not finite, expected a "
            "finite 4×4 transform; check the odometry"
        )
    # K (R K⁻¹ p z + t): one 3×3 matrix for the direction of each pixel, and one offset.
    matrix = intrinsics.matrix()
    turn = (matrix @ transform[:3, :3] @ np.linalg.inv(matrix)).astype(np.float32)
    offset = (matrix @ transform[:3, 3]).astype(np.float32)
    height, width = depth_m.shape
    pixels = pixel_grid(height, width)
    x, y = pixels[..., 0], pixels[..., 1]
    rows = [(row[0] * x + row[1] * y + row[2]) * depth_m for row in turn]
    before_m = rows[2] + offset[2]
    before_m[~(before_m > 0)] = np.nan
    flow = np.empty((height, width, 2), np.float32)
    for axis in (0, 1):
        np.divide(rows[axis] + offset[axis], before_m, out=flow[..., axis])
    flow -= pixels
    with np.errstate(invalid="ignore", divide="ignore"):
        log_change = np.log(depth_m / before_m)
    return Motion(flow, np.asarray(log_change, np.float32))


def looming(flow: Floats, followed: npt.NDArray[np.bool_]) -> float:
    """Return how the log depth of the frame changed, by how the picture grew.

    What comes nearer grows: an image patch at depth z has size ∝ 1/z, so the log of the backward
    map's linear scale is log(z now / z before) (Lee, Perception 1976). The scale is that of the
    affine map that fits the flow best, found by iteratively reweighted least absolute deviations.

    Args:
        flow: H×W×2 float32 backward flow, pixels.
        followed: H×W, the pixels whose flow is to be believed.

    Returns:
        Log change of depth, now over before; 0 where too few pixels are followed, and never more
        than a factor of 1.65 to either side.
    """
    step = slice(_FIT_STEP // 2, None, _FIT_STEP)
    chosen = followed[step, step]
    if np.count_nonzero(chosen) < _MIN_FIT_POINTS:
        return 0.0
    height, width = flow.shape[:2]
    points = pixel_grid(height, width)[step, step][chosen].astype(np.float64)
    moved = flow[step, step][chosen].astype(np.float64)
    design = np.ones((len(points), 3))
    np.subtract(points, points.mean(axis=0), out=design[:, 1:])
    weight = np.ones(len(points))
    solution = np.zeros((3, 2))
    for _ in range(_FIT_ROUNDS):
        weighted = design * weight[:, None]
        normal = weighted.T @ design
        # A hint of ridge: points on one line leave a direction without any.
        normal += _RIDGE
        solution = np.linalg.solve(normal, weighted.T @ moved)
        off = moved - design @ solution
        weight = 1.0 / np.maximum(np.hypot(off[:, 0], off[:, 1]), _FIT_SOFTNESS_PX)
    (x_by_x, y_by_x), (x_by_y, y_by_y) = solution[1:].tolist()
    scale = (1.0 + x_by_x) * (1.0 + y_by_y) - x_by_y * y_by_x
    if scale <= 0:
        return 0.0
    return min(max(0.5 * math.log(scale), -_MAX_LOOMING), _MAX_LOOMING)


def source_of(flow: Floats) -> Floats:
    """Return where each pixel was, H×W×2 float32 pixel coordinates; unknown is far outside."""
    source = pixel_grid(*flow.shape[:2]) + flow
    source[np.isnan(source)] = _NOWHERE
    return np.asarray(source, np.float32)


def fetch(image: npt.NDArray[Any], source: Floats, *, nearest: bool) -> npt.NDArray[Any]:
    """Look an image up at given places; outside, the nearest pixel of its border.

    Args:
        image: h×w of float32 or uint8.
        source: H×W×2 float32 from :func:`source_of`.
        nearest: Take the nearest pixel instead of interpolating linearly.
    """
    method = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    no_second_map: Any = None
    fetched = cv2.remap(image, source, no_second_map, method, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(fetched, image.dtype)


def looks_alike(now: Grey, before: Grey, gate: float) -> npt.NDArray[np.bool_]:
    """Return which pixels have the brightness they had, but for a change of the whole picture's.

    Args:
        now: H×W uint8.
        before: H×W uint8, each pixel where it is now.
        gate: Grey levels, of 255, that it may differ by.
    """
    difference = np.subtract(now, before, dtype=np.int16)
    exposure = median(difference[::_EXPOSURE_STEP, ::_EXPOSURE_STEP].ravel())
    return np.asarray(np.abs(difference - np.float32(exposure)) <= gate, np.bool_)


def texture_share(grey: Grey) -> float:
    """Return the share of pixels whose neighbourhood shows enough for motion to be seen, 0 to 1."""
    spread = cv2.subtract(cv2.dilate(grey, _NEIGHBOURS), cv2.erode(grey, _NEIGHBOURS))
    return float(np.count_nonzero(spread > _TEXTURE_GREY)) / grey.size


def fetch_within_edges(log_depth: Floats, source: Floats) -> Floats:
    """Look log depth up between pixels, but for edges, where the nearest pixel is taken.

    Interpolation across an edge would invent a depth that is on neither side, and frame after
    frame it would widen the edge.
    """
    smooth = fetch(log_depth, source, nearest=False)
    sharp = fetch(log_depth, source, nearest=True)
    return np.where(np.abs(smooth - sharp) <= _EDGE_LOG, smooth, sharp)


def is_inside(source: Floats, size_hw: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return which places lie in a picture, H×W."""
    height, width = size_hw
    x, y = source[..., 0], source[..., 1]
    inside = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    return np.asarray(inside, np.bool_)


@lru_cache(maxsize=8)
def pixel_grid(height: int, width: int) -> Floats:
    """Return each pixel's own coordinates, height×width×2 float32 (x, y); read-only."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    grid = np.dstack([x, y])
    grid.setflags(write=False)
    return grid
