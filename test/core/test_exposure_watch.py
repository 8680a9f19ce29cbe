"""Claims about steps of exposure: a picture that is darker or brighter all over, at once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from room_picture import room

from gam_depth_ros.core.exposure_watch import ExposureWatch
from gam_depth_ros.core.frame_health import FrameHealth
from gam_depth_ros.core.picture_statistics import PictureStatistics, picture_statistics

PERIOD_NS = 100_000_000
BLACK = np.zeros((480, 640, 3), np.uint8)


def figures(median: float, high: float) -> PictureStatistics:
    return PictureStatistics(0, median, high, 0, 0, 0, 0, 1, 0, 0)


def lit(light: float, seed: int = 0) -> np.ndarray:
    """The room in that much light, at gamma 2.2."""
    return (room(seed) * light ** (1 / 2.2)).astype(np.uint8)


def raised(pictures) -> list[bool]:
    """Whether a step is raised, picture by picture."""
    health = FrameHealth()
    states = [health.check(rgb, (1 + i) * PERIOD_NS) for i, rgb in enumerate(pictures)]
    return ["exposure_step" in state.conditions for state in states]


def test_the_step_is_the_smaller_of_two_moves_and_the_level_follows_in_a_second():
    watch = ExposureWatch()
    assert watch.step(figures(92, 192), PERIOD_NS) == 0.0
    watch.follow(figures(92, 192), PERIOD_NS)
    # 100 to 50 and 200 to 50, eight levels added to each.
    assert watch.step(figures(42, 42), 2 * PERIOD_NS) == pytest.approx(math.log(2.0))
    assert watch.step(figures(42, 200), 2 * PERIOD_NS) == 0.0
    watch.follow(figures(42, 92), 2 * PERIOD_NS)
    left = math.log(2.0) * math.exp(-0.1)
    assert watch.step(figures(42, 92), 3 * PERIOD_NS) == pytest.approx(left, rel=1e-6)


def test_a_light_that_goes_down_at_once_is_named_in_that_frame_and_for_less_than_two_seconds():
    # Turned round each time, as the same bytes again would be a frozen camera.
    dark = [np.roll(lit(0.15), index, axis=1) for index in range(20)]
    seen = raised([np.roll(lit(1.0), index, axis=1) for index in range(5)] + dark)
    assert not any(seen[:5])
    assert seen[5]
    assert not any(seen[-5:])
    health = FrameHealth()
    health.check(lit(1.0), PERIOD_NS)
    state = health.check(lit(0.15), 2 * PERIOD_NS)
    assert "exposure step: brightness off by a factor of" in state.reason
    assert state.sigma_factor > 1.0
    assert not state.withhold


def test_a_light_that_goes_down_slowly_is_no_step():
    assert not any(raised([lit(0.97**index) for index in range(60)]))


def test_another_view_is_no_step():
    assert not any(raised([room(seed) for seed in range(12)]))


def test_a_covered_lens_between_leaves_the_level_alone():
    health = FrameHealth()
    for index in range(1, 4):
        health.check(room(), index * PERIOD_NS)
    for index in range(4, 24):
        assert health.check(BLACK, index * PERIOD_NS).withhold
    assert "exposure_step" not in health.check(room(1), 24 * PERIOD_NS).conditions


def test_after_a_gap_a_reset_or_stamps_that_go_back_there_is_nothing_to_compare_with():
    dark = picture_statistics(lit(0.15))
    for stamp_ns, forget in ((60 * PERIOD_NS, False), (PERIOD_NS, False), (11 * PERIOD_NS, True)):
        watch = ExposureWatch()
        watch.follow(picture_statistics(room()), 10 * PERIOD_NS)
        if forget:
            watch.reset()
        assert watch.step(dark, stamp_ns) == 0.0
