"""Reference depth as sensors report it: holes, quantisation, edge noise.

Both models work in disparity (focal × baseline / depth), where such sensors measure: an error of a
fixed part of a pixel there grows with the square of the depth. 0 marks a missing reading.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .semantics import TV, WINDOW

Rng = np.random.Generator
Float = NDArray[np.float32]


@dataclass(frozen=True)
class DepthSensor:
    """One depth camera.

    baseline_m: projector (or second camera) to the right of the camera. focal_ratio: focal length
    over image width. step_px: quantum of disparity at 640 columns. noise_px: its standard deviation
    there. grain_px: correlation length of the noise. near_m, far_m: range. fatten_px: how far near
    objects grow. edge_holes: share of edge pixels without reading. hole_side: +1 shadows on the
    left of near objects. border_px: columns without reading at the left.
    """

    baseline_m: float
    focal_ratio: float
    step_px: float
    noise_px: float
    grain_px: float
    near_m: float
    far_m: float
    fatten_px: int
    edge_holes: float
    hole_side: int
    border_px: int


KINECT = DepthSensor(0.075, 0.9, 0.125, 0.06, 1.0, 0.5, 8.0, 0, 0.5, 1, 10)
REALSENSE = DepthSensor(0.05, 0.95, 0.03125, 0.09, 2.5, 0.25, 8.0, 2, 0.15, 1, 4)
SENSORS = {"kinect": KINECT, "realsense": REALSENSE}
REFERENCES = (*SENSORS, "exact")


def to_millimetres(depth_m: Float) -> NDArray[np.uint16]:
    """Depth in metres (NaN unknown) to uint16 millimetres (0 unknown; beyond 65.5 m unknown)."""
    mm = np.nan_to_num(depth_m, nan=0.0, posinf=0.0) * 1000
    return np.where(mm < 65535, mm + 0.5, 0).astype(np.uint16)


def sensor_depth(sensor: DepthSensor, depth_m: Float, label: NDArray[np.uint8],
                 rgb: NDArray[np.uint8], rng: Rng) -> NDArray[np.uint16]:  # fmt: skip
    """What ``sensor`` reports for exact depth H×W (metres, NaN unknown): uint16 mm, 0 missing.

    Missing: out of range; hidden from the projector; half of the edges; most of every window; much
    of every screen; dark things far away; the left border.
    """
    height, width = depth_m.shape
    scale = width / 640
    valid = np.isfinite(depth_m) & (depth_m > 0.05)
    depth = np.where(valid, depth_m, np.float32(100)).astype(np.float32)
    constant = np.float32(sensor.focal_ratio * 640 * sensor.baseline_m)
    disparity = constant / depth  # pixels of a 640-column image, whatever the size here
    hidden = _hidden(disparity * scale, sensor.hole_side)
    edge = _edges(disparity)
    disparity = _jittered(disparity, edge, sensor, scale, rng)
    noise = cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0),
                             max(sensor.grain_px * scale, 0.3))  # fmt: skip
    disparity = disparity + sensor.noise_px * noise / max(float(noise.std()), 1e-6)
    disparity = np.round(disparity / sensor.step_px) * sensor.step_px
    reading = constant / np.maximum(disparity, np.float32(1e-3))
    keep = valid & ~hidden & (reading >= sensor.near_m) & (reading <= sensor.far_m)
    keep &= ~(edge & (rng.random((height, width)) < sensor.edge_holes))
    keep &= ~_absorbed(label, rgb, depth, rng)
    keep[:, : round(sensor.border_px * scale)] = False
    return to_millimetres(np.where(keep, reading, np.nan).astype(np.float32))


def _hidden(disparity_px: Float, side: int) -> NDArray[np.bool_]:
    """Pixels that the projector cannot see: something right of them lies left of them there."""
    if side < 0:
        return _hidden(disparity_px[:, ::-1], 1)[:, ::-1]
    columns = np.arange(disparity_px.shape[1], dtype=np.float32)
    projected = columns - disparity_px
    rightmost = np.minimum.accumulate(projected[:, ::-1], axis=1)[:, ::-1]
    hidden = np.zeros(projected.shape, bool)
    hidden[:, :-1] = rightmost[:, 1:] < projected[:, :-1] - 0.5
    return hidden


def _edges(disparity: Float) -> NDArray[np.bool_]:
    """Pixels beside a step of depth of more than about 4 %."""
    logarithm = np.log(disparity)
    box = np.ones((3, 3), np.uint8)
    return (cv2.dilate(logarithm, box) - cv2.erode(logarithm, box)) > 0.08


def _jittered(disparity: Float, edge: NDArray[np.bool_], sensor: DepthSensor, scale: float,
              rng: Rng) -> Float:  # fmt: skip
    """Near objects grow by ``fatten_px``; edge pixels take the value of a pixel close by."""
    grow = round(sensor.fatten_px * scale)
    if grow:
        disparity = cv2.dilate(disparity, np.ones((2 * grow + 1, 2 * grow + 1), np.uint8))
    height, width = disparity.shape
    rows, cols = np.nonzero(edge)
    spread = max(1.5 * scale, 0.6)
    shift = np.rint(rng.normal(0, spread, (2, len(rows)))).astype(int)
    from_rows, from_cols = (
        (rows + shift[0]).clip(0, height - 1),
        (cols + shift[1]).clip(0, width - 1),
    )
    result = disparity.copy()
    result[rows, cols] = disparity[from_rows, from_cols]
    return result


def _absorbed(label: NDArray[np.uint8], rgb: NDArray[np.uint8], depth: Float, rng: Rng
              ) -> NDArray[np.bool_]:  # fmt: skip
    """Blotches without reading on panes, on screens and on dark things beyond two metres."""
    height, width = label.shape
    blotch = np.zeros((height, width), np.float32)
    for cell, weight in ((48, 0.8), (12, 0.5), (4, 0.4)):
        grid = rng.standard_normal((-(-height // cell), -(-width // cell))).astype(np.float32)
        blotch += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    dark = (rgb.max(-1) < 28) & (depth > 2.0)
    missing = (label == WINDOW) & (blotch < 1.0)
    missing |= (label == TV) & (blotch < 0.2)
    missing |= dark & (blotch < 0.0)
    return missing | (blotch < -2.6)
