"""What the pipeline said of the pictures themselves, over a recording."""

from __future__ import annotations

from typing import Any

from gam_depth_ros.core.frame import FrameQuality
from gam_depth_ros.evaluation.frame_values import FrameValues


class HealthScore:
    """Counts conditions, boundary agreement and drift."""

    def __init__(self) -> None:
        self._withheld = 0
        self._conditions: dict[str, int] = {}
        self._values = FrameValues(shares=("healthy_share", "agreement"))
        self._last: FrameQuality | None = None

    def add(self, quality: FrameQuality) -> None:
        """Count one frame."""
        self._values.add("healthy_share", float(not quality.conditions))
        self._withheld += quality.withheld
        for name in quality.conditions:
            self._conditions[name] = self._conditions.get(name, 0) + 1
        self._values.add("agreement", quality.agreement)
        self._last = quality

    def summary(self) -> dict[str, Any] | None:
        """Return the figures for the report, None where nothing was judged."""
        if self._last is None:
            return None
        return {
            "healthy_share": self._values.mean("healthy_share"),
            "withheld_frames": self._withheld,
            "conditions": dict(sorted(self._conditions.items())),
            "agreement": self._values.mean("agreement"),
            "drift": self._last.drift,
            "drift_line": self._last.drift_line,
            "intervals": self._values.intervals(),
            "frames": self._values.count("healthy_share"),
            "frames_of": {"agreement": self._values.count("agreement")},
        }
