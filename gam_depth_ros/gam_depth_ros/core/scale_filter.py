"""The scale over time: a Kalman filter on its logarithm, with a gate and the states it passes.

A network's scale strays from view to view around a level that holds for a camera and a room. The
model is the sum of the two: the level b, a slow random walk, and a deviation d that decays, an
Ornstein-Uhlenbeck process (Uhlenbeck & Ornstein 1930) of standard deviation s and time constant τ.

    log scale = b + d;   b' = b + N(0, a·(0.3·s)²·Δt / 1 s);   d' = f·d + N(0, a·s²·(1 − f²))

with f = exp(−Δt / τ). While no reference comes the estimate so falls back to the level, and its
sigma grows. The factor a makes sigma honest: it follows the squared innovations (Mehra 1970), and
forgets them while nothing is measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gam_depth_ros.core.frame import (
    ACQUIRING,
    HOLDING,
    LOCKED,
    LOST,
    UNKNOWN,
    ScaleState,
)
from gam_depth_ros.core.scale_config import ScaleConfig

SIGMA_LOG_FLOOR = 0.01
"""No scale is claimed to be better than one percent: about what a depth camera itself reaches."""

_LEVEL_WALK = 0.3  # the level's own walk in a second, as a share of the deviation's spread
_ACTIVITY_GAIN = 0.1
_ACTIVITY_LIMITS = (0.2, 9.0)  # however calm, a robot may turn at any time
_ACTIVITY_TIME_S = 5.0
_LARGEST_SURPRISE = 9.0  # squared standard deviations: one outlier must not widen everything
_STILL_DOUBTED = 0.75  # once in doubt, only what lies well within the gate ends it
_AGREE_SIGMAS = 3.0  # candidates for a new scale have to agree better than a known one is gated
_MAX_PENDING = 64


@dataclass(frozen=True)
class ScaleMeasurement:
    """The log scale that one frame gave.

    Attributes:
        stamp_ns: When; it serves only later frames.
        log_scale: Logarithm of metres per unit of network depth.
        variance: Its variance.
    """

    stamp_ns: int
    log_scale: float
    variance: float


@dataclass(frozen=True)
class _Belief:
    """Level and deviation with their covariance, and the activity a, after a measurement."""

    stamp_ns: int
    level: float
    deviation: float
    level_var: float
    cross_var: float
    deviation_var: float
    activity: float = 1.0

    @property
    def mean(self) -> float:
        return self.level + self.deviation

    @property
    def variance(self) -> float:
        return max(0.0, self.level_var + 2.0 * self.cross_var + self.deviation_var)


def _first(measured: ScaleMeasurement, config: ScaleConfig) -> _Belief:
    """Return the belief after one measurement and no other knowledge of the level."""
    spread = config.wander_log**2
    return _Belief(
        measured.stamp_ns, measured.log_scale, 0.0, spread + measured.variance, -spread, spread
    )


def _predict(belief: _Belief, stamp_ns: int, config: ScaleConfig) -> _Belief:
    """Return the belief at a later stamp."""
    elapsed_s = max(0.0, (stamp_ns - belief.stamp_ns) / 1e9)
    # A calm scene says little of the next minutes: what was learnt of the activity ages too.
    activity = belief.activity
    if activity < 1.0 and elapsed_s > config.fresh_s:
        waited_s = elapsed_s - config.fresh_s
        activity = 1.0 - (1.0 - activity) * math.exp(-waited_s / _ACTIVITY_TIME_S)
    keep = math.exp(-elapsed_s / config.wander_time_s)
    spread = activity * config.wander_log**2
    return _Belief(
        stamp_ns,
        belief.level,
        keep * belief.deviation,
        belief.level_var + _LEVEL_WALK**2 * spread * elapsed_s,
        keep * belief.cross_var,
        keep**2 * belief.deviation_var + spread * (1.0 - keep**2),
        activity,
    )


def _correct(belief: _Belief, measured: ScaleMeasurement) -> _Belief:
    """Return a predicted belief corrected by a measurement at its stamp."""
    total = belief.variance + measured.variance
    innovation = measured.log_scale - belief.mean
    on_level = belief.level_var + belief.cross_var
    on_deviation = belief.cross_var + belief.deviation_var
    surprise = min(innovation**2 / total, _LARGEST_SURPRISE)
    activity = belief.activity * (1.0 + _ACTIVITY_GAIN * (surprise - 1.0))
    return _Belief(
        belief.stamp_ns,
        belief.level + on_level / total * innovation,
        belief.deviation + on_deviation / total * innovation,
        belief.level_var - on_level**2 / total,
        belief.cross_var - on_level * on_deviation / total,
        belief.deviation_var - on_deviation**2 / total,
        min(max(activity, _ACTIVITY_LIMITS[0]), _ACTIVITY_LIMITS[1]),
    )


class ScaleFilter:
    """Follows measured scales and says how well it knows the scale at a stamp.

    A measurement with stamp m serves only estimates for stamps later than m. Stamps that go back
    (a bag that loops) reset it: what was learnt lies in the future then.

    Args:
        config: Settings.
        waiting_for: What the first estimates say is missing.
    """

    def __init__(self, config: ScaleConfig, waiting_for: str) -> None:
        self._config = config
        self._waiting_for = waiting_for
        self.reset()

    def reset(self) -> None:
        """Forget everything learnt."""
        self._newest_ns: int | None = None
        self._pending: list[ScaleMeasurement] = []
        self._belief: _Belief | None = None
        self._candidates: list[ScaleMeasurement] = []
        self._trouble = ""
        self._ever_known = False

    def configure(self, config: ScaleConfig) -> None:
        """Take over changed settings, keeping the scale."""
        self._config = config

    @property
    def _kind(self) -> str:
        return "floor measurement" if self._config.source == "camera_height" else "reference"

    @property
    def last_stamp_ns(self) -> int | None:
        """Stamp of the newest measurement taken, None before the first."""
        if self._pending:
            return self._pending[-1].stamp_ns
        stamps = [one.stamp_ns for one in self._candidates[-1:]]
        if self._belief is not None:
            stamps.append(self._belief.stamp_ns)
        return max(stamps, default=None)

    def add(self, measured: ScaleMeasurement) -> None:
        """Take a measurement, later than all before it."""
        self._pending = [*self._pending, measured][-_MAX_PENDING:]

    def believe(self, measured: ScaleMeasurement) -> None:
        """Know a scale at once, in place of all learnt: that of another network, converted."""
        self.reset()
        self._belief, self._ever_known = _first(measured, self._config), True

    def refuse(self, reason: str) -> None:
        """Note why there is no measurement; the next one that is followed ends it."""
        self._trouble = reason

    def advance(self, stamp_ns: int) -> str | None:
        """Fold in every measurement before this stamp; one that goes back resets with a note."""
        note = None
        if self._newest_ns is not None and stamp_ns < self._newest_ns:
            back_s = (self._newest_ns - stamp_ns) / 1e9
            self.reset()
            note = f"stamps went back by {back_s:.3f} s: the scale is learnt anew"
            self._trouble = note
        self._newest_ns = stamp_ns
        while self._pending and self._pending[0].stamp_ns < stamp_ns:
            self._fold_in(self._pending.pop(0))
        return note

    def estimate(self, stamp_ns: int) -> ScaleState:
        """Return the scale for an image, from measurements stamped strictly before it.

        Args:
            stamp_ns: The image's stamp, nanoseconds. Going back resets the filter.
        """
        self.advance(stamp_ns)
        source, belief = self._config.source, self._belief
        if belief is None:
            return self._not_known(stamp_ns, math.inf, "")
        age_s = (stamp_ns - belief.stamp_ns) / 1e9
        predicted = _predict(belief, stamp_ns, self._config)
        sigma_log = self._sigma_log(predicted)
        lost = self._why_lost(age_s, sigma_log)
        if lost:
            return self._not_known(stamp_ns, age_s, lost)
        value = math.exp(predicted.mean)
        late = f"no fresh {self._kind} for {age_s:.1f} s" if age_s > self._config.fresh_s else ""
        reason = "; ".join(line for line in (late, self._trouble) if line)
        state = HOLDING if reason else LOCKED
        reason = reason or f"following the {self._kind}"
        return ScaleState(state, source, value, sigma_log, age_s, reason)

    def _sigma_log(self, predicted: _Belief) -> float:
        """Return the sigma to publish: the belief's, wider where newer references contradict."""
        variance = predicted.variance
        if self._config.source == "camera_height":
            # The same floor is bent the same way in every frame: no averaging removes that.
            variance += self._config.camera_height_sigma_log**2
        if len(self._candidates) > 1:
            # Either may be right: the middle of an even mixture's second moments about the mean.
            variance += 0.5 * (self._candidates[-1].log_scale - predicted.mean) ** 2
        return max(SIGMA_LOG_FLOOR, math.sqrt(variance))

    def _why_lost(self, age_s: float, sigma_log: float) -> str:
        """Return why the scale is known no longer, empty if it is."""
        config = self._config
        if age_s > config.max_age_s:
            return f"the last {self._kind} is {age_s:.1f} s old, more than {config.max_age_s:g} s"
        if sigma_log > config.max_sigma_log:
            return f"sigma of log scale is {sigma_log:.2f}, more than {config.max_sigma_log:g}"
        return ""

    def _not_known(self, stamp_ns: int, age_s: float, lost: str) -> ScaleState:
        """Return the state without a value."""
        known_before = bool(lost) or self._ever_known
        arriving = self._candidates and not self._too_old(self._candidates[-1], stamp_ns)
        if arriving and (self._belief is None or age_s > self._config.max_age_s):
            got, needed = len(self._candidates), self._config.acquire_count
            state, reason = ACQUIRING, f"{got} of {needed} {self._kind}s that agree"
        else:
            state = LOST if known_before else UNKNOWN
            reason = lost or self._waiting_for
        if self._trouble:
            reason = f"{reason}; {self._trouble}"
        return ScaleState(state, self._config.source, math.nan, math.inf, age_s, reason)

    def _fold_in(self, measured: ScaleMeasurement) -> None:
        """Correct the belief, or doubt the measurement and keep it as a candidate."""
        config = self._config
        if self._belief is not None and self._too_old(self._belief, measured.stamp_ns):
            self._belief, self._candidates = None, []
        belief = self._belief
        if belief is None:
            self._acquire(measured, config.acquire_count)
            return
        predicted = _predict(belief, measured.stamp_ns, config)
        off = abs(measured.log_scale - predicted.mean)
        gate = max(
            config.gate_log,
            config.gate_sigma * math.sqrt(predicted.variance + measured.variance),
        )
        if off <= gate * (_STILL_DOUBTED if self._candidates else 1.0):
            self._belief = _correct(predicted, measured)
            self._candidates, self._trouble = [], ""
            return
        self._trouble = (
            f"{self._kind} doubted: got scale {math.exp(measured.log_scale):.3g}, expected "
            f"{math.exp(predicted.mean):.3g} within a factor {math.exp(gate):.2f}; "
            "it counts if the next ones agree"
        )
        self._acquire(measured, config.reacquire_count)

    def _acquire(self, measured: ScaleMeasurement, needed: int) -> None:
        """Add a candidate; when enough in a row agree, believe them."""
        last = self._candidates[-1] if self._candidates else measured
        if self._too_old(last, measured.stamp_ns) or not self._agrees(last, measured):
            self._candidates = []
        self._candidates = [*self._candidates, measured]
        if len(self._candidates) < needed:
            return
        belief = _first(self._candidates[0], self._config)
        for candidate in self._candidates[1:]:
            belief = _correct(_predict(belief, candidate.stamp_ns, self._config), candidate)
        self._belief, self._candidates, self._trouble = belief, [], ""
        self._ever_known = True

    def _too_old(self, one: _Belief | ScaleMeasurement, stamp_ns: int) -> bool:
        return (stamp_ns - one.stamp_ns) / 1e9 > self._config.max_age_s

    def _agrees(self, earlier: ScaleMeasurement, later: ScaleMeasurement) -> bool:
        """Whether two measurements can be of one scale that strays as the settings say."""
        config = self._config
        predicted = _predict(_first(earlier, config), later.stamp_ns, config)
        sigma = math.sqrt(predicted.variance + later.variance)
        return abs(later.log_scale - predicted.mean) <= _AGREE_SIGMAS * sigma
