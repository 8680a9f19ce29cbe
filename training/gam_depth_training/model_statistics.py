"""The training reference of a model file: measured by running the file over good and bad pictures.

No weights and no new export are needed, so a file that has been shipped can be given its reference
afterwards. Limits are learnt by group (the synthetic rooms, each recorded room): a picture is odd
only if it would be odd in every one of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.frame_health import (
    FIGURES,
    OUT_OF_DISTRIBUTION,
    Familiarity,
    compressed,
    score_of,
)
from gam_depth_ros.core.model_spec import ModelSpec
from gam_depth_ros.core.model_statistics import (
    ConditionLimit,
    Distribution,
    FeatureStatistics,
    ModelStatistics,
)
from gam_depth_training.model_metadata import rewrite_spec
from gam_depth_training.picture_answers import Answer

QUANTILE = 0.995
# Every bin holds a tenth of training but the outer ones: what lies there is rare.
BIN_LEVELS = (0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99)
AXES = 16
# Features are compressed from a tenth of their mean magnitude on.
COMPRESSION = 0.1
MAX_SIGMA_FACTOR = 10.0
_FEWEST_FOR_AXES = 4 * AXES
_COVERED = "covered"
_SIGNIFICANT = 5


def training_statistics(
    answers: Mapping[str, list[Answer]],
    quantile: float = QUANTILE,
    trained_on: Collection[str] = (),
) -> ModelStatistics:
    """Turn answers into the reference.

    Args:
        answers: From :func:`measure`.
        quantile: Share of the good pictures of each group that every limit lets pass.
        trained_on: Groups that distributions come from: what the model was trained on. Every group
            by default. Features come from every group: what the model was tried on is no news, and
            with them one limit parts recordings from pictures that show nothing far better.

    Raises:
        ValueError: no good picture.
    """
    good = {group: [a for a in found if a.fault is None] for group, found in answers.items()}
    reference = [
        answer
        for group, found in good.items()
        for answer in found
        if not trained_on or group in trained_on
    ]
    if not reference:
        raise ValueError("got no picture to measure, expected some; name shards or recordings")
    known = [answer for found in good.values() for answer in found]
    features = feature_statistics([a.features for a in known if a.features is not None])
    familiarity = None if features is None else Familiarity(features)
    limits = _limits(good, familiarity, quantile)
    factors = sigma_factors(answers, limits, familiarity)
    return ModelStatistics(
        distributions={
            name: distribution(np.array(values))
            for name in reference[0].quantities
            if np.isfinite(values := [a.quantities[name] for a in reference]).any()
        },
        label_shares=tuple(
            _short(share) for share in np.mean([a.shares for a in reference], axis=0)
        ),
        limits={
            name: ConditionLimit(_short(limit), _short(factors[name]))
            for name, limit in limits.items()
        },
        features=features,
        quantile=quantile,
        pictures=sum(len(found) for found in good.values()),
        data=", ".join(f"{len(found)} of {group}" for group, found in good.items() if found),
    )


def distribution(values: npt.NDArray[np.float64]) -> Distribution:
    """Bin a quantity at its own quantiles; equal ones are merged, NaN is left out."""
    values = values[np.isfinite(values)]
    edges = np.unique([_short(edge) for edge in np.quantile(values, BIN_LEVELS)])
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return Distribution(
        tuple(float(edge) for edge in edges), tuple(_short(c / len(values)) for c in counts)
    )


def feature_statistics(features: list[npt.NDArray[np.float32]]) -> FeatureStatistics | None:
    """Fit mean, axes and variances to compressed features; None where there are too few."""
    if len(features) < _FEWEST_FOR_AXES or len(features[0]) <= AXES:
        return None
    plain = np.stack(features).astype(np.float64)
    scale = max(COMPRESSION * float(np.abs(plain).mean()), 1e-6)
    values = compressed(plain, scale)
    mean = values.mean(axis=0)
    _, singular, axes = np.linalg.svd(values - mean, full_matrices=False)
    variances = singular**2 / len(values)
    rest = float(variances[AXES:].sum())
    # A network that answers everything with the same numbers has no axes.
    if variances[AXES - 1] <= 1e-9 or rest <= 1e-9:
        return None
    return FeatureStatistics.from_arrays(mean, axes[:AXES], variances[:AXES], rest, scale)


def sigma_factors(
    answers: Mapping[str, list[Answer]],
    limits: Mapping[str, float],
    familiarity: Familiarity | None,
) -> dict[str, float]:
    """Return by condition how much wider errors are where it is raised than on good pictures.

    The ratio of the medians over pictures of the spread, groups alike, at least 1. Only pictures
    count that raise one condition: of two, either may be what errors come from. A covered picture
    counts for that condition alone, as its outputs are withheld. A condition that no picture with
    depth raised alone gets the largest factor found for the others, 1 without any.
    """
    ratios: dict[str, list[float]] = {name: [] for name in limits}
    for found in answers.values():
        known = [answer for answer in found if np.isfinite(answer.spread)]
        usual = [answer.spread for answer in known if answer.fault is None]
        spreads: dict[str, list[float]] = {name: [] for name in limits}
        for answer in known:
            if answer.fault is not None:
                name = _counted(answer, limits, familiarity)
                if name is not None:
                    spreads[name].append(answer.spread)
        for name, values in spreads.items():
            if usual and values:
                ratios[name].append(float(np.median(values) / np.median(usual)))
    factors = {
        name: float(np.clip(np.mean(values), 1.0, MAX_SIGMA_FACTOR))
        for name, values in ratios.items()
        if values
    }
    most = max((factor for name, factor in factors.items() if name != _COVERED), default=1.0)
    return {name: factors.get(name, most) for name in limits}


def _counted(
    answer: Answer, limits: Mapping[str, float], familiarity: Familiarity | None
) -> str | None:
    """Return the condition that a picture raises; None of several but covered, which rules."""
    raised = [
        name
        for name, limit in limits.items()
        if score_of(name, value_of(name, answer, familiarity), limit) >= 1.0
    ]
    if _COVERED in raised:
        return _COVERED
    return raised[0] if len(raised) == 1 else None


def value_of(condition: str, answer: Answer, familiarity: Familiarity | None) -> float:
    """Return the figure of a condition; NaN where there is none."""
    if condition != OUT_OF_DISTRIBUTION:
        return answer.figures[condition]
    if familiarity is None or answer.features is None:
        return float("nan")
    return familiarity.distance(answer.features)


def _limits(
    good: Mapping[str, list[Answer]], familiarity: Familiarity | None, quantile: float
) -> dict[str, float]:
    """Return each condition's limit: the most lenient of the groups' quantiles."""
    limits = {}
    conditions = [*FIGURES, *([] if familiarity is None else [OUT_OF_DISTRIBUTION])]
    for name in conditions:
        above = FIGURES.get(name, ("", True))[1]
        level = quantile if above else 1.0 - quantile
        of_groups = []
        for found in good.values():
            values = np.array([value_of(name, answer, familiarity) for answer in found])
            values = values[np.isfinite(values)]
            if len(values):
                of_groups.append(float(np.quantile(values, level)))
        if not of_groups:  # not one picture with anything to judge by
            continue
        extreme = max(of_groups) if above else min(of_groups)
        if extreme > 0:
            limits[name] = extreme
    return limits


def write_statistics(model: Path, statistics: ModelStatistics, out: Path) -> ModelSpec:
    """Write a copy of a model file with the reference in it; all else stays.

    Args:
        model: The model file.
        statistics: The reference.
        out: File to write, which may be ``model`` itself.

    Returns:
        The contract as it stands in ``out``.

    Raises:
        ModelContractError: the file carries no readable contract.
        ValueError: the file is not ONNX.
    """
    return rewrite_spec(model, lambda spec: replace(spec, statistics=statistics), out)


def _short(value: float) -> float:
    """Return a number with five digits, which is what its text in the file holds."""
    return float(f"{float(value):.{_SIGNIFICANT}g}")
