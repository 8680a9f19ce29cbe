"""How still the outputs hold, and how soon they react: one is worth nothing without the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.config import TemporalConfig
from gam_depth_ros.core.temporal_filter import TemporalFilter
from gam_depth_ros.core.temporal_metrics import (
    flicker,
    is_still,
    label_change,
    optical_warp_error,
    photometric_weight,
    reaction_frames,
    step_response,
    with_step,
)
from gam_depth_ros.evaluation.frame_values import FrameValues
from gam_depth_ros.evaluation.observation import Observation

SCORED_WIDTH = 160
"""Depth is a smooth picture: a quarter of the width tells its flicker as well."""

MAX_GAP_NS = 500_000_000
STEPS = (-0.5, -0.2, 0.2, 0.5)
WARM_UP, WATCHED = 10, 8
MIN_STILL_SHARE = 0.05
BELIEVED_WEIGHT = 0.9


@dataclass(frozen=True)
class _Small:
    """One frame, shrunk."""

    stamp_ns: int
    rgb: npt.NDArray[np.uint8]
    grey: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.float32]
    steady: npt.NDArray[np.float32]
    sigma_log: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]


class TemporalScore:
    """Smoothness between neighbouring frames, before and after the filter, and its reaction.

    The flow that scores is another than the filter's own: of another size and preset.

    Args:
        config: The filter's settings, for the reaction.
    """

    def __init__(self, config: TemporalConfig) -> None:
        self._config = config
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._last: _Small | None = None
        self._window: list[_Small] | None = []
        self._reactions: dict[float, int | None] = {}
        names = ("opw", "opw_network", "flicker", "flicker_network", "label_change")
        self._names = names
        self._values = FrameValues(shares=("label_change",))

    def add(self, seen: Observation) -> None:
        """Score a frame against the one before; one without depth or labels is a gap."""
        now, last = _shrunk(seen), self._last
        self._last = now
        if now is None:
            return
        self._watch(now)
        if last is None or last.grey.shape != now.grey.shape:
            return
        if not 0 < now.stamp_ns - last.stamp_ns <= MAX_GAP_NS:
            return
        # OpenCV takes None for a start that is not known; its type hints do not say so.
        start: Any = None
        flow = np.asarray(self._search.calc(now.grey, last.grey, start), np.float32)
        weight = photometric_weight(now.grey, last.grey, flow)
        self._values.add("opw", optical_warp_error(now.steady, last.steady, flow, weight))
        self._values.add("opw_network", optical_warp_error(now.depth, last.depth, flow, weight))
        self._values.add("label_change", label_change(now.labels, last.labels, flow, weight))
        still = is_still(flow) & (weight > BELIEVED_WEIGHT)
        if still.mean() > MIN_STILL_SHARE:
            self._values.add("flicker", flicker(now.steady, last.steady, still))
            self._values.add("flicker_network", flicker(now.depth, last.depth, still))

    def _watch(self, now: _Small) -> None:
        """Keep the first frames, until there are enough to see a step in."""
        if self._window is None:
            return
        self._window.append(now)
        if len(self._window) == WARM_UP + WATCHED:
            self._reactions = step_reactions(self._config, self._window)
            self._window = None

    def summary(self) -> dict[str, Any] | None:
        """Return the figures for the report, None without two frames to compare."""
        if not self._values.count("opw"):
            return None
        return {
            **{name: self._values.mean(name) for name in self._names},
            "intervals": self._values.intervals(),
            "reaction_frames": {f"{step:+g}": count for step, count in self._reactions.items()},
            "still_pairs": self._values.count("flicker"),
            "frames": self._values.count("opw"),
        }


def step_reactions(config: TemporalConfig, frames: Sequence[_Small]) -> dict[float, int | None]:
    """Return how many frames the filter takes to show a step put into the middle of the depth.

    The picture shows nothing of the step, which is the hardest case: only depth can tell.

    Args:
        config: The filter's settings.
        frames: WARM_UP frames, then those with the step.

    Returns:
        By size of the step in log depth, nearer below zero: frames to nine tenths of it; None
        where it was not seen within the frames given.
    """
    where: npt.NDArray[np.bool_] = np.zeros(frames[0].depth.shape, bool)
    height, width = frames[0].depth.shape
    where[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = True
    runs = {}
    for step in (None, *STEPS):
        stage = TemporalFilter(config)
        outputs = []
        for index, frame in enumerate(frames):
            stepped = step is not None and index >= WARM_UP
            depth = with_step(frame.depth, where, step) if stepped and step else frame.depth
            ones = np.ones_like(depth)
            outputs.append(
                stage.update(
                    frame.stamp_ns, frame.rgb, depth, frame.sigma_log, frame.labels, ones
                ).depth
            )
        runs[step] = outputs[WARM_UP:]
    return {
        step: reaction_frames(
            [step_response(a, b, where, step) for a, b in zip(runs[step], runs[None], strict=True)]
        )
        for step in STEPS
    }


def _shrunk(seen: Observation) -> _Small | None:
    if seen.depth is None or seen.steady_depth is None or seen.labels is None:
        return None
    if seen.sigma_log is None or not seen.labels.size:
        return None
    rgb = seen.sample.frame.rgb
    height = max(1, round(SCORED_WIDTH * rgb.shape[0] / rgb.shape[1]))
    size = (SCORED_WIDTH, height)
    small = _area(rgb, size).astype(np.uint8, copy=False)
    depth, steady, sigma_log = (
        _area(values, size).astype(np.float32, copy=False)
        for values in (seen.depth, seen.steady_depth, seen.sigma_log)
    )
    labels = cv2.resize(seen.labels, size, interpolation=cv2.INTER_NEAREST)
    return _Small(
        stamp_ns=seen.sample.frame.stamp_ns,
        rgb=small,
        grey=np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8),
        depth=depth,
        steady=steady,
        sigma_log=sigma_log,
        labels=np.asarray(labels, np.uint8),
    )


def _area(image: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    """Shrink by the mean over areas; by four in two steps, each of which OpenCV has code for."""
    if (image.shape[1], image.shape[0]) == (4 * size[0], 4 * size[1]):
        image = cv2.resize(image, (2 * size[0], 2 * size[1]), interpolation=cv2.INTER_AREA)
    shrunk: npt.NDArray[Any] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return shrunk
