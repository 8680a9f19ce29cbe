"""Is this picture worth a depth? Dark, over-exposed, blurred, covered, frozen, noisy, unfamiliar.

Each condition compares one figure of the picture with a limit learnt from data: what next to no
training picture and no frame of a recorded room exceeds. What is past its limit makes sigma wider
by as much as errors were found to be, or withholds the outputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.cover_watch import CoverWatch
from gam_depth_ros.core.exposure_watch import ExposureWatch
from gam_depth_ros.core.health_config import CONDITIONS, HealthConfig, LimitConfig
from gam_depth_ros.core.model_spec import NetworkOutput
from gam_depth_ros.core.model_statistics import (
    ConditionLimit,
    FeatureStatistics,
    ModelStatistics,
)
from gam_depth_ros.core.picture_statistics import (
    PictureStatistics,
    picture_statistics,
    reduced,
)
from gam_depth_ros.core.sampling import network_step

FROZEN = "frozen"
EXPOSURE_STEP = "exposure_step"
PARTLY_COVERED = "partly_covered"
OUT_OF_DISTRIBUTION = "out_of_distribution"
# The figure of each condition and whether it is wrong above its limit or below.
FIGURES: dict[str, tuple[str, bool]] = {
    "covered": ("structure", False),
    "dark": ("luminance_high", False),
    "over_exposed": ("saturated", True),
    "blurred": ("sharpness", False),
    "noisy": ("noise", True),
}
_WORST_SCORE = 100.0
_THINNED = 2  # every second pixel of a network like the shipped one tells quantiles and shares
_WORDS = {
    "covered": "covered: {value:.0%} of the picture has structure, expected {limit:.0%} or more",
    "frozen": "frozen: the same picture for {value:.0f} frames; restart the camera",
    "partly_covered": "partly covered: {value:.0%} stays blank, expected {limit:.0%} or less",
    "dark": "dark: its bright parts are at {value:.0f} of 255, expected {limit:.0f} or more",
    "over_exposed": "over-exposed: {value:.0%} saturated, expected {limit:.0%} or less",
    "exposure_step": "exposure step: brightness off by a factor of {ratio:.1f} from the second "
    "before, expected {limit_ratio:.1f} or less",
    "blurred": "blurred: sharpness {value:.2f}, expected {limit:.2f} or more",
    "noisy": "noisy: {value:.1f} grey levels, expected {limit:.1f} or less",
    "out_of_distribution": "unlike training: feature distance {value:.2f}, expected {limit:.2f} "
    "or less",
}


@dataclass(frozen=True)
class HealthState:
    """What is known of one picture.

    Attributes:
        ok: No condition is raised.
        conditions: Those raised, the gravest first.
        scores: By condition, how far towards its limit: from 1 on it is raised (with the default
            ``raise_at``). NaN where there was nothing to judge by.
        sigma_factor: What sigma is to be multiplied by, at least 1.
        withhold: Whether metric outputs are to be withheld.
        reason: One line; empty when all is well.
        picture: The picture's figures; None where health is off.
    """

    ok: bool = True
    conditions: tuple[str, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    sigma_factor: float = 1.0
    withhold: bool = False
    reason: str = ""
    picture: PictureStatistics | None = None


class FrameHealth:
    """Judges pictures one after the other; remembers the last one and how bright they were.

    Args:
        config: Settings.
        statistics: Of the model; its limits come before those of the settings. None where the
            file carries none: then nothing is said of the distribution.
    """

    def __init__(
        self, config: HealthConfig | None = None, statistics: ModelStatistics | None = None
    ) -> None:
        self._statistics = statistics
        self._exposure = ExposureWatch()
        self._cover = CoverWatch()
        self.configure(config or HealthConfig())
        features = None if statistics is None else statistics.features
        self._familiarity = None if features is None else Familiarity(features)
        self.reset()

    def configure(self, config: HealthConfig) -> None:
        """Take over changed settings; the last picture is kept."""
        self._config = config
        self._limits = limits_of(config, self._statistics)

    def reset(self) -> None:
        """Forget the pictures seen."""
        self._exposure.reset()
        self._cover.reset()
        self._last: npt.NDArray[np.uint8] | None = None
        self._last_stamp_ns = 0
        self._since_ns = 0
        self._repeats = 0

    def check(
        self,
        rgb: npt.NDArray[np.uint8],
        stamp_ns: int,
        features: npt.NDArray[np.float32] | None = None,
    ) -> HealthState:
        """Judge a picture.

        Args:
            rgb: H×W×3 uint8 RGB, best the network's own input, as the limits were learnt on it:
                to shrink a whole picture costs more than all the rest.
            stamp_ns: Acquisition time, nanoseconds.
            features: The network's C pooled features, None where it gives none.
        """
        if not self._config.enabled:
            return HealthState()
        small = reduced(rgb)
        picture = picture_statistics(small)
        values = {name: float(getattr(picture, figure)) for name, (figure, _) in FIGURES.items()}
        values[EXPOSURE_STEP] = self._exposure.step(picture, stamp_ns)
        values[PARTLY_COVERED] = self._cover.share(small, stamp_ns)
        values[FROZEN] = float(self._count_repeats(small, stamp_ns))
        if self._familiarity is not None and features is not None:
            values[OUT_OF_DISTRIBUTION] = self._familiarity.distance(features)
        scores = {
            name: score_of(name, value, self._limits[name].limit)
            for name, value in values.items()
            if name in self._limits
        }
        if (stamp_ns - self._since_ns) / 1e9 < self._config.frozen_after_s:
            scores[FROZEN] = min(scores[FROZEN], 0.0)
        if scores["covered"] >= self._config.raise_at:
            scores[EXPOSURE_STEP] = 0.0  # what covers the lens is dark, not the room
        state = self._judge(scores, values, picture)
        if not state.withhold:
            self._exposure.follow(picture, stamp_ns)
        return state

    def _judge(
        self, scores: dict[str, float], values: dict[str, float], picture: PictureStatistics
    ) -> HealthState:
        """Turn scores into what follows from them."""
        raised = tuple(c for c in CONDITIONS if scores.get(c, 0.0) >= self._config.raise_at)
        withholding = [name for name in raised if name in self._config.withhold_on]
        line = "; ".join(_words(name, values[name], self._limits[name].limit) for name in raised)
        return HealthState(
            ok=not raised,
            conditions=raised,
            scores=scores,
            sigma_factor=max((self._limits[name].sigma_factor for name in raised), default=1.0),
            withhold=bool(withholding),
            reason=f"{line}: outputs withheld" if withholding else line,
            picture=picture,
        )

    def _count_repeats(self, small: npt.NDArray[np.uint8], stamp_ns: int) -> int:
        """Return how many pictures in a row, with later stamps, equal the one before them."""
        same = self._last is not None and np.array_equal(small, self._last)
        if stamp_ns < self._last_stamp_ns or not same:
            self._repeats, self._since_ns = 0, stamp_ns
            # A copy: the caller may write the next picture into the same memory.
            self._last = small.copy()
        elif stamp_ns > self._last_stamp_ns:
            self._repeats += 1
        self._last_stamp_ns = stamp_ns
        return self._repeats


def _words(condition: str, value: float, limit: float) -> str:
    """Say what was found and expected; what is a log ratio also as a factor."""
    factors = {}
    if condition == EXPOSURE_STEP:
        factors = {"ratio": math.exp(value), "limit_ratio": math.exp(limit)}
    return _WORDS[condition].format(value=value, limit=limit, **factors)


class Familiarity:
    """Distance of a picture's features from those of the reference pictures.

    Features are pooled activations, positive and skewed, so they are compared after
    :func:`compressed`. The squared distance is half the mean of z²/λ along the K largest axes and
    half the rest's share of its mean square: 1 is an average picture of them. Both halves
    count alike, while in the Mahalanobis distance of Lee et al. (2018) the many small axes,
    poorly known, would drown the large ones.

    Args:
        statistics: Mean, axes and variances in training.
    """

    def __init__(self, statistics: FeatureStatistics) -> None:
        self._mean = statistics.mean_array()
        self._basis = statistics.basis_array()
        self._variances = np.array(statistics.variances, np.float32)
        self._residual = statistics.residual
        self._scale = statistics.scale

    def distance(self, features: npt.NDArray[np.float32]) -> float:
        """Return the distance of C features; NaN where their number is not that of training."""
        if features.shape != self._mean.shape:
            return float("nan")
        offset = compressed(features, self._scale) - self._mean
        along = self._basis @ offset
        rest = offset - along @ self._basis
        inner = float((along**2 / self._variances).mean())
        return float(np.sqrt(0.5 * inner + 0.5 * float(rest @ rest) / self._residual))


def compressed(
    features: npt.NDArray[np.floating], scale: float
) -> npt.NDArray[np.floating]:
    """Return arsinh(f / scale): a logarithm that takes zero and negative numbers too."""
    return np.asarray(np.arcsinh(features / scale))


def limits_of(
    config: HealthConfig, statistics: ModelStatistics | None
) -> dict[str, ConditionLimit]:
    """Return the limit of every condition: the model's where it has one, else the settings'."""
    limits = default_limits(config.limits)
    if statistics is not None:
        limits.update(statistics.limits)
    limits[FROZEN] = ConditionLimit(float(config.frozen_after_frames), config.limits.sigma_factor)
    return limits


def default_limits(config: LimitConfig) -> dict[str, ConditionLimit]:
    """Return the settings' limits by condition."""
    values = {
        "covered": config.covered_structure,
        "dark": config.dark_luminance,
        "over_exposed": config.over_exposed_share,
        PARTLY_COVERED: config.partly_covered_share,
        EXPOSURE_STEP: config.exposure_step,
        "blurred": config.blurred_sharpness,
        "noisy": config.noisy_levels,
    }
    return {name: ConditionLimit(value, config.sigma_factor) for name, value in values.items()}


def score_of(condition: str, value: float, limit: float) -> float:
    """Return how far a figure is towards its limit: 1 at it, more beyond, at most 100."""
    above = FIGURES.get(condition, ("", True))[1]
    if above:
        return float(min(value / limit, _WORST_SCORE)) if np.isfinite(value) else float("nan")
    return min(limit / max(value, limit / _WORST_SCORE), _WORST_SCORE) if value == value else value


def frame_quantities(picture: PictureStatistics, output: NetworkOutput) -> dict[str, float]:
    """Return what drift watches of one frame; quantiles of depth and sigma on some pixels.

    Args:
        picture: The frame's figures.
        output: What the network said.
    """
    depth = np.log(_thinned(output.depth))
    near, middle, far = (depth.size // 10, depth.size // 2, depth.size - 1 - depth.size // 10)
    ordered = np.partition(depth, (near, middle, far))
    sigma = _thinned(output.sigma)
    return {
        "luminance": picture.luminance_median,
        "contrast": picture.contrast,
        "sharpness": picture.sharpness,
        "noise": picture.noise,
        "log_depth_near": float(ordered[near]),
        "log_depth_median": float(ordered[middle]),
        "log_depth_far": float(ordered[far]),
        "sigma": float(np.partition(sigma, sigma.size // 2)[sigma.size // 2]),
    }


def label_shares(labels: npt.NDArray[np.uint8], classes: int) -> npt.NDArray[np.float64]:
    """Return the share of the pixels of each of the first ``classes`` ids; sums to 1 or less."""
    some = _thinned(labels)
    counts = np.bincount(some, minlength=classes)
    return counts[:classes] / max(1, some.size)


def _thinned(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the pixels of a regular grid, one after the other."""
    step = _THINNED * network_step(image.size)
    return image[::step, ::step].ravel()
