"""Claims about a lens that is covered in part: what stays blank while the rest moves."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from room_picture import room

from gam_depth_ros.core.cover_watch import CoverWatch
from gam_depth_ros.core.frame_health import FrameHealth
from gam_depth_ros.core.picture_statistics import block_levels

PERIOD_NS = 100_000_000
WIDE = cv2.resize(room(3, (96, 768)), (768, 96))


def view(index: int, step_px: int = 8) -> np.ndarray:
    """What a camera sees that turns along a room."""
    left = index * step_px % 640
    return WIDE[:, left : left + 128].copy()


def covered(picture: np.ndarray, columns: int = 32, level: int = 20) -> np.ndarray:
    """The picture with something dark over its left."""
    picture[:, :columns] = level
    return picture


def shares(pictures, period_ns: int = PERIOD_NS) -> list[float]:
    watch = CoverWatch()
    return [watch.share(rgb, (1 + i) * period_ns) for i, rgb in enumerate(pictures)]


def test_blocks_have_the_mean_and_spread_of_their_pixels():
    grey = np.zeros((96, 128), np.float32)
    grey[:8, :4] = 10.0  # half of the first block
    mean, spread = block_levels(grey)
    assert mean.shape == (12, 16)
    assert mean[0, 0] == pytest.approx(5.0)
    assert spread[0, 0] == pytest.approx(5.0)
    assert not mean[1:].any()
    assert not spread[:, 1:].any()


def test_a_quarter_that_stays_blank_while_the_rest_moves_is_found_within_a_second():
    found = shares(covered(view(index)) for index in range(12))
    assert not any(found[:7])
    assert found[-1] == pytest.approx(0.25)


def test_nothing_is_found_on_a_free_lens():
    assert max(shares(view(index) for index in range(40))) < 0.05


def test_a_bare_wall_that_moves_through_the_picture_is_no_cover():
    def with_wall(index: int) -> np.ndarray:
        picture = view(index)
        left = max(0, 120 - 6 * index)
        picture[:, left : left + 40] = 140
        return picture

    assert max(shares(with_wall(index) for index in range(20))) < 0.12


def test_while_nothing_moves_nothing_is_told_and_what_was_found_holds():
    assert not any(shares(covered(view(0)) for _ in range(20)))
    moving = [covered(view(index)) for index in range(15)]
    still = [covered(view(14)) for _ in range(15)]
    assert shares(moving + still)[-1] == pytest.approx(0.25)


def test_it_ends_within_a_second_of_the_lens_being_free():
    found = shares([covered(view(i)) for i in range(15)] + [view(i) for i in range(15, 28)])
    assert found[14] == pytest.approx(0.25)
    assert found[-1] < 0.05


def test_a_lens_wiped_while_the_robot_stands_is_free_at_once():
    moving = [covered(view(index)) for index in range(15)]
    found = shares(moving + [covered(view(14))] * 15 + [view(14)] * 2)
    assert found[-3] == pytest.approx(0.25)
    assert found[-2] < 0.05  # what is blank behind it too


@pytest.mark.parametrize("rate_hz", [0.5, 1.0, 2.0, 30.0])
def test_a_camera_of_any_rate_is_judged_and_let_go(rate_hz):
    watch, pictures = CoverWatch(), round(max(6.0, 1.5 * rate_hz))
    cover = [covered(view(index, 24)) for index in range(pictures)]
    free = [view(pictures + index, 24) for index in range(pictures)]
    found = [watch.share(rgb, int(1e9 * k / rate_hz)) for k, rgb in enumerate(cover + free)]
    assert found[pictures - 1] == pytest.approx(0.25)
    assert found[-1] < 0.05


def test_a_gap_stamps_that_go_back_and_a_reset_forget_it():
    for stamp_ns, forget in ((60 * PERIOD_NS, False), (PERIOD_NS, False), (16 * PERIOD_NS, True)):
        watch = CoverWatch()
        for index in range(15):
            watch.share(covered(view(index)), (1 + index) * PERIOD_NS)
        if forget:
            watch.reset()
        assert watch.share(covered(view(15)), stamp_ns) == 0.0


@settings(max_examples=10, deadline=None)
@given(rate_hz=st.floats(0.5, 120.0))
def test_memory_is_bounded_at_every_rate(rate_hz):
    watch, period_ns = CoverWatch(), int(1e9 / rate_hz)
    picture = covered(view(0))
    for index in range(60):
        watch.share(picture, index * period_ns)
    assert len(watch._kept) <= 12


def test_it_is_a_condition_that_widens_sigma_and_withholds_nothing():
    health = FrameHealth()
    states = [health.check(covered(view(i)), (1 + i) * PERIOD_NS) for i in range(12)]
    assert "partly_covered" in states[-1].conditions
    assert "partly covered: 25% stays blank, expected 12% or less" in states[-1].reason
    assert states[-1].sigma_factor > 1.0
    assert not states[-1].withhold
    health.reset()
    assert "partly_covered" not in health.check(covered(view(12)), 13 * PERIOD_NS).conditions
