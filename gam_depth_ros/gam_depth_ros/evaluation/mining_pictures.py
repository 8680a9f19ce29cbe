"""What a picked frame shows, small."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.agreement import boundary_agreement
from gam_depth_ros.core.pipeline import FrameError, PerceptionPipeline
from gam_depth_ros.evaluation.gallery import WIDTH_PX
from gam_depth_ros.evaluation.observation import Float
from gam_depth_ros.evaluation.sample import Sample


@dataclass(frozen=True)
class PickPicture:
    """Small copies of what a picked frame shows; None where the pipeline refused it.

    Attributes:
        rgb: h×w×3 uint8.
        depth: h×w float32, up to scale.
        sigma_log: h×w float32.
        labels: h×w uint8 ids.
        conflict: h×w uint8: 1 where depth alone has a boundary, 2 where the labels alone, 3 both.
    """

    rgb: npt.NDArray[np.uint8]
    depth: Float | None = None
    sigma_log: Float | None = None
    labels: npt.NDArray[np.uint8] | None = None
    conflict: npt.NDArray[np.uint8] | None = None


def draw_pick(sample: Sample, pipeline: PerceptionPipeline) -> PickPicture:
    """Return small copies of what a picked frame shows, seen for itself, without the past."""
    rgb = sample.frame.rgb
    width = min(WIDTH_PX, rgb.shape[1])
    size = (width, max(1, round(rgb.shape[0] * width / rgb.shape[1])))
    small = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    pipeline.reset()
    try:
        seen = pipeline.process(sample.frame)
    except FrameError:
        return PickPicture(small)
    depth = np.asarray(cv2.resize(seen.network_depth, size), np.float32)
    labels = cv2.resize(seen.labels, size, interpolation=cv2.INTER_NEAREST_EXACT)
    # Steps between neighbours of a magnified depth are small: compared on the network's own grid.
    height, wide = pipeline.engine.spec.input_size_hw
    grid = (wide, height)
    agreement = boundary_agreement(
        np.asarray(cv2.resize(seen.network_depth, grid), np.float32),
        np.asarray(cv2.resize(seen.labels, grid, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8),
        pipeline.config.health.agreement,
    )
    conflict = agreement.depth_only.astype(np.uint8) + 2 * agreement.label_only.astype(np.uint8)
    return PickPicture(
        rgb=small,
        depth=depth,
        sigma_log=np.asarray(cv2.resize(seen.network_sigma_log, size), np.float32),
        labels=np.asarray(labels, np.uint8),
        conflict=np.asarray(
            cv2.resize(conflict, size, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8
        ),
    )
