"""Claims about scores: hand-computed values and the published evaluation's own numbers."""

import math
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gam_depth_ros.core.metrics import (
    DepthErrors,
    confusion_matrix,
    depth_errors,
    evaluate_depth,
    flip_average,
    iou,
    mean_errors,
    mean_iou,
    median_scale,
    pixel_accuracy,
)

TEST = Path(__file__).resolve().parents[1]
ORACLE = np.load(TEST / "core" / "evaluation_oracle.npz")
FULL_ORACLE = TEST.parents[1] / "shared" / "oracle" / "04_evaluation.npz"


def test_errors_are_hand_computed():
    errors = depth_errors(np.array([1.0, 2.0, 4.0, 1.0]), np.array([1.0, 1.0, 5.0, 1.6]))
    assert errors.abs_rel == pytest.approx((0 + 0.5 + 0.25 + 0.6) / 4)
    assert errors.sq_rel == pytest.approx((0 + 0.5 + 0.25 + 0.36) / 4)
    assert errors.rmse == pytest.approx(math.sqrt((1 + 1 + 0.36) / 4))
    logs = [0, math.log(2), math.log(5 / 4), math.log(1.6)]
    assert errors.rmse_log == pytest.approx(math.sqrt(sum(v**2 for v in logs) / 4))
    assert errors.log10 == pytest.approx(sum(logs) / 4 / math.log(10))
    # Ratios 1, 2, 1.25, 1.6 against 1.25 (exclusive), 1.5625, 1.953.
    assert (errors.d1, errors.d2, errors.d3) == (0.25, 0.5, 0.75)


def test_errors_agree_with_the_published_evaluation():
    errors = depth_errors(ORACLE["ce_gt"], ORACLE["ce_pred"])
    np.testing.assert_allclose(astuple(errors), ORACLE["ce_out"], rtol=0, atol=1e-9)


def test_flip_average_agrees_with_the_published_evaluation():
    combined = flip_average(ORACLE["pp_l"], ORACLE["pp_r"])
    np.testing.assert_allclose(combined, ORACLE["pp_out"], rtol=0, atol=1e-12)


def nearest(image, height, width):
    rows = np.arange(height) * image.shape[0] // height
    columns = np.arange(width) * image.shape[1] // width
    return image[rows][:, columns]


@pytest.mark.parametrize("flip", [False, True])
def test_whole_images_agree_with_the_published_evaluation(flip):
    if not FULL_ORACLE.is_file():
        pytest.skip("the oracle's full ground truth (5 MB) is not beside this checkout")
    oracle = np.load(FULL_ORACLE)
    kind = "pp" if flip else "plain"
    scored = []
    for index, truth in enumerate(oracle["gt"]):
        disparity, mirrored = (
            nearest(np.float32(0.1 + 9.9 * oracle[name][index, 0]), *truth.shape)
            for name in ("disp_raw", "disp_raw_flipped_input")
        )
        if flip:
            disparity = flip_average(disparity, mirrored[:, ::-1])
        depth = 1 / disparity
        errors = evaluate_depth(truth, depth)
        mask = truth > 0
        assert median_scale(truth[mask], depth[mask]) == pytest.approx(
            oracle[f"ratios_{kind}"][index], abs=1e-6
        )
        np.testing.assert_allclose(astuple(errors), oracle[f"errors_{kind}"][index], atol=1e-6)
        scored.append(errors)
    np.testing.assert_allclose(astuple(mean_errors(scored)), oracle[f"mean_{kind}"], atol=1e-6)


def test_evaluation_masks_invalid_truth_without_an_upper_limit():
    truth = np.array([[0.0, np.nan, np.inf, -1.0, 2.0, 40.0]])
    predicted = np.array([[1.0, 1.0, 1.0, 1.0, 1.0, 1.0]])
    errors = evaluate_depth(truth, predicted, align="none")
    # Only 2 and 40 m count: |2 - 1| / 2 and |40 - 1| / 40.
    assert errors.abs_rel == pytest.approx((0.5 + 39 / 40) / 2)


def test_the_ratio_is_taken_before_clipping_and_only_the_prediction_is_clipped():
    truth = np.array([[1.0, 2.0, 40.0]])
    predicted = np.array([[1.0, 1.0, 9.0]])
    errors = evaluate_depth(truth, predicted)
    # Ratio 2 / 1: predictions 2, 2, 18; clipped 2, 2, 10.
    assert errors.abs_rel == pytest.approx((1.0 + 0.0 + 0.75) / 3)


def test_unknown_predictions_are_left_out():
    assert evaluate_depth(np.array([[2.0, 3.0]]), np.array([[2.0, np.nan]])).abs_rel == 0


def test_nothing_to_score_is_none():
    assert evaluate_depth(np.zeros((2, 2)), np.ones((2, 2))) is None
    assert evaluate_depth(np.ones((2, 2)), np.full((2, 2), np.nan)) is None
    assert mean_errors([]) is None


def test_images_weigh_the_same():
    one, three = DepthErrors(*[1.0] * 8), DepthErrors(*[3.0] * 8)
    assert mean_errors([one, three]) == DepthErrors(*[2.0] * 8)


@pytest.mark.parametrize(
    ("truth", "predicted", "words"),
    [
        (np.ones(3), np.ones(4), "expected the same shape"),
        (np.ones(0), np.ones(0), "none at all"),
        (np.array([0.0]), np.ones(1), "ground truth with some not finite and positive"),
        (np.ones(1), np.array([np.nan]), "prediction with some not finite and positive"),
    ],
)
def test_unmasked_values_are_refused(truth, predicted, words):
    with pytest.raises(ValueError, match=words):
        depth_errors(truth, predicted)


def test_unknown_alignment_and_shapes_are_refused():
    with pytest.raises(ValueError, match="expected median or none"):
        evaluate_depth(np.ones((2, 2)), np.ones((2, 2)), align="mean")
    with pytest.raises(ValueError, match="expected the same shape"):
        evaluate_depth(np.ones((2, 2)), np.ones((2, 3)))


@given(
    hnp.arrays(np.float64, (4, 5), elements=st.floats(0.5, 5)),
    hnp.arrays(np.float64, (4, 5), elements=st.floats(0.5, 5)),
    st.floats(0.1, 10),
)
def test_median_alignment_is_blind_to_the_predictions_scale(truth, predicted, factor):
    errors = evaluate_depth(truth, predicted)
    scaled = evaluate_depth(truth, predicted * factor)
    assert scaled.abs_rel == pytest.approx(errors.abs_rel, rel=1e-9)
    assert scaled.rmse == pytest.approx(errors.rmse, rel=1e-9)


def test_confusion_and_iou_are_hand_computed():
    truth = np.array([[0, 0, 1], [1, 1, 255]])
    labels = np.array([[0, 1, 1], [1, 2, 0]])
    matrix = confusion_matrix(truth, labels, 4)
    assert matrix.tolist() == [[1, 1, 0, 0], [0, 2, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(iou(matrix), [1 / 2, 2 / 4, 0, np.nan])
    assert mean_iou(matrix) == pytest.approx(0.5)
    assert pixel_accuracy(matrix) == pytest.approx(3 / 5)


def test_confusion_of_images_adds_up():
    rng = np.random.default_rng(0)
    truth, labels = rng.integers(0, 5, (2, 4, 9, 9)).astype(np.uint8)
    total = sum(confusion_matrix(t, p, 5) for t, p in zip(truth, labels, strict=True))
    np.testing.assert_array_equal(total, confusion_matrix(truth, labels, 5))


def test_scores_of_nothing_are_nan():
    empty = confusion_matrix(np.array([255]), np.array([3]), 5)
    assert not empty.any()
    assert math.isnan(mean_iou(empty))
    assert math.isnan(pixel_accuracy(empty))


def test_predicted_ids_without_a_class_are_refused():
    with pytest.raises(ValueError, match="got predicted ids 1 to 40, expected 0 to 12"):
        confusion_matrix(np.array([1, 2]), np.array([1, 40]), 13)
