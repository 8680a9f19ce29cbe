"""Which frames of a recording are worth retraining on: what the model finds hard, each once.

A frame is marked by four figures that need no truth but the sensor's depth: how unsure the network
is, how unlike training its features are, how far the scale that the frame's reference asks for is
from the one in use, and how little depth and labels agree on boundaries. Marks are compared with
the other frames of all recordings; then frames are taken greedily, the worthiest first, less worth
the more they look like one taken already (Carbonell & Goldstein 1998, maximal marginal relevance).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.scale_alignment import median_scale
from gam_depth_ros.evaluation.observation import Observation, fitting_reference

LOOK_WH = (8, 6)
"""Size of the picture that likeness is judged by."""
NEW_LOOK = 0.5
"""Distance of two looks from which on they count as different places."""
STANDS_OUT = 1.5
"""Robust deviations above the median from which on a figure is a reason."""
UNTEACHABLE = ("covered", "frozen", "blurred")
"""Conditions of pictures that teach nothing about rooms."""

_MAD_TO_SIGMA = 1.4826
# Below these spreads a figure does not vary enough to tell frames apart.
_LEAST_SPREAD = {"sigma": 0.01, "unfamiliar": 0.05, "scale": 0.02, "conflict": 0.02}

REASONS = {
    "sigma": "unsure: mean sigma of log depth",
    "unfamiliar": "unlike training: feature distance, 1 is the limit",
    "scale": "scale: |log| of the frame's own over the one in use",
    "conflict": "depth and labels: share of boundaries that do not agree",
}


@dataclass(frozen=True)
class FrameMark:
    """What one frame gives to judge its worth by; small, so that all can be kept.

    Attributes:
        index: Position among the images of the recording, readable or not.
        stamp_ns: Its stamp.
        figures: By the names of ``REASONS``; NaN unknown.
        conditions: What is wrong with the picture itself.
        look: 8×6×3 bytes, the picture very small.
    """

    index: int
    stamp_ns: int
    figures: dict[str, float]
    conditions: tuple[str, ...]
    look: bytes


@dataclass(frozen=True)
class Pick:
    """A frame that was chosen.

    Attributes:
        recording: Place of its recording in the list.
        mark: Its mark.
        reasons: Name, and the share of all frames whose figure is smaller, the largest first.
        novelty: 0 to 1, how unlike the frames chosen before it looks.
    """

    recording: int
    mark: FrameMark
    reasons: tuple[tuple[str, float], ...]
    novelty: float


@dataclass(frozen=True)
class MiningRules:
    """How frames are chosen.

    Attributes:
        frames: At most so many over all recordings.
        apart_s: Least seconds between two of one recording.
        frame_gap: Recorded frames between the neighbours of a clip.
        neighbours: How many neighbours a clip of training has on either side.
    """

    frames: int = 20
    apart_s: float = 1.0
    frame_gap: int = 1
    neighbours: int = 2

    def __post_init__(self) -> None:
        if min(self.frames, self.frame_gap, self.neighbours) < 1 or not self.apart_s >= 0:
            raise ValueError(
                f"mining: got {self.frames} frames {self.apart_s} s apart with {self.neighbours} "
                f"neighbours at a gap of {self.frame_gap}, expected at least one of each"
            )

    @property
    def reach(self) -> int:
        """Frames that a clip needs on either side of its middle."""
        return self.frame_gap * self.neighbours


def mark_frame(index: int, seen: Observation, slop_s: float) -> FrameMark:
    """Return the mark of a frame.

    Args:
        index: Position among the images of the recording.
        seen: What the pipeline gave.
        slop_s: How far the stamps of picture and reference may differ, seconds.
    """
    quality, rgb = seen.quality, seen.sample.frame.rgb
    agreement = math.nan if quality is None else quality.agreement
    scores = {} if quality is None else quality.scores
    return FrameMark(
        index=index,
        stamp_ns=seen.sample.frame.stamp_ns,
        figures={
            "sigma": math.nan if seen.sigma_log is None else float(np.mean(seen.sigma_log)),
            "unfamiliar": scores.get("out_of_distribution", math.nan),
            "scale": scale_innovation(seen, slop_s),
            "conflict": 1.0 - agreement,
        },
        conditions=() if quality is None else quality.conditions,
        look=np.asarray(cv2.resize(rgb, LOOK_WH, interpolation=cv2.INTER_AREA)).tobytes(),
    )


def scale_innovation(seen: Observation, slop_s: float) -> float:
    """Return |ln(the frame's own scale / the one in use)|; NaN where one of them is unknown."""
    truth_m = fitting_reference(seen.sample, slop_s)
    if truth_m is None or seen.steady_depth is None or seen.scale_state is None:
        return math.nan
    ratio = median_scale(truth_m, seen.steady_depth) / seen.scale_state.value
    return abs(math.log(ratio)) if math.isfinite(ratio) and ratio > 0 else math.nan


def choose_frames(marks: Sequence[Sequence[FrameMark]], rules: MiningRules) -> list[Pick]:
    """Choose the frames worth retraining on.

    Args:
        marks: For each recording, those of its readable frames in their order.
        rules: How many, how far apart, with which neighbours.

    Returns:
        The chosen, the worthiest first; fewer than asked for where no more stand out.
    """
    found = [
        (place, mark)
        for place, recording in enumerate(marks)
        for mark in _with_neighbours(recording, rules.reach)
        if not set(mark.conditions) & set(UNTEACHABLE)
    ]
    shares = _shares_below([m for recording in marks for m in recording], [m for _, m in found])
    # Rare is worth more: of a hundred frames the first counts twice as much as the tenth. By rank,
    # so that a figure with heavy tails does not drown the others.
    best = -np.log10(1.0 - shares.max(axis=1, initial=0.0))
    looks = _looks([mark for _, mark in found])
    novelty = np.ones(len(found))
    free = best > 0.0
    picks: list[Pick] = []
    while free.any() and len(picks) < rules.frames:
        chosen = int(np.argmax(np.where(free, best * novelty, -1.0)))
        place, mark = found[chosen]
        picks.append(Pick(place, mark, _reasons(shares[chosen]), float(novelty[chosen])))
        distance = np.sqrt(np.mean((looks - looks[chosen]) ** 2, axis=1))
        novelty = np.minimum(novelty, distance / NEW_LOOK)
        free[chosen] = False
        for other in np.flatnonzero(free):
            near_ns = abs(found[other][1].stamp_ns - mark.stamp_ns)
            if found[other][0] == place and near_ns < rules.apart_s * 1e9:
                free[other] = False
    return picks


def stretches(picks: Sequence[Pick], recording: int, reach: int) -> list[tuple[int, int]]:
    """Return first and last index of each stretch of frames to keep of one recording.

    Every pick keeps ``reach`` frames on either side, for the clips of training; stretches that
    touch become one.
    """
    found: list[tuple[int, int]] = []
    for index in sorted(pick.mark.index for pick in picks if pick.recording == recording):
        first, last = index - reach, index + reach
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def _with_neighbours(marks: Sequence[FrameMark], reach: int) -> list[FrameMark]:
    """Return the marks whose frames on either side were readable, in rising time."""
    kept = []
    for place in range(reach, len(marks) - reach):
        around = marks[place - reach : place + reach + 1]
        whole = around[-1].index - around[0].index == 2 * reach
        rising = all(a.stamp_ns < b.stamp_ns for a, b in itertools.pairwise(around))
        if whole and rising:
            kept.append(marks[place])
    return kept


def _shares_below(
    everything: Sequence[FrameMark], candidates: Sequence[FrameMark]
) -> npt.NDArray[np.float64]:
    """Return N×R: the share of all frames below each candidate's figure, 0 where it is no reason.

    With n frames the largest has n / (n + 1).
    """
    shares = np.zeros((len(candidates), len(REASONS)))
    for column, name in enumerate(REASONS):
        known = np.array([mark.figures[name] for mark in everything])
        known = np.sort(known[np.isfinite(known)])
        if not known.size:
            continue
        middle = float(np.median(known))
        spread = _MAD_TO_SIGMA * float(np.median(np.abs(known - middle)))
        values = np.array([mark.figures[name] for mark in candidates])
        outstanding = values >= middle + STANDS_OUT * max(spread, _LEAST_SPREAD[name])
        if name == "unfamiliar":
            # Past the model's own limit a frame is new however many others are.
            outstanding |= values >= 1.0
        rank = np.searchsorted(known, values, side="right")
        shares[:, column] = np.where(outstanding, rank / (known.size + 1), 0.0)
    return shares


def _reasons(shares: npt.NDArray[np.float64]) -> tuple[tuple[str, float], ...]:
    named = sorted(zip(REASONS, shares.tolist(), strict=True), key=lambda pair: -pair[1])
    return tuple((name, share) for name, share in named if share > 0)


def _looks(marks: Sequence[FrameMark]) -> npt.NDArray[np.float32]:
    """Return N×D looks of mean 0 and deviation 1 each, so that a brighter light is no new place."""
    size = LOOK_WH[0] * LOOK_WH[1] * 3
    stacked = np.frombuffer(b"".join(mark.look for mark in marks), np.uint8)
    looks = stacked.reshape(len(marks), size).astype(np.float32)
    looks -= looks.mean(axis=1, keepdims=True)
    spread = looks.std(axis=1, keepdims=True)
    return np.asarray(looks / np.maximum(spread, 1.0), np.float32)
