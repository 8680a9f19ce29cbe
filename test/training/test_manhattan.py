"""Claims about the room's directions: on lines of a known camera, and on rendered rooms."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from gam_depth_training.manhattan import directions_of_lines, line_segments, manhattan_directions
from gam_depth_training.synthetic.shards import room_frames
from gam_depth_training.synthetic.textures import make_texture_bank

INTRINSICS = np.array([[320.0, 0, 191.5], [0, 330.0, 143.5], [0, 0, 1]])


def _error_deg(found: np.ndarray, camera_R_room: np.ndarray) -> float:  # noqa: N803
    """Least rotation between found directions and the room's axes, whatever their names."""
    errors = []
    for order in itertools.permutations(range(3)):
        rows = found[list(order)]
        rows = rows * np.sign((rows * camera_R_room.T).sum(1))[:, None]
        cosine = (np.trace(rows @ camera_R_room) - 1) / 2
        errors.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return min(errors)


def _rotation(*degrees: float) -> np.ndarray:
    return cv2.Rodrigues(np.deg2rad(degrees))[0]


def _lines(camera_R_room: np.ndarray, noise_px: float, clutter: int, seed: int) -> np.ndarray:  # noqa: N803
    """Pictures of 12 lines along each axis of a room, and of lines of no direction."""
    rng = np.random.default_rng(seed)
    lines = []
    for axis in np.repeat(np.arange(3), 12):
        start = rng.uniform([-1, -1, 2.5], [1, 1, 4])
        ends = np.stack([start, start + 0.8 * camera_R_room[:, axis]]) @ INTRINSICS.T
        lines.append((ends[:, :2] / ends[:, 2:]).ravel() + rng.normal(0, noise_px, 4))
    lines += list(rng.uniform(0, 280, (clutter, 4)))
    return np.array(lines)


@pytest.mark.parametrize("turn", [(0, 0, 0), (12, 30, 4), (-35, 10, 20), (3, 44, -2), (5, -20, 88)])
def test_exact_lines_give_the_exact_directions(turn):
    rotation = _rotation(*turn)
    found = directions_of_lines(_lines(rotation, 0.0, 0, seed=1), INTRINSICS)
    assert _error_deg(found, rotation) < 0.01


def test_noisy_lines_among_clutter_give_the_directions_within_a_degree():
    errors = []
    for seed in range(10):
        rotation = _rotation(10, 25 - 5 * seed, 3)
        found = directions_of_lines(_lines(rotation, 0.3, 8, seed), INTRINSICS)
        errors.append(_error_deg(found, rotation))
    assert np.median(errors) < 0.5
    assert max(errors) < 2


def test_directions_are_orthonormal_named_by_the_camera_axes_and_then_negated():
    found = directions_of_lines(_lines(_rotation(8, -20, 5), 0.3, 5, 0), INTRINSICS)
    np.testing.assert_allclose(found[:3] @ found[:3].T, np.eye(3), atol=1e-9)
    assert (np.diag(found[:3]) > 0.7).all()
    np.testing.assert_array_equal(found[3:], -found[:3])


def test_a_mirrored_picture_has_mirrored_directions():
    lines = _lines(_rotation(8, -20, 5), 0.0, 0, 0)
    mirrored = lines * [-1, 1, -1, 1] + [383, 0, 383, 0]
    plain, flipped = (directions_of_lines(each, INTRINSICS) for each in (lines, mirrored))
    expected = plain[:3] * [-1, 1, 1] * np.array([-1, 1, 1])[:, None]
    np.testing.assert_allclose(flipped[:3], expected, atol=1e-4)


def test_one_direction_alone_is_not_enough():
    vertical = np.array([[x, 20.0, x, 200.0] for x in range(20, 380, 30)])
    assert directions_of_lines(vertical, INTRINSICS) is None


def test_lines_that_agree_on_nothing_give_nothing():
    lines = np.random.default_rng(5).uniform(0, 288, (60, 4))
    assert directions_of_lines(lines, INTRINSICS) is None


def test_a_blank_picture_has_no_directions():
    assert manhattan_directions(np.full((96, 128, 3), 90, np.uint8), INTRINSICS) is None


def test_rendered_rooms_give_their_axes_within_a_few_degrees():
    bank = make_texture_bank(1)
    errors, frames = [], 0
    for room in range(4):
        for frame in room_frames(bank, [77, room], 1, (192, 256)):
            f = frame.focal_px
            intrinsics = np.array([[f, 0, 127.5], [0, f, 95.5], [0, 0, 1]])
            found = manhattan_directions(frame.rgb, intrinsics)
            frames += 1
            if found is not None:
                errors.append(_error_deg(found, frame.pose[:3, :3].T))
    assert len(errors) >= 0.7 * frames
    assert np.median(errors) < 2.0


def test_line_segments_are_long_and_sorted_and_where_they_were_drawn():
    picture = np.zeros((120, 160, 3), np.uint8)
    picture[30:90, 40:140] = 200
    lines = line_segments(picture)
    lengths = np.hypot(lines[:, 2] - lines[:, 0], lines[:, 3] - lines[:, 1])
    assert (np.diff(lengths) <= 0).all()
    assert lengths.min() >= 12.5
    horizontal = np.abs(lines[:, 1] - lines[:, 3]) < 1
    np.testing.assert_allclose(sorted(lines[horizontal, 1]), [29.5, 89.5], atol=0.6)


def test_bad_input_is_refused_in_one_line():
    with pytest.raises(ValueError, match="expected H×W×3 uint8"):
        manhattan_directions(np.zeros((48, 64), np.uint8), INTRINSICS)
    with pytest.raises(ValueError, match="expected 3×3"):
        manhattan_directions(np.zeros((48, 64, 3), np.uint8), np.eye(4))
