"""Depth, sigma and labels that hold still while the scene does, and follow it when it changes.

A Kalman filter for each pixel, in log depth, on the network's own grid and before any scale: a
change of scale can then not smear, and a frame costs a hundredth of what it costs at the picture's
size. The error of one frame is taken for two parts: one that stays from frame to frame, which no
averaging lessens, and ``noise_share`` of sigma that does not. Only the second is filtered, and
sigma shrinks by no more than that.

Motion first moves the state to where its pixels are now. What the picture shows to be new, what
comes from outside it, and what differs beyond the gate takes the frame's own value. The network
also misjudges the depth of whole frames, by far more than a camera moves in a frame's time: the
part of a change that all pixels share and the picture's growth does not explain is followed with a
time constant, unless the picture has too little texture to show growth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.config import TemporalConfig
from gam_depth_ros.core.label_hysteresis import fade_of, hold_labels
from gam_depth_ros.core.medians import median
from gam_depth_ros.core.optical_flow import Motion, fetch, fetch_within_edges
from gam_depth_ros.core.picture_tracking import PictureTracker
from gam_depth_ros.core.sampling import network_step
from gam_depth_ros.core.temporal_config import OFF

Floats = npt.NDArray[np.float32]
Grey = npt.NDArray[np.uint8]
Ids = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

_MEDIAN_STEP = 2
"""A quarter of a small network's pixels gives a frame's median as well as all do."""


@dataclass(frozen=True)
class Filtered:
    """One frame after the filter, on the grid that it was given on.

    Attributes:
        depth: H×W float32, in the unit of the depth given; NaN where that was.
        sigma_log: H×W float32, half-width of the 68.3 % interval of log depth; never more than
            given and never less than sqrt(1 - noise_share²) of it.
        labels: H×W uint8 ids.
        label_confidence: H×W float32, 0 to 1.
        note: One line when the filter had to start anew, else empty.
    """

    depth: Floats
    sigma_log: Floats
    labels: npt.NDArray[np.uint8]
    label_confidence: Floats
    note: str = ""


@dataclass(frozen=True)
class _State:
    """What is remembered of a frame, on the filter's grid; the picture on the tracker's."""

    stamp_ns: int
    grey: Grey
    log_depth: Floats
    variance: Floats
    labels: Ids
    label_confidence: Floats


@dataclass(frozen=True)
class _Predicted:
    """The state moved to where its pixels are now; the last two are Track's."""

    log_depth: Floats
    variance: Floats
    labels: Ids
    label_confidence: Floats
    followed: Mask
    explained: bool


class TemporalFilter:
    """Filters depth, sigma and labels over time; call :meth:`update` once per frame, in order.

    Args:
        config: Settings. With mode ``off`` every frame passes as it is.
    """

    def __init__(self, config: TemporalConfig) -> None:
        self._config = config
        self._tracker = PictureTracker()
        self._state: _State | None = None

    def configure(self, config: TemporalConfig) -> None:
        """Take over changed settings; a change of mode or of the flow's size starts anew."""
        old = self._config
        if (config.mode, config.flow_upsampling) != (old.mode, old.flow_upsampling):
            self.reset()
        self._config = config

    def reset(self) -> None:
        """Forget every frame seen."""
        self._state = None

    def update(
        self,
        stamp_ns: int,
        rgb: npt.NDArray[np.uint8],
        depth: Floats,
        sigma_log: Floats,
        labels: Ids,
        label_confidence: Floats,
        motion: Motion | None = None,
    ) -> Filtered:
        """Filter one frame.

        Args:
            stamp_ns: The frame's stamp, nanoseconds. After a gap or a step back, with arrays of
                another size, or with a picture that does not continue the last one, the filter
                starts anew and the frame passes as it is.
            rgb: The picture, uint8 RGB, over the same field of view and of any size.
            depth: H×W float32 above zero, in any unit that stays the same; NaN where unknown.
            sigma_log: H×W float32, half-width of the 68.3 % interval of log ``depth``.
            labels: H×W uint8 ids.
            label_confidence: H×W float32, 0 to 1.
            motion: Where the camera's motion is known better than the picture tells it: flow on
                any grid over the same field of view.

        Raises:
            ValueError: arrays that differ in size.
        """
        measured = Filtered(depth, sigma_log, labels, label_confidence)
        _require_one_size(measured)
        if self._config.mode == OFF:
            return measured
        frame = _State(
            stamp_ns,
            self._tracker.picture(rgb, (depth.shape[0], depth.shape[1]), self._config),
            _log(depth),
            np.square(np.float32(self._config.noise_share) * sigma_log),
            labels,
            label_confidence,
        )
        state, self._state = self._state, frame
        if state is None:
            return measured
        problem = self._gap(state, frame)
        if problem:
            return replace(measured, note=f"{problem}: the filter over time starts anew")
        predicted = self._predict(state, frame, motion)
        share = np.count_nonzero(predicted.followed) / depth.size
        if share < self._config.min_followed_share:
            note = f"{share:.0%} of the picture continues the last one"
            return replace(measured, note=f"{note}: the filter over time starts anew")
        self._state = self._merge(predicted, frame, (stamp_ns - state.stamp_ns) / 1e9)
        return _published(self._state, frame.variance, sigma_log)

    def _gap(self, state: _State, frame: _State) -> str:
        """Return why a frame cannot follow the one before it, empty if it can."""
        elapsed_s = (frame.stamp_ns - state.stamp_ns) / 1e9
        if elapsed_s < 0:
            return f"stamps went back by {-elapsed_s:.3f} s"
        if elapsed_s > self._config.max_gap_s:
            return f"no frame for {elapsed_s:.3f} s"
        before, now = state.log_depth.shape, frame.log_depth.shape
        if before != now:
            return f"frame size changed from {before[1]}x{before[0]} to {now[1]}x{now[0]}"
        return ""

    def _predict(self, state: _State, frame: _State, motion: Motion | None) -> _Predicted:
        """Move the state to where its pixels are now; its variance grows with the time between."""
        config = self._config
        size_hw = (frame.log_depth.shape[0], frame.log_depth.shape[1])
        drift = np.float32(config.process_noise**2 * (frame.stamp_ns - state.stamp_ns) / 1e9)
        track = self._tracker.track(frame.grey, state.grey, size_hw, config, motion)
        if track.source is None:
            return _Predicted(
                state.log_depth,
                state.variance + drift,
                state.labels,
                state.label_confidence,
                track.followed,
                track.explained,
            )
        return _Predicted(
            fetch_within_edges(state.log_depth, track.source) + track.log_change,
            fetch(state.variance, track.source, nearest=True) + drift,
            fetch(state.labels, track.source, nearest=True),
            fetch(state.label_confidence, track.source, nearest=True),
            track.followed,
            track.explained,
        )

    def _merge(self, predicted: _Predicted, frame: _State, elapsed_s: float) -> _State:
        """Weigh the frame against what was expected of it, pixel by pixel."""
        config = self._config
        passed, held = self._frame_change(predicted, frame, elapsed_s)
        expected = predicted.log_depth + np.float32(passed)
        own = frame.log_depth - np.float32(held)
        innovation = own - expected
        total = predicted.variance + frame.variance
        spread = np.sqrt(total)
        nearer_gate = np.minimum(config.nearer_gate * spread, np.float32(config.nearer_limit))
        nearer = innovation < -nearer_gate
        # Each comparison is false for NaN, so that what is unknown is never kept.
        alike = (innovation >= -nearer_gate) & (innovation <= config.farther_gate * spread)
        keeps = predicted.followed & alike
        labels, confidence = hold_labels(
            predicted.labels,
            predicted.label_confidence,
            frame.labels,
            frame.label_confidence,
            keeps,
            fade_of(elapsed_s, config.label_time_s),
            config.label_margin,
        )
        # Where the label changes another surface has come, however alike its depth.
        keeps &= labels == predicted.labels
        gain = predicted.variance / total
        # What holds the frame's scale steady must not push an obstacle back.
        taken = np.where(nearer, np.minimum(own, frame.log_depth), own)
        return replace(
            frame,
            log_depth=np.where(keeps, expected + gain * innovation, taken),
            variance=np.where(keeps, gain * frame.variance, frame.variance),
            labels=labels,
            label_confidence=confidence,
        )

    def _frame_change(
        self, predicted: _Predicted, frame: _State, elapsed_s: float
    ) -> tuple[float, float]:
        """Return how much of the change of the whole frame's log depth to follow and to hold back.

        The change is the median over the pixels that were found again: what steps into the picture
        has no part in it.
        """
        step = (slice(None, None, _MEDIAN_STEP * network_step(frame.log_depth.size)),) * 2
        change = frame.log_depth[step] - predicted.log_depth[step]
        change = change[predicted.followed[step] & np.isfinite(change)]
        if not change.size:
            return 0.0, 0.0
        config, whole = self._config, float(np.float32(median(change)))
        within = -config.frame_nearer_limit <= whole <= config.frame_farther_limit
        if not (within and predicted.explained):
            return whole, 0.0
        passed = fade_of(elapsed_s, config.frame_time_s) * whole
        return passed, whole - passed


def _published(state: _State, noise: Floats, sigma_log: Floats) -> Filtered:
    """Return the state as depth, and sigma less the noise that was filtered out."""
    sigma = np.sqrt(np.maximum(np.square(sigma_log) - noise + state.variance, 0))
    return Filtered(np.exp(state.log_depth), sigma, state.labels, state.label_confidence)


def _log(depth: Floats) -> Floats:
    """Return log depth; NaN where depth is not above zero."""
    with np.errstate(invalid="ignore", divide="ignore"):
        log_depth = np.log(depth)
    log_depth[np.isneginf(log_depth)] = np.nan
    return np.asarray(log_depth, np.float32)


def _require_one_size(frame: Filtered) -> None:
    """Raise ValueError unless all arrays of a frame have one size."""
    expected = frame.depth.shape
    for name in ("sigma_log", "labels", "label_confidence"):
        if (got := getattr(frame, name).shape) != expected:
            raise ValueError(f"{name}: got {got}, expected {expected} like depth; pass one output")
