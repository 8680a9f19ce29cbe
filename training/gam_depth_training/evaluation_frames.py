"""Pictures with reference depth, and the rules under which depth networks are compared on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gam_depth_training.clip import Clip, read_depth, read_picture


@dataclass(frozen=True)
class EvaluationRules:
    """How a prediction is compared with reference depth; GAM-Depth's published evaluation.

    The prediction comes to the reference's size by nearest neighbour, is multiplied by the ratio
    of the medians over the known pixels, and only then clipped.

    Attributes:
        crop_xywh: Window of the recorded picture and depth: left, top, width, height; None takes
            all of it.
        clip_m: Predictions are clipped to this range.
        largest_known_m: Reference depth beyond it does not count; None sets no limit. GAM-Depth
            sets none, other papers 10 m: their figures differ for that alone.
    """

    crop_xywh: tuple[int, int, int, int] | None = None
    clip_m: tuple[float, float] = (0.1, 10.0)
    largest_known_m: float | None = None


@dataclass(frozen=True)
class EvaluationFrame:
    """One picture and what a sensor measured there.

    Attributes:
        key: Name, unique in the data set.
        group: The room.
        rgb: H×W×3 uint8, undistorted and cropped as the rules say, at recorded resolution.
        depth_m: h×w float32 metres of the same view, NaN where unknown; some sensors have fewer
            pixels than their colour camera.
    """

    key: str
    group: str
    rgb: npt.NDArray[np.uint8]
    depth_m: npt.NDArray[np.float32]


def read_evaluation_frame(clip: Clip, rules: EvaluationRules) -> EvaluationFrame:
    """Read a clip's target and its reference depth.

    Raises:
        ValueError: A clip without reference depth.
        UnreadableFrameError: A file that cannot be read, or depth without a single reading.
    """
    if clip.depth is None:
        raise ValueError(
            f"clip {clip.key}: got no reference depth, expected some; validate on a recording "
            "with depth"
        )
    depth_m = clip.geometry.rectify_depth(read_depth(clip.depth))
    return EvaluationFrame(
        key=clip.key,
        group=clip.group,
        rgb=clip.geometry.rectify(read_picture(clip.target)),
        depth_m=limit_known(depth_m, rules),
    )


def limit_known(
    depth_m: npt.NDArray[np.float32], rules: EvaluationRules
) -> npt.NDArray[np.float32]:
    """Return the reference with NaN for what the rules leave out."""
    if rules.largest_known_m is None:
        return depth_m
    return np.where(depth_m <= rules.largest_known_m, depth_m, np.float32(np.nan))
