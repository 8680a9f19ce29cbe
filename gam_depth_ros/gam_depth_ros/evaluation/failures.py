"""Which frames failed and why: counted by cause, the worst of each kept as pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from gam_depth_ros.evaluation.gallery import Picture, picture_of
from gam_depth_ros.evaluation.observation import Float, Observation

KEPT_OF_A_CAUSE = 2
APART_NS = 1_000_000_000
SCALE_OFF_LOG = 0.1
TOO_SURE_COVERAGE = 0.35
"""Half of what one sigma promises."""

SCALE, BLIND, TOO_SURE = "scale off", "no better than a blind guess", "too sure"
ABOUT = {
    BLIND: "after per-image alignment a constant depth would have done as well",
    SCALE: f"metres off by more than {100 * SCALE_OFF_LOG:.0f} % against the frame's own scale",
    TOO_SURE: f"one sigma covers less than {100 * TOO_SURE_COVERAGE:.0f} % of the pixels",
}
PICTURE = "the picture: "
"""Before the name of a condition of frame health, which explains what else went wrong."""


@dataclass(frozen=True)
class FrameScores:
    """What of a frame's scores tells causes; NaN unknown.

    Attributes:
        abs_rel: After median alignment.
        floor_abs_rel: Of a constant depth.
        scale_log_error: ln(scale in use / the frame's own).
        coverage: Share of pixels within one sigma after median alignment.
    """

    abs_rel: float = math.nan
    floor_abs_rel: float = math.nan
    scale_log_error: float = math.nan
    coverage: float = math.nan


@dataclass
class _Group:
    frames: int = 0
    worst: list[tuple[float, Picture]] = field(default_factory=list)


class FailureGallery:
    """Counts failures by cause and keeps the worst frames of each, at least a second apart."""

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}
        self._pictures = self._with_truth = 0

    def add(
        self, index: int, seen: Observation, truth_m: Float | None, scores: FrameScores
    ) -> None:
        """Judge one frame."""
        self._pictures += 1
        self._with_truth += math.isfinite(scores.floor_abs_rel)
        for cause, severity in causes_of(seen, scores).items():
            group = self._groups.setdefault(cause, _Group())
            group.frames += 1
            self._offer(group, severity, index, seen, (truth_m, scores.abs_rel))

    def _offer(
        self,
        group: _Group,
        severity: float,
        index: int,
        seen: Observation,
        truth: tuple[Float | None, float],
    ) -> None:
        """Keep a picture where it is among the worst; of neighbours the worse one stays."""
        stamp_ns = seen.sample.frame.stamp_ns
        near = [kept for kept in group.worst if abs(kept[1].stamp_ns - stamp_ns) < APART_NS]
        if any(kept[0] >= severity for kept in near):
            return
        rest = [kept for kept in group.worst if kept not in near]
        if len(rest) >= KEPT_OF_A_CAUSE and severity <= min(kept[0] for kept in rest):
            return
        rest.append((severity, picture_of(index, seen, *truth)))
        group.worst = sorted(rest, key=lambda kept: -kept[0])[:KEPT_OF_A_CAUSE]

    def summary(self) -> list[dict[str, Any]]:
        """Return cause, meaning and number of frames for the report, the commonest first.

        ``of_frames``: for a cause of the picture all that were processed, for any other, which
        is ``with_truth``, those of them with truth, whatever was wrong with their pictures.
        """
        rows = []
        for cause, group in self._ordered():
            with_truth = not cause.startswith(PICTURE)
            rows.append(
                {
                    "cause": cause,
                    "about": _about(cause),
                    "frames": group.frames,
                    "of_frames": self._with_truth if with_truth else self._pictures,
                    "with_truth": with_truth,
                }
            )
        return rows

    def pictures(self) -> dict[str, list[Picture]]:
        """Return the worst pictures by cause, in the summary's order."""
        return {
            cause: [picture for _, picture in group.worst] for cause, group in self._ordered()
        }

    def _ordered(self) -> list[tuple[str, _Group]]:
        return sorted(self._groups.items(), key=lambda item: (-item[1].frames, item[0]))


def causes_of(seen: Observation, scores: FrameScores) -> dict[str, float]:
    """Return the causes for which a frame counts as failed, with how grave each is.

    What is wrong with the picture itself comes alone: it explains the rest.
    """
    if seen.quality is not None and seen.quality.conditions:
        condition = seen.quality.conditions[0]
        grave = scores.abs_rel if math.isfinite(scores.abs_rel) else 0.0
        return {PICTURE + condition.replace("_", " "): grave}
    found = {}
    if scores.abs_rel >= scores.floor_abs_rel:
        found[BLIND] = scores.abs_rel - scores.floor_abs_rel
    if abs(scores.scale_log_error) > SCALE_OFF_LOG:
        found[SCALE] = abs(scores.scale_log_error)
    if scores.coverage < TOO_SURE_COVERAGE:
        found[TOO_SURE] = TOO_SURE_COVERAGE - scores.coverage
    return found


def _about(cause: str) -> str:
    return ABOUT.get(cause, "frame health raised it, and says so on the live topics")
