"""Frames along the recording as one row of panels each, for the page's slider."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.labels import LabelSet
from gam_depth_ros.evaluation.gallery import Picture
from gam_depth_ros.evaluation.pictures import (
    ERROR_COLORS,
    ERROR_LIMIT,
    SIGMA_COLORS,
    SIGMA_LIMIT,
    encode_picture,
    facts_of,
    paint,
    paint_depth,
    painted_labels,
)

FRAMES = 32
PANEL_WIDTH_PX = 256


def film_strip(
    kept: Sequence[Picture], labels: LabelSet, limits_m: tuple[float, float]
) -> list[dict[str, Any]]:
    """Return image, facts and what its panels show for frames at even distances.

    Args:
        kept: Pictures in the order of the recording.
        labels: The label set of the masks.
        limits_m: Depths at the ends of the colours.
    """
    places = np.linspace(0, len(kept) - 1, min(FRAMES, len(kept))).round().astype(int)
    chosen = [kept[int(place)] for place in places]
    return [
        {
            "image": encode_picture(_strip(picture, labels, limits_m), ".jpg"),
            "facts": f"image {picture.index}"
            + (f" · {facts_of(picture)}" if facts_of(picture) else ""),
        }
        for picture in chosen
    ]


def _strip(
    picture: Picture, labels: LabelSet, limits_m: tuple[float, float]
) -> npt.NDArray[np.uint8]:
    """Return colour and depth over error (or labels) and sigma."""
    error = mask = None
    if picture.truth_m is not None and picture.depth is not None:
        error = paint(
            (picture.depth - picture.truth_m) / picture.truth_m, ERROR_COLORS, -ERROR_LIMIT,
            ERROR_LIMIT,
        )  # fmt: skip
    if picture.labels is not None:
        mask = painted_labels(picture, labels)
    sigma = picture.relative_sigma
    panels = [
        picture.rgb,
        None if picture.depth is None else paint_depth(picture.depth, limits_m),
        mask if error is None else error,
        None if sigma is None else paint(sigma, SIGMA_COLORS, 0.0, SIGMA_LIMIT),
    ]
    small = [_small(panel, picture.rgb.shape[:2]) for panel in panels]
    return np.hstack(small)


def _small(
    panel: npt.NDArray[np.uint8] | None, size_hw: tuple[int, ...]
) -> npt.NDArray[np.uint8]:
    height = max(1, round(size_hw[0] * PANEL_WIDTH_PX / size_hw[1]))
    if panel is None:
        return np.full((height, PANEL_WIDTH_PX, 3), 236, np.uint8)
    return np.asarray(
        cv2.resize(panel, (PANEL_WIDTH_PX, height), interpolation=cv2.INTER_AREA), np.uint8
    )
