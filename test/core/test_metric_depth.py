"""Claims about the step from network depth to metres."""

from __future__ import annotations

import numpy as np
from plain_pipeline import PLAIN

from gam_depth_ros.core.frame import ScaleState
from gam_depth_ros.core.metric_depth import metric_depth
from gam_depth_ros.core.prediction import Prediction, empty_float, empty_ids

SIZE_HW = (64, 96)
LOCKED = ScaleState("LOCKED", "fixed", 1.3, 0.123, 0.0, "")


def _at(values: np.ndarray, offset: int) -> np.ndarray:
    """Return a copy that begins so many values after a border of 64 bytes."""
    room = np.empty(values.size + 32, np.float32)
    first = (-(room.ctypes.data // values.itemsize)) % 16 + offset
    moved = room[first : first + values.size].reshape(values.shape)
    moved[:] = values
    return moved


def test_where_arrays_lie_in_memory_changes_no_bit():
    # OpenCV's magnitude depends on it, and so a run once differed from the next.
    rng = np.random.default_rng(0)
    depth, sigma = (rng.uniform(0.1, 1.0, SIZE_HW).astype(np.float32) for _ in range(2))
    found, kept = set(), []
    for offset in range(16):
        prediction = Prediction(depth, _at(sigma, offset), empty_ids(), empty_float())
        result = metric_depth(prediction, LOCKED, PLAIN, known=True, sigma=True)
        kept.append((result, np.empty(4 * offset + 1, np.float32)))  # the next lies elsewhere
        found.add(b"".join(part.tobytes() for part in result))
    assert len(found) == 1


def test_sigma_joins_the_networks_and_the_scales_and_goes_by_depth():
    depth, sigma = np.full(SIZE_HW, 2.0, np.float32), np.full(SIZE_HW, 0.3, np.float32)
    prediction = Prediction(depth, sigma, empty_ids(), empty_float())
    scale = ScaleState("LOCKED", "fixed", 1.5, 0.4, 0.0, "")
    depth_m, sigma_m = metric_depth(prediction, scale, PLAIN, known=True, sigma=True)
    np.testing.assert_allclose(depth_m, 3.0, rtol=1e-6)
    np.testing.assert_allclose(sigma_m, 0.5 * 3.0, rtol=1e-6)
