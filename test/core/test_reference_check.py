"""Claims about references that lie: unit, repetition, noise, registration."""

import numpy as np
import pytest

from gam_depth_ros.core.config import ScaleConfig
from gam_depth_ros.core.reference_check import (
    ReferenceCheck,
    depth_edges,
    edge_scores,
    range_problem,
    thumbnail,
)

CONFIG = ScaleConfig()
HW = (120, 160)


def room(seed=0):
    """Boxes before a wall: each has a grey and a depth of its own, so that their edges agree."""
    generator = np.random.default_rng(seed)
    grey = np.full(HW, 90, np.uint8)
    depth_m = np.full(HW, 2.8, np.float32)
    for _ in range(9):
        top, left = generator.integers(0, 90), generator.integers(0, 130)
        height, width = generator.integers(15, 45), generator.integers(12, 40)
        box = np.s_[top : top + height, left : left + width]
        grey[box] = generator.integers(0, 255)
        depth_m[box] = generator.uniform(0.8, 2.0)
    noise = 1.0 + 0.005 * generator.standard_normal(HW)
    return np.repeat(grey[..., None], 3, axis=-1), (depth_m * noise).astype(np.float32)


def shifted(depth_m, right, down=0):
    moved = np.full_like(depth_m, np.nan)
    height, width = depth_m.shape
    moved[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = depth_m[
        max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)
    ]
    return moved


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (1.0, None),
        (1000.0, "got a median of 2000 m, expected 0.3 to 6 m; millimetres read as metres"),
        (0.001, "got a median of 0.002 m, expected 0.3 to 6 m; metres divided twice"),
        (4.0, "got 0.0% valid pixels from 0.3 to 6 m"),
    ],
)
def test_a_wrong_unit_is_recognised_by_what_a_room_can_be(factor, words):
    depth_m = np.full(HW, 2.0 * factor, np.float32)
    problem = range_problem(depth_m, CONFIG)
    assert (problem is None) if words is None else (words in problem)


def test_mostly_invalid_is_refused():
    depth_m = np.full(HW, np.nan, np.float32)
    depth_m[:5] = 2.0
    assert "got 4.2% valid pixels" in range_problem(depth_m, CONFIG)
    depth_m[:7] = 2.0
    assert range_problem(depth_m, CONFIG) is None


def test_a_large_range_asked_for_is_no_wrong_unit():
    config = ScaleConfig(max_reference_depth_m=100.0)
    assert range_problem(np.full(HW, 70.0, np.float32), config) is None


def test_the_thumbnail_is_every_fourth_pixel_of_a_vga_picture():
    depth_m = np.arange(480 * 640, dtype=np.float32).reshape(480, 640)
    grey, depth = thumbnail(np.full((480, 640, 3), 77, np.uint8), depth_m)
    assert (grey == 77).all()
    np.testing.assert_array_equal(depth, depth_m[::4, ::4])


def test_a_step_has_its_edge_on_the_near_side_and_a_slope_has_none():
    step = np.full((9, 12), 2.0, np.float32)
    step[:, :6] = 1.0
    edges, near = depth_edges(step)
    assert near == step.size
    assert (np.flatnonzero(edges.any(axis=0)) == [4, 5]).all()
    # A floor: inverse depth falls evenly to the horizon, from 1/0.4 m to 1/2.8 m.
    floor = np.broadcast_to(1 / np.linspace(1 / 0.4, 1 / 2.8, 40)[:, None], (40, 30))
    assert not depth_edges(floor.astype(np.float32))[0].any()


def test_an_edge_beside_a_shadow_without_readings_is_found():
    step = np.full((9, 16), 2.0, np.float32)
    step[:, :6] = 1.0
    step[:, 6:8] = np.nan
    assert depth_edges(step)[0][:, 5].all()


def test_edges_score_best_where_they_belong():
    rgb, depth_m = room()
    grey, depth = thumbnail(rgb, depth_m)
    scores, points = edge_scores(grey, depth_edges(depth)[0])
    assert points > 100
    assert np.unravel_index(scores.argmax(), scores.shape) == (6, 6)
    moved, _ = edge_scores(grey, depth_edges(shifted(depth, 8, -4))[0])
    assert np.unravel_index(moved.argmax(), moved.shape) == (6 + 2, 6 - 4)


@pytest.mark.parametrize(("right", "down"), [(10, 0), (-10, 0), (0, 10), (7, -7)])
def test_depth_of_another_place_is_refused_and_taken_back_when_it_fits(right, down):
    check = ReferenceCheck(CONFIG)
    for seed in range(6):
        assert check.problem(*room(seed)) is None
    lines = []
    for seed in range(6, 12):
        rgb, depth_m = room(seed)
        lines.append(check.problem(rgb, shifted(depth_m, right, down)))
    assert all(line is not None and "register the depth" in line for line in lines[-3:])
    for seed in range(12, 20):
        last = check.problem(*room(seed))
    assert last is None


def test_registration_is_not_judged_where_that_is_switched_off():
    check = ReferenceCheck(ScaleConfig(check_registration=False))
    for seed in range(6):
        rgb, depth_m = room(seed)
        assert check.problem(rgb, shifted(depth_m, 10)) is None


def test_a_blank_wall_says_nothing_of_registration():
    check = ReferenceCheck(CONFIG)
    for index in range(5):
        depth_m = np.full(HW, 2.0 + 0.01 * index, np.float32)
        assert check.problem(np.full((*HW, 3), 40 * index, np.uint8), depth_m) is None


def test_noise_is_refused():
    check = ReferenceCheck(CONFIG)
    depth_m = np.random.default_rng(0).uniform(0.3, 6.0, HW).astype(np.float32)
    problem = check.problem(room()[0], depth_m)
    assert "of the readings, expected at most 25%; it is noise" in problem


def test_a_frozen_sensor_is_refused_only_when_the_picture_changes():
    check = ReferenceCheck(CONFIG)
    rgb, depth_m = room()
    dimmer = (rgb * 0.99).astype(np.uint8)
    other = room(1)[0]
    assert check.problem(rgb, depth_m) is None
    assert check.problem(dimmer, depth_m.copy()) is None
    frozen = check.problem(other, depth_m)
    assert "got the same bytes again while the picture changed" in frozen
    assert check.problem(*room(1)) is None


def test_reset_forgets_the_frozen_bytes():
    check = ReferenceCheck(CONFIG)
    rgb, depth_m = room()
    assert check.problem(rgb, depth_m) is None
    check.reset()
    assert check.problem(255 - rgb, depth_m) is None
