"""Claims about the merging of pixels over given edge costs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_training.planar_segments import felzenszwalb_segments, segment_batch


def _costs_of(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.abs(np.diff(picture, axis=0)), np.abs(np.diff(picture, axis=1))


def _slow_segments(down, right, scale, min_size):
    """The paper's algorithm with sets, as literally as possible."""
    height, width = right.shape[0], down.shape[1]
    edges = [(down[r, c], 2 * (r * width + c)) for r in range(height - 1) for c in range(width)]
    edges += [
        (right[r, c], 2 * (r * width + c) + 1) for r in range(height) for c in range(width - 1)
    ]
    members = {p: {p} for p in range(height * width)}
    dearest = dict.fromkeys(members, 0.0)
    home = {p: p for p in members}
    for small_only in (False, True):
        for cost, edge in sorted(edges):
            first = edge // 2
            a, b = home[first], home[first + (1 if edge % 2 else width)]
            small = min(len(members[a]), len(members[b])) < min_size
            limit = min(dearest[s] + scale / len(members[s]) for s in (a, b))
            if a == b or not (small if small_only else cost <= limit):
                continue
            members[a] |= members.pop(b)
            dearest[a] = cost
            for p in members[a]:
                home[p] = a
    names: dict[int, int] = {}
    flat = [names.setdefault(home[p], len(names)) for p in range(height * width)]
    return np.array(flat).reshape(height, width)


def test_a_step_splits_a_flat_picture_in_two():
    picture = np.zeros((10, 20))
    picture[:, 8:] = 0.5
    labels = felzenszwalb_segments(*_costs_of(picture), scale=1.0, min_size=1)
    np.testing.assert_array_equal(labels, np.broadcast_to(np.arange(20) >= 8, (10, 20)))


def test_a_step_within_the_scale_does_not_split():
    picture = np.zeros((10, 20))
    picture[:, 8:] = 0.005  # the right part has 120 pixels: the limit is scale/120
    assert felzenszwalb_segments(*_costs_of(picture), 1.0, 1).max() == 0
    assert felzenszwalb_segments(*_costs_of(picture), 0.5, 1).max() == 1


def test_small_segments_join_the_neighbour_across_the_cheapest_edge():
    picture = np.zeros((12, 12))
    picture[:, 6:] = 0.9
    picture[4:6, 4:6] = 0.3  # four pixels, nearer to the left half
    labels = felzenszwalb_segments(*_costs_of(picture), scale=0.1, min_size=5)
    np.testing.assert_array_equal(labels, np.broadcast_to(np.arange(12) >= 6, (12, 12)))


def test_diagonal_neighbours_are_no_neighbours():
    picture = np.kron(np.array([[0.0, 1.0], [1.0, 0.0]]), np.ones((6, 6)))
    assert felzenszwalb_segments(*_costs_of(picture), 1.0, 1).max() == 3


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    height=st.integers(2, 9),
    width=st.integers(2, 9),
    scale=st.sampled_from([0.1, 1.0, 3.0]),
    min_size=st.integers(1, 10),
    levels=st.sampled_from([4, 64]),  # few levels: many ties
)
def test_agrees_with_the_algorithm_as_printed(seed, height, width, scale, min_size, levels):
    rng = np.random.default_rng(seed)
    down = rng.integers(0, levels, (height - 1, width)) / levels
    right = rng.integers(0, levels, (height, width - 1)) / levels
    fast = felzenszwalb_segments(down, right, scale, min_size)
    np.testing.assert_array_equal(fast, _slow_segments(down, right, scale, min_size))


def test_every_segment_is_connected_and_large_enough():
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(3)
    labels = felzenszwalb_segments(rng.random((59, 80)), rng.random((60, 79)), 1.0, 50)
    assert np.bincount(labels.ravel()).min() >= 50
    for label in range(labels.max() + 1):
        pieces, _ = cv2.connectedComponents((labels == label).astype(np.uint8), connectivity=4)
        assert pieces == 2  # the background and one piece


def test_a_batch_equals_its_pictures_one_by_one():
    rng = np.random.default_rng(4)
    down, right = rng.random((3, 29, 40)), rng.random((3, 30, 39))
    single = [felzenszwalb_segments(d, r, 2.0, 20) for d, r in zip(down, right, strict=True)]
    np.testing.assert_array_equal(segment_batch(list(down), list(right), 2.0, 20), single)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1])
def test_a_cost_that_is_no_cost_is_refused(bad):
    down, right = np.zeros((3, 5)), np.zeros((4, 4))
    right[2, 1] = bad
    with pytest.raises(ValueError, match="negative, infinite or NaN"):
        felzenszwalb_segments(down, right)


def test_costs_of_two_different_pictures_are_refused():
    with pytest.raises(ValueError, match="expected \\(H-1, W\\) and \\(H, W-1\\)"):
        felzenszwalb_segments(np.zeros((3, 5)), np.zeros((5, 4)))


def test_single_rows_and_columns_are_pictures_too():
    step = np.array([[0.0, 0.9, 0.0]])
    np.testing.assert_array_equal(
        felzenszwalb_segments(np.zeros((0, 4)), step, 0.1, 1), [[0, 0, 1, 1]]
    )
    np.testing.assert_array_equal(
        felzenszwalb_segments(step.T, np.zeros((4, 0)), 0.1, 1), [[0], [0], [1], [1]]
    )
