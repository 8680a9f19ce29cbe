"""What the pipeline said of the pictures themselves, over a recording."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gam_depth_ros.core.frame import FrameQuality


class HealthScore:
    """Counts conditions, boundary agreement and drift."""

    def __init__(self) -> None:
        self._frames = self._healthy = self._withheld = 0
        self._conditions: dict[str, int] = {}
        self._agreements: list[float] = []
        self._last: FrameQuality | None = None

    def add(self, quality: FrameQuality) -> None:
        """Count one frame."""
        self._frames += 1
        self._healthy += not quality.conditions
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
            "healthy_share": self._healthy / self._frames,
            "withheld_frames": self._withheld,
            "conditions": dict(sorted(self._conditions.items())),
            "agreement": float(np.mean(self._agreements)) if self._agreements else None,
            "drift": self._last.drift,
            "drift_line": self._last.drift_line,
            "frames": self._frames,
        }
