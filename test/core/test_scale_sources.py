"""Claims about a stated scale and about one from the camera's height above the floor."""

from dataclasses import replace

import numpy as np
import pytest
from scale_frames import FLOOR, HW, SECOND, STEP, seen

from gam_depth_ros.core.config import ScaleConfig
from gam_depth_ros.core.scale_alignment import (
    CameraHeight,
    FixedScale,
    make_scale_source,
)


def test_fixed_scale_is_known_from_the_start_and_ignores_references():
    config = ScaleConfig(source="fixed", fixed_value=2.5, fixed_sigma_log=0.1)
    source = make_scale_source(config)
    assert isinstance(source, FixedScale)
    assert source.observe(seen(0, 9.0)) is None
    source.refuse("reference depth refused: got nonsense")
    state = source.estimate(SECOND)
    assert (state.state, state.source, state.value) == ("LOCKED", "fixed", 2.5)
    assert state.sigma_log == 0.1
    source.configure(replace(config, fixed_value=3.0))
    assert source.estimate(SECOND).value == 3.0


def floor_frame(stamp_ns, units_high, fraction=1.0):
    """A level camera above an endless floor: depth = height · fy / (v − cy) below the horizon."""
    rows = np.arange(HW[0], dtype=np.float32)
    below = np.maximum(rows - 9.5, 0.4)[:, None]
    depth = np.broadcast_to(units_high * 20.0 / below, HW).astype(np.float32)
    labels = np.full(HW, 11, np.uint8)
    labels[12:, : round(30 * fraction)] = FLOOR
    return seen(stamp_ns, depth=depth, labels=labels)


def test_camera_height_learns_from_the_floor_without_a_reference():
    source = make_scale_source(ScaleConfig(source="camera_height", camera_height_m=1.2))
    assert isinstance(source, CameraHeight)
    assert (source.needs_reference, source.needs_labels) == (False, True)
    for index in range(3):
        assert source.observe(floor_frame(index * STEP, 0.4)) is None
    state = source.estimate(3 * STEP)
    assert (state.state, state.source) == ("LOCKED", "camera_height")
    assert state.value == pytest.approx(3.0, rel=1e-3)
    assert state.sigma_log > ScaleConfig.camera_height_sigma_log


@pytest.mark.parametrize(
    ("height_m", "fraction", "words"),
    [(0.0, 1.0, "got no camera_height_m"), (1.2, 0.0, "got 0.0% of the picture labelled floor")],
)
def test_without_height_or_floor_camera_height_says_so(height_m, fraction, words):
    config = ScaleConfig(source="camera_height", camera_height_m=height_m)
    source = CameraHeight(config)
    source.observe(floor_frame(0, 0.4, fraction))
    state = source.estimate(STEP)
    assert state.state == "UNKNOWN"
    assert words in state.reason


def test_another_camera_height_is_learnt_anew():
    config = ScaleConfig(source="camera_height", camera_height_m=1.2)
    source = CameraHeight(config)
    for index in range(3):
        source.observe(floor_frame(index * STEP, 0.4))
    source.configure(replace(config, max_age_s=5.0))
    assert source.estimate(3 * STEP).known
    source.configure(replace(config, camera_height_m=0.6))
    assert not source.estimate(3 * STEP).known


def test_with_camera_height_no_reason_speaks_of_a_reference():
    config = ScaleConfig(source="camera_height", camera_height_m=1.2, max_age_s=10.0)
    source = CameraHeight(config)
    reasons = [source.estimate(0).reason]
    for index in range(3):
        source.observe(floor_frame(index * STEP, 0.4))
        reasons.append(source.estimate((index + 1) * STEP).reason)
    source.observe(floor_frame(3 * STEP, 4.0))
    reasons += [source.estimate(at).reason for at in (4 * STEP, 5 * SECOND, 60 * SECOND)]
    assert len(set(reasons)) >= 5
    assert not any("reference" in reason for reason in reasons)
    assert reasons[1] == "1 of 2 floor measurements that agree"
    assert reasons[3] == "following the floor measurement"
    assert reasons[5].startswith("no fresh floor measurement for 4.8 s; floor measurement doubted")
    assert reasons[6].startswith("the last floor measurement is 59.8 s old")
