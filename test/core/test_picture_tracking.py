"""Claims about where pixels were in the frame before, on grids as fine as they may be."""

import cv2
import numpy as np
import pytest
from temporal_frames import POSTER

from gam_depth_ros.core.optical_flow import Motion, pixel_grid
from gam_depth_ros.core.picture_tracking import PictureTracker
from gam_depth_ros.core.sampling import NETWORK_PIXELS, grid_step, network_step
from gam_depth_ros.core.temporal_config import TemporalConfig

SMALL, FINE, ODD = (96, 128), (288, 384), (250, 310)
FLOW, STILL = TemporalConfig(mode="flow"), TemporalConfig(mode="still")
INNER = np.s_[8:-8, 8:-8]


def moved_by(shift_xy, growth=1.0):
    """Return the poster as it was and as it is after a shift of its own pixels and a growth."""
    turn = cv2.getRotationMatrix2D((63.5, 47.5), 0, growth)
    turn[:, 2] += shift_xy
    return POSTER, cv2.warpAffine(POSTER, turn, (128, 96), borderMode=cv2.BORDER_REFLECT)


def tracked(size_hw, before, now, config=FLOW, motion=None):
    tracker = PictureTracker()
    first, second = (tracker.picture(picture, size_hw, config) for picture in (before, now))
    return tracker.track(second, first, size_hw, config, motion)


@pytest.mark.parametrize(("pixels", "step"), [(1, 1), (12_288, 1), (49_151, 1), (49_152, 2)])
def test_a_network_like_the_shipped_one_is_looked_at_whole(pixels, step):
    assert network_step(pixels) == step


def test_a_grid_keeps_as_many_pixels_as_are_wanted():
    for pixels in range(1, 2000, 7):
        assert pixels // grid_step(pixels, 100) ** 2 >= min(pixels, 100)
    assert NETWORK_PIXELS == 96 * 128


@pytest.mark.parametrize("size_hw", [SMALL, FINE, ODD])
def test_a_picture_that_moved_is_followed_to_where_it_was(size_hw):
    before, now = moved_by((3.0, -2.0))
    track = tracked(size_hw, before, now)
    to_grid = np.array([size_hw[1] / 128, size_hw[0] / 96])
    flow = (track.source - pixel_grid(*size_hw))[INNER] / to_grid
    np.testing.assert_allclose(np.median(flow, axis=(0, 1)), (-3.0, 2.0), atol=0.15)
    assert track.followed.shape == size_hw
    assert track.followed[INNER].mean() > 0.8
    assert track.explained


def test_a_finer_grid_finds_the_same_motion():
    before, now = moved_by((0.0, 0.0), growth=1.04)
    small, fine = (tracked(size_hw, before, now) for size_hw in (SMALL, FINE))
    assert fine.log_change == pytest.approx(small.log_change, abs=1e-9)
    assert small.log_change == pytest.approx(-np.log(1.04), abs=0.01)
    blocks = np.kron(small.followed, np.ones((3, 3), np.bool_))
    np.testing.assert_array_equal(fine.followed, blocks)


@pytest.mark.parametrize("size_hw", [SMALL, FINE, ODD])
def test_what_is_new_in_a_picture_is_not_followed(size_hw):
    before = np.full((480, 640, 3), 100, np.uint8)
    now = before.copy()
    now[120:240, 160:320] = 180
    track = tracked(size_hw, before, now, STILL)
    new = cv2.resize(now[..., 0], size_hw[::-1], interpolation=cv2.INTER_NEAREST) == 180
    edge = cv2.dilate(new.astype(np.uint8), np.ones((9, 9))) != cv2.erode(
        new.astype(np.uint8), np.ones((9, 9))
    )
    assert track.source is None
    np.testing.assert_array_equal(track.followed[~edge], ~new[~edge])
    assert not track.explained  # nothing to see growth by


@pytest.mark.parametrize("size_hw", [SMALL, FINE])
def test_a_motion_that_is_known_is_taken_pixel_by_pixel(size_hw):
    flow = np.zeros((*size_hw, 2), np.float32)
    flow[..., 1] = np.linspace(0.0, 0.5, size_hw[1], dtype=np.float32)
    change = np.linspace(-0.1, 0.1, flow[..., 0].size, dtype=np.float32).reshape(size_hw)
    track = tracked(size_hw, POSTER, POSTER, STILL, Motion(flow, change))
    np.testing.assert_array_equal(track.source, pixel_grid(*size_hw) + flow)
    np.testing.assert_array_equal(track.log_change, change)
    assert track.explained
