"""What fusion with the sensor would give, scored only where the sensor was withheld from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.config import FusionConfig
from gam_depth_ros.core.frame import SOURCE_NETWORK
from gam_depth_ros.core.metrics import MAX_DEPTH_M, MIN_DEPTH_M
from gam_depth_ros.core.sensor_fusion import SensorFusion
from gam_depth_ros.core.uncertainty_metrics import coverage
from gam_depth_ros.evaluation.frame_values import interval_ends
from gam_depth_ros.evaluation.observation import Float, Observation
from gam_depth_ros.evaluation.withholding import withhold_blocks

BLOCK_SHARE_OF_WIDTH = 0.05
WITHHELD_SHARE = 0.25
SEED = 1
MODES = ("network", "fill", "fuse")


class FusionScore:
    """Each mode on the same frames, the same metres and the same withheld blocks.

    A quarter of the picture, in blocks of a twentieth of its width, is kept from the sensor before
    it is fused; errors are those of these blocks. The blocks are the same in every frame, so that
    memory does not tell what was there.

    Args:
        config: The sensor's model and the gates; its mode is not used.
    """

    def __init__(self, config: FusionConfig) -> None:
        self._stages = {mode: SensorFusion(replace(config, mode=mode)) for mode in MODES}
        self._abs_rel: dict[str, list[float]] = {mode: [] for mode in MODES}
        self._covered: dict[str, list[float]] = {mode: [] for mode in MODES}
        self._sources = np.zeros(4, np.int64)

    def add(self, truth_m: Float, seen: Observation) -> None:
        """Score one frame whose sensor depth is the truth; without metres it counts nothing."""
        depth_m, sigma_m = seen.metric_depth_m, seen.metric_sigma_m
        reference = seen.sample.frame.reference
        if depth_m is None or sigma_m is None or reference is None:
            return
        depth_m = np.clip(depth_m, MIN_DEPTH_M, MAX_DEPTH_M)
        size_px = max(1, round(BLOCK_SHARE_OF_WIDTH * truth_m.shape[1]))
        kept_m, withheld = withhold_blocks(truth_m, size_px, WITHHELD_SHARE, SEED)
        scored = withheld & (truth_m > 0) & np.isfinite(truth_m) & np.isfinite(depth_m)
        if not scored.any():
            return
        shown = replace(reference, depth_m=kept_m)
        for mode, stage in self._stages.items():
            fused = stage.update(
                seen.sample.frame.stamp_ns, depth_m, sigma_m, shown, seen.sample.frame.rgb
            )
            self._score(mode, truth_m[scored], fused.depth_m[scored], fused.sigma_m[scored])
            if mode == "fuse":
                self._sources += _counts(fused.source)

    def _score(self, mode: str, truth: Float, depth: Float, sigma: Float) -> None:
        self._abs_rel[mode].append(float(np.mean(np.abs(depth - truth) / truth)))
        self._covered[mode].append(coverage(depth - truth, sigma))

    def summary(self) -> dict[str, Any] | None:
        """Return the figures for the report, None without a scored frame."""
        frames = len(self._abs_rel[MODES[0]])
        if not frames:
            return None
        total = max(1, int(self._sources.sum()))
        return {
            "withheld_share": WITHHELD_SHARE,
            "abs_rel": {mode: float(np.mean(self._abs_rel[mode])) for mode in MODES},
            "coverage_1sigma": {mode: float(np.mean(self._covered[mode])) for mode in MODES},
            "intervals": {
                mode: ends
                for mode in MODES
                if (ends := interval_ends(np.array(self._abs_rel[mode]))) is not None
            },
            "source_share": {
                name: int(count) / total
                for name, count in zip(
                    ("none", "sensor", "network", "fused"), self._sources, strict=True
                )
            },
            "frames": frames,
        }


def _counts(source: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    return np.bincount(source.ravel(), minlength=SOURCE_NETWORK + 2).astype(np.int64)
