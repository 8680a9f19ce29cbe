"""Claims about the training statistics that a model file carries, and distances from them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from room_picture import room

from gam_depth_ros.core.frame_health import (
    Familiarity,
    FrameHealth,
    compressed,
)
from gam_depth_ros.core.labels import NYU13
from gam_depth_ros.core.model_spec import ModelContractError, ModelSpec
from gam_depth_ros.core.model_statistics import (
    ConditionLimit,
    Distribution,
    FeatureStatistics,
    ModelStatistics,
)

SECOND_NS = 1_000_000_000


def statistics(**limits: ConditionLimit) -> ModelStatistics:
    return ModelStatistics({}, (), limits, None, 0.995, 10, "by hand")


def test_features_far_from_training_are_out_of_distribution():
    rng = np.random.default_rng(0)
    seen = compressed(rng.gamma(2.0, 1.0, (400, 24)), 0.2)
    mean = seen.mean(axis=0)
    _, size, axes = np.linalg.svd(seen - mean, full_matrices=False)
    variances = size**2 / len(seen)
    features = FeatureStatistics.from_arrays(
        mean, axes[:8], variances[:8], float(variances[8:].sum()), 0.2
    )
    model = replace(
        statistics(out_of_distribution=ConditionLimit(1.6, 2.0)), features=features
    )
    health = FrameHealth(None, model)
    usual = rng.gamma(2.0, 1.0, 24).astype(np.float32)
    assert health.check(room(), 1, usual).ok
    state = health.check(room(1), 2, 100 * usual)
    assert state.conditions == ("out_of_distribution",)
    assert state.sigma_factor == 2.0
    # Features of another network, or none, say nothing.
    assert math.isnan(Familiarity(features).distance(usual[:5]))
    assert health.check(room(2), 3, None).ok


def test_distance_is_that_of_the_formula():
    # Two axes of three: along e0 with variance 4, along e1 with 1; 0.5 in all beside them.
    features = FeatureStatistics.from_arrays(
        np.zeros(3), np.eye(3)[:2], np.array([4.0, 1.0]), 0.5, 1.0
    )
    point = np.sinh(np.array([2.0, 3.0, 1.0])).astype(np.float32)
    expected = math.sqrt(0.5 * (4 / 4 + 9 / 1) / 2 + 0.5 * 1 / 0.5)
    assert Familiarity(features).distance(point) == pytest.approx(expected, rel=1e-5)


def test_statistics_survive_the_model_file_and_old_files_have_none():
    features = FeatureStatistics.from_arrays(
        np.arange(4.0), np.eye(4)[:2], np.array([2.0, 1.0]), 0.3, 0.1
    )
    of_model = ModelStatistics(
        distributions={"noise": Distribution((0.5, 1.5), (0.25, 0.5, 0.25))},
        label_shares=(0.5, 0.5),
        limits={"dark": ConditionLimit(90.0, 1.4)},
        features=features,
        quantile=0.995,
        pictures=256,
        data="256 of synthetic rooms",
    )
    spec = ModelSpec("tiny", (48, 64), NYU13, statistics=of_model)
    assert ModelSpec.from_json(spec.to_json()) == spec
    np.testing.assert_array_equal(features.mean_array(), np.arange(4.0))
    np.testing.assert_array_equal(features.basis_array(), np.eye(4)[:2])
    assert ModelSpec.from_json(replace(spec, statistics=None).to_json()).statistics is None


@pytest.mark.parametrize(
    "broken",
    [
        {"limits": {"dark": {"limit": -1.0, "sigma_factor": 1.0}}},
        {"limits": {"dark": {"limit": 1.0, "sigma_factor": 0.5}}},
        {"distributions": {"noise": {"edges": [2.0, 1.0], "shares": [0.3, 0.3, 0.4]}}},
        {"distributions": {"noise": {"edges": [1.0], "shares": [0.3, 0.3, 0.4]}}},
        {"label_shares": [float("nan")]},
        {"features": {"mean": "!", "basis": "", "variances": [], "residual": 1, "scale": 1}},
        {"limits": None},
    ],
)
def test_broken_statistics_are_refused_in_one_line(broken):
    data = {**statistics().to_json(), **broken}
    with pytest.raises(ValueError, match=r"^model statistics: got .*run it again$"):
        ModelStatistics.from_json(data)
    spec = ModelSpec("tiny", (48, 64), NYU13, statistics=statistics())
    text = spec.to_json().replace('"quantile": 0.995', '"quantile": "high"')
    with pytest.raises(ModelContractError, match="model statistics"):
        ModelSpec.from_json(text)
