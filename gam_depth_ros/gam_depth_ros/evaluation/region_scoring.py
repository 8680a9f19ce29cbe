"""Depth errors by what is seen: class, place in the picture, dark, shining and textureless parts.

All after per-image median alignment over the whole picture, then on every second row and column. A
region counts in a frame where it has half a percent of the scored pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.labels import LabelSet
from gam_depth_ros.core.metrics import MAX_DEPTH_M, MIN_DEPTH_M
from gam_depth_ros.evaluation.boundary_metrics import (
    MOST_PX,
    BoundaryErrors,
    depth_boundary_errors,
    label_boundary_errors,
)
from gam_depth_ros.evaluation.frame_pixels import FramePixels, values_at
from gam_depth_ros.evaluation.frame_values import FrameValues
from gam_depth_ros.evaluation.observation import Float, Observation

STEP = 2
LEAST_SHARE = 0.005
D1 = 1.25
DARK_BELOW = 40
"""Luminance, 0 to 255."""
HIGHLIGHT_FROM = 245
TEXTURELESS_BELOW = 2.0
"""Standard deviation of luminance over nine by nine pixels, grey levels."""
HOLE_RING_PX = 6
"""Around holes of the sensor: glass, mirrors, shining and black surfaces give no reading."""
LEAST_HOLE_PX = 30

REGIONS = {
    "centre": "middle half of width and height",
    "border": "the rest of the picture",
    "dark": f"luminance below {DARK_BELOW} of 255",
    "reflective": "highlights, and rings around holes of the sensor",
    "textureless": f"luminance within {TEXTURELESS_BELOW:g} levels over 9×9 pixels",
}

_SHARES, _SIGNED = ("d1", "pixel_share"), ("bias",)

Mask = npt.NDArray[np.bool_]


class RegionScore:
    """Errors by region and by predicted class, and of boundaries; memory: 8 bytes a figure.

    Args:
        labels: The label set of the predictions.
        block_frames: As in :class:`FrameValues`.
    """

    def __init__(self, labels: LabelSet, block_frames: int | None = None) -> None:
        self._labels = labels
        self._regions = FrameValues(_SHARES, block_frames=block_frames, signed=_SIGNED)
        self._classes = FrameValues(_SHARES, block_frames=block_frames, signed=_SIGNED)
        self._boundaries = FrameValues(most=MOST_PX, block_frames=block_frames)

    def add(self, truth_m: Float, seen: Observation, pixels: FramePixels | None = None) -> None:
        """Score one frame with truth; one without depth counts nothing.

        Args:
            truth_m: H×W metres, NaN or 0 unknown.
            seen: The frame.
            pixels: Those of both, where other scores need them too.
        """
        if seen.depth is None or seen.depth.shape != truth_m.shape:
            return
        everywhere = (pixels or FramePixels(truth_m, seen)).depth
        self._take_boundaries("depth", depth_boundary_errors(truth_m, seen.depth))
        truth, depth = truth_m[::STEP, ::STEP], seen.depth[::STEP, ::STEP]
        valid = (truth > 0) & (truth < np.inf) & (depth > 0) & (depth < np.inf)
        places = np.flatnonzero(valid)  # picking by places takes a third of picking by a mask
        if everywhere is None or not places.size:
            return
        truth, depth = values_at(truth, places), values_at(depth, places)
        scale = np.float32(everywhere.median_scale)
        ratio = np.clip(depth * scale, MIN_DEPTH_M, MAX_DEPTH_M) / truth
        kinds = np.abs(ratio - 1.0), ratio - 1.0, np.maximum(ratio, 1.0 / ratio) < D1
        masks = region_masks(seen.sample.frame.rgb, truth_m)
        ids = None
        if seen.labels is not None and seen.labels.shape == truth_m.shape:
            ids = seen.labels[::STEP, ::STEP]
        cells = _cells(list(masks.values()), ids).ravel().take(places)
        table = _table(kinds, cells, len(masks))
        in_cells = table.sum(axis=0)
        in_regions = [in_cells[_has_bit(bit, len(masks))].sum(axis=0) for bit in range(len(masks))]
        _take(self._regions, list(masks), np.stack(in_regions), ratio.size)
        if ids is not None:
            names = self._labels.names
            _take(self._classes, names, table[: len(names)].sum(axis=1), ratio.size)

    def add_labels(self, truth: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8]) -> None:
        """Score the boundaries of the labels of one frame."""
        unlabelled = 255
        self._take_boundaries("labels", label_boundary_errors(truth, predicted, unlabelled))

    def summary(self) -> dict[str, Any]:
        """Return ``by_region``, ``by_class`` and ``boundaries``; None where there is nothing."""
        regions = [_row(self._regions, name, about) for name, about in REGIONS.items()]
        classes = [_row(self._classes, name, "predicted class") for name in self._labels.names]
        boundaries = {
            f"{kind}_{side}_px": self._boundaries.mean(f"{kind}_{side}_px")
            for kind in ("depth", "labels")
            for side in ("accuracy", "completeness")
        }
        known = any(value is not None for value in boundaries.values())
        return {
            "by_region": [row for row in regions if row["frames"]] or None,
            "by_class": [row for row in classes if row["frames"]] or None,
            "boundaries": {
                **boundaries,
                "intervals": self._boundaries.intervals(),
                "frames": self._boundaries.count("depth_completeness_px"),
                "frames_of": {name: self._boundaries.count(name) for name in boundaries},
            }
            if known
            else None,
        }

    def _take_boundaries(self, kind: str, errors: BoundaryErrors) -> None:
        self._boundaries.add(f"{kind}_accuracy_px", errors.accuracy_px)
        self._boundaries.add(f"{kind}_completeness_px", errors.completeness_px)


def region_masks(rgb: npt.NDArray[np.uint8], truth_m: Float) -> dict[str, Mask]:
    """Return the regions of a picture by the names of ``REGIONS``, at every second pixel.

    Args:
        rgb: H×W×3 uint8 RGB.
        truth_m: H×W metres of a sensor, NaN or 0 where it had no reading.
    """
    # All of the picture first: picking bytes by threes out of it takes five times as long.
    grey = np.ascontiguousarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[::STEP, ::STEP])
    height, width = grey.shape
    centre = np.zeros((height, width), bool)
    centre[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
    exact = grey.astype(np.float32)
    mean: npt.NDArray[Any] = cv2.blur(exact, (9, 9))
    square: npt.NDArray[Any] = cv2.blur(exact * exact, (9, 9))
    return {
        "centre": centre,
        "border": ~centre,
        "dark": np.asarray(grey < DARK_BELOW),
        "reflective": _reflective(grey, truth_m[::STEP, ::STEP]),
        "textureless": np.asarray(square - mean * mean < TEXTURELESS_BELOW**2),
    }


def _reflective(grey: npt.NDArray[Any], truth_m: Float) -> Mask:
    """Return highlights and what lies around larger holes; single lost readings are no hole."""
    holes = (~(np.isfinite(truth_m) & (truth_m > 0))).astype(np.uint8)
    count, places, stats, _ = cv2.connectedComponentsWithStats(holes)
    large = np.zeros(count, bool)
    large[1:] = stats[1:, cv2.CC_STAT_AREA] >= LEAST_HOLE_PX
    side = 2 * (HOLE_RING_PX // STEP) + 1
    seeds = (large[places] | (grey >= HIGHLIGHT_FROM)).astype(np.uint8)
    grown: npt.NDArray[Any] = cv2.dilate(seeds, np.ones((side, side), np.uint8))
    return np.asarray(grown > 0)


def _cells(masks: Sequence[Mask], ids: npt.NDArray[np.uint8] | None) -> npt.NDArray[np.uint16]:
    """Return for each pixel in which of R masks it lies, a bit for each, and above them its id.

    One count over these cells serves every region and every class.
    """
    cells = np.zeros(masks[0].shape, np.uint16) if ids is None else ids.astype(np.uint16)
    cells <<= len(masks)
    for bit, mask in enumerate(masks):
        cells |= mask.astype(np.uint16) << np.uint16(bit)
    return cells


def _table(
    kinds: tuple[npt.NDArray[Any], ...], cells: npt.NDArray[np.uint16], bits: int
) -> npt.NDArray[np.float64]:
    """Return the sums of K kinds of values and the number of pixels, 256×2^bits×(K+1), by cell."""
    places = cells.astype(np.intp)
    length = 256 << bits
    columns = [np.bincount(places, weights=kind, minlength=length) for kind in (*kinds, None)]
    return np.stack(columns, axis=-1).astype(np.float64).reshape(256, 1 << bits, len(columns))


def _has_bit(bit: int, bits: int) -> Mask:
    """Return which numbers below 2^bits have a bit set."""
    return np.asarray((np.arange(1 << bits) >> bit) & 1, np.bool_)


def _take(
    values: FrameValues, names: Sequence[str], sums: npt.NDArray[np.float64], pixels: int
) -> None:
    """Take in one frame.

    Args:
        values: Where to.
        names: G groups of pixels.
        sums: G×4 over the group's pixels: |ratio - 1|, ratio - 1, whether near, one.
        pixels: Number of pixels in the frame that count.
    """
    for name, (off, bias, near, count) in zip(names, sums.tolist(), strict=True):
        if count >= LEAST_SHARE * pixels:
            values.add(f"{name}/abs_rel", off / count)
            values.add(f"{name}/bias", bias / count)
            values.add(f"{name}/d1", near / count)
            values.add(f"{name}/pixel_share", count / pixels)


def _row(values: FrameValues, name: str, about: str) -> dict[str, Any]:
    return {
        "name": name,
        "about": about,
        **{key: values.mean(f"{name}/{key}") for key in ("abs_rel", "bias", "d1")},
        "pixel_share": values.mean(f"{name}/pixel_share"),
        "interval": values.interval(f"{name}/abs_rel"),
        "intervals": {
            key: ends
            for key in ("abs_rel", "bias", "d1", "pixel_share")
            if (ends := values.interval(f"{name}/{key}")) is not None
        },
        "frames": values.count(f"{name}/abs_rel"),
    }
