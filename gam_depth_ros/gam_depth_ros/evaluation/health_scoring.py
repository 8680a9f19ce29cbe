"""What the pipeline said of the pictures themselves, over a recording."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gam_depth_ros.core.frame import FrameQuality
from gam_depth_ros.evaluation.frame_values import interval_ends


class HealthScore:
    """Counts conditions, boundary agreement and drift."""

    def __init__(self) -> None:
        self._withheld = 0
        self._conditions: dict[str, int] = {}
        self._agreements: list[float] = []
        self._well: list[float] = []
        self._last: FrameQuality | None = None

    def add(self, quality: FrameQuality) -> None:
        """Count one frame."""
        self._well.append(float(not quality.conditions))
        self._withheld += quality.withheld
        for name in quality.conditions:
            self._conditions[name] = self._conditions.get(name, 0) + 1
        if math.isfinite(quality.agreement):
            self._agreements.append(quality.agreement)
        self._last = quality

    def summary(self) -> dict[str, Any] | None:
        """Return the figures for the report, None where nothing was judged."""
        if self._last is None:
            return None
        return {
            "healthy_share": float(np.mean(self._well)),
            "withheld_frames": self._withheld,
            "conditions": dict(sorted(self._conditions.items())),
            "agreement": float(np.mean(self._agreements)) if self._agreements else None,
            "drift": self._last.drift,
            "drift_line": self._last.drift_line,
            "intervals": {
                name: ends
                for name, values in (("healthy_share", self._well), ("agreement", self._agreements))
                if (ends := interval_ends(np.array(values, np.float64))) is not None
            },
            "frames": len(self._well),
            "frames_of": {"agreement": len(self._agreements)},
        }
