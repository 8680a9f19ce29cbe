"""Boundary errors on drawn edges, whose distances are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gam_depth_ros.evaluation.boundary_metrics import (
    MOST_PX,
    depth_boundary_errors,
    depth_edges,
    edge_errors,
    label_boundary_errors,
)


def step_at(column: int, near: float = 1.0, far: float = 2.0) -> np.ndarray:
    depth = np.full((60, 80), near, np.float32)
    depth[:, column:] = far
    return depth


def line_at(column: int) -> np.ndarray:
    mask = np.zeros((60, 80), bool)
    mask[:, column] = True
    return mask


def test_equal_edges_have_no_error() -> None:
    found = depth_boundary_errors(step_at(40), 3.0 * step_at(40))  # scale does not matter
    assert (found.accuracy_px, found.completeness_px) == (0.0, 0.0)


def test_an_edge_beside_the_true_one_is_as_far_as_it_was_drawn() -> None:
    found = depth_boundary_errors(step_at(40), step_at(44))
    assert found.accuracy_px == pytest.approx(4.0)
    assert found.completeness_px == pytest.approx(4.0)


def test_an_edge_that_is_missing_costs_completeness_alone() -> None:
    truth = step_at(20)
    truth[:, 60:] = 4.0  # a second edge, forty pixels on
    found = depth_boundary_errors(truth, step_at(20))
    assert found.accuracy_px == pytest.approx(0.0)
    assert found.completeness_px == pytest.approx(MOST_PX / 2)  # half of the edge pixels, cut at 10


def test_an_invented_edge_costs_accuracy_alone() -> None:
    predicted = step_at(20)
    predicted[:, 60:] = 4.0
    found = depth_boundary_errors(step_at(20), predicted)
    assert found.accuracy_px == pytest.approx(MOST_PX / 2)
    assert found.completeness_px == pytest.approx(0.0)


def test_where_nothing_is_predicted_there_is_no_accuracy() -> None:
    found = depth_boundary_errors(step_at(40), np.ones((60, 80), np.float32))
    assert math.isnan(found.accuracy_px)
    assert found.completeness_px == MOST_PX


def test_distances_are_between_pixels() -> None:
    found = edge_errors(line_at(30), line_at(33) | line_at(36))
    assert found.accuracy_px == pytest.approx((3.0 + 6.0) / 2)
    assert found.completeness_px == pytest.approx(3.0)


def test_a_step_below_the_threshold_is_no_edge() -> None:
    assert not depth_edges(step_at(40, 1.0, 1.05)).any()
    assert depth_edges(step_at(40, 1.0, 1.2)).any()


def test_edges_of_holes_count_nothing() -> None:
    truth = step_at(40)
    truth[10:30, 5:25] = np.nan
    assert depth_boundary_errors(truth, step_at(40)).accuracy_px == pytest.approx(0.0)
    all_holes = np.full((60, 80), np.nan, np.float32)
    assert math.isnan(depth_boundary_errors(all_holes, step_at(40)).completeness_px)


def test_label_boundaries_are_as_far_apart_as_drawn() -> None:
    truth, predicted = np.zeros((60, 80), np.uint8), np.zeros((60, 80), np.uint8)
    truth[:, 40:] = 3
    predicted[:, 46:] = 3
    # Both pixels on either side are boundary: 39, 40 against 45, 46: five or six apart.
    found = label_boundary_errors(truth, predicted)
    assert found.accuracy_px == pytest.approx(5.5)
    truth[:, 30:50] = 255
    assert math.isnan(label_boundary_errors(truth, predicted).completeness_px)
