"""Claims about the points of strong gradient."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gam_depth_training.keypoints import dso_keypoints, keypoint_map


@pytest.fixture(scope="module")
def oracle() -> dict[str, np.ndarray]:
    """A drawn room and the points which the official routine found in all of 20 runs."""
    with np.load(Path(__file__).parents[1] / "data" / "oracle" / "keypoints.npz") as arrays:
        return {name: arrays[name] for name in arrays}


def _share_found(oracle: dict[str, np.ndarray], points: np.ndarray, within_px: int) -> float:
    """Share of the official points with a point of ours at most ``within_px`` away."""
    marks = keypoint_map(points, (480, 640), (480, 640))
    near = cv2.dilate(marks, np.ones((2 * within_px + 1,) * 2))
    rows, columns = oracle["points_480x640"].T
    return float(near[rows, columns].mean())


def test_finds_as_many_points_as_the_official_routine_and_mostly_the_same(oracle):
    picture = cv2.resize(oracle["picture_448x608"], (640, 480))
    points = dso_keypoints(picture)
    assert len(points) == pytest.approx(1985, rel=0.02)
    # Both keep a random 2000 of some 3400, each its own: few points can agree exactly.
    assert _share_found(oracle, points, 0) > 0.45
    assert _share_found(oracle, points, 2) > 0.85


def test_before_the_random_choice_nearly_every_official_point_is_among_ours(oracle):
    points = dso_keypoints(cv2.resize(oracle["picture_448x608"], (640, 480)), count=3500)
    assert len(points) < 3500
    assert _share_found(oracle, points, 0) > 0.78
    assert _share_found(oracle, points, 1) > 0.95


def test_the_map_of_official_points_equals_the_official_map(oracle):
    marks = keypoint_map(oracle["points_480x640"].astype(np.int64), (480, 640), (288, 384))
    np.testing.assert_array_equal(marks, oracle["map_288x384"])


def test_the_same_picture_gives_the_same_points(oracle):
    first, second = (dso_keypoints(oracle["picture_448x608"], 300) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert len(first) == 300


def test_points_lie_along_the_only_edge_and_each_block_on_it_has_one():
    picture = np.zeros((64, 96), np.uint8)
    picture[:, 49:] = 200  # columns 48 and 49 have the gradient, both in one column of blocks
    points = dso_keypoints(picture, count=35)
    on_edge = np.isin(points[:, 1], (48, 49))
    np.testing.assert_array_equal(points[on_edge, 0] // 3, np.arange(1, 20))
    assert (np.abs(points[:, 1] - 48.5) <= 8).all()  # what the coarser passes add lies near


def test_colour_and_its_grey_picture_give_the_same_points():
    colour = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    grey = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)
    np.testing.assert_array_equal(dso_keypoints(colour), dso_keypoints(grey))


def test_a_weak_texture_counts_where_nothing_stronger_is_near_but_a_flat_wall_never():
    picture = np.full((128, 128), 100, np.uint8)
    picture[:, 64:] += np.tile([0, 20], 32).astype(np.uint8)  # too fine for the first pass
    assert len(dso_keypoints(np.full((64, 64), 90, np.uint8))) == 0
    assert len(dso_keypoints(picture)) > 0


def test_many_points_are_found_in_a_rough_picture_of_any_size():
    rough = np.random.default_rng(1).integers(0, 256, (97, 131), dtype=np.uint8)
    points = dso_keypoints(rough, count=700)
    assert 560 <= len(points) <= 700
    assert (points >= 4).all()
    assert (points < np.array([97, 131]) - 4).all()


def test_far_too_many_points_are_thinned_by_larger_blocks():
    rough = np.random.default_rng(1).integers(0, 256, (97, 131), dtype=np.uint8)
    assert len(dso_keypoints(rough, count=20)) == 20


@pytest.mark.parametrize("bad", [np.zeros((9, 9)), np.zeros((9, 9, 4), np.uint8)])
def test_a_picture_of_another_kind_is_refused(bad):
    with pytest.raises(ValueError, match="expected H×W or H×W×3 uint8"):
        dso_keypoints(bad)


def test_a_point_outside_its_picture_is_refused():
    with pytest.raises(ValueError, match="outside 480×640"):
        keypoint_map(np.array([[10, 640]]), (480, 640), (288, 384))
    assert not keypoint_map(np.zeros((0, 2), np.int64), (480, 640), (28, 38)).any()
