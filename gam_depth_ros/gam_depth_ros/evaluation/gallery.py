"""Which frames a report shows: the best, the typical, the worst, and some at even distances.

Which frame is typical is known only at the end, so small copies are kept on the way: at most
``CANDIDATES``, thinned out evenly as the recording goes on. Memory does not grow with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.frame import SOURCE_FUSED, SOURCE_SENSOR
from gam_depth_ros.core.metrics import MAX_DEPTH_M, MIN_DEPTH_M
from gam_depth_ros.evaluation.frame_pixels import FramePixels
from gam_depth_ros.evaluation.observation import Float, Observation

CANDIDATES = 48
EVENLY_SPACED = 5
WIDTH_PX = 480


@dataclass(frozen=True)
class Picture:
    """Small copies of what one frame shows.

    Attributes:
        index: Position among the images of the recording.
        stamp_ns: Its stamp.
        rgb: h×w×3 uint8.
        truth_m: h×w float32 metres, NaN unknown; None where there is no truth.
        depth: h×w float32: metres after median alignment to the truth, or with the scale known
            online, or up to scale, as ``alignment`` says; None where there is none.
        alignment: ``aligned by median``, ``online scale`` or ``up to scale``.
        relative_sigma: h×w float32, sigma over depth; None unknown.
        labels: h×w uint8 ids; None where there are none.
        abs_rel: Error after median alignment; NaN without truth.
        scale: Metres per unit; NaN unknown.
        source: h×w uint8, where each published pixel came from; None unless the sensor gave some.
    """

    index: int
    stamp_ns: int
    rgb: npt.NDArray[np.uint8]
    truth_m: Float | None
    depth: Float | None
    alignment: str
    relative_sigma: Float | None
    labels: npt.NDArray[np.uint8] | None
    abs_rel: float
    scale: float
    source: npt.NDArray[np.uint8] | None = None


class Gallery:
    """Collects candidates while a recording is scored."""

    def __init__(self) -> None:
        self._kept: list[Picture] = []
        self._stride = 1
        self._seen = 0
        self._best: Picture | None = None
        self._worst: Picture | None = None

    def add(
        self,
        index: int,
        seen: Observation,
        truth_m: Float | None,
        abs_rel: float,
        pixels: FramePixels | None = None,
    ) -> None:
        """Offer one frame; ``pixels`` are those of it and its truth, if other scores need them."""
        best = self._best is None or abs_rel < self._best.abs_rel
        worst = self._worst is None or abs_rel > self._worst.abs_rel
        regular = self._seen % self._stride == 0
        self._seen += 1
        extreme = np.isfinite(abs_rel) and (best or worst)
        if not (regular or extreme):
            return
        picture = picture_of(index, seen, truth_m, abs_rel, pixels)
        if extreme and best:
            self._best = picture
        if extreme and worst:
            self._worst = picture
        if regular:
            self._kept.append(picture)
            if len(self._kept) > CANDIDATES:
                self._kept = self._kept[::2]
                self._stride *= 2

    def film(self) -> list[Picture]:
        """Return frames at even distances along the recording."""
        return list(self._kept)

    def choose(self) -> list[tuple[str, Picture]]:
        """Return title and picture, each frame once: best, typical, worst, evenly spaced."""
        chosen: dict[int, tuple[str, Picture]] = {}
        scored = sorted(
            (picture for picture in self._kept if np.isfinite(picture.abs_rel)),
            key=lambda picture: picture.abs_rel,
        )
        typical = scored[len(scored) // 2] if scored else None
        for title, picture in (
            ("Best frame", self._best),
            ("Typical frame", typical),
            ("Worst frame", self._worst),
        ):
            if picture is not None:
                chosen.setdefault(picture.index, (title, picture))
        places = np.linspace(0, len(self._kept) - 1, min(EVENLY_SPACED, len(self._kept)))
        for place in places.round().astype(int):
            picture = self._kept[int(place)]
            chosen.setdefault(picture.index, ("Along the way", picture))
        return list(chosen.values())


def picture_of(
    index: int,
    seen: Observation,
    truth_m: Float | None,
    abs_rel: float,
    pixels: FramePixels | None = None,
) -> Picture:
    """Return small copies of what a frame shows, with its error (NaN unknown)."""
    rgb = seen.sample.frame.rgb
    width = min(WIDTH_PX, rgb.shape[1])
    size = (width, max(1, round(rgb.shape[0] * width / rgb.shape[1])))
    if pixels is None and truth_m is not None:
        pixels = FramePixels(truth_m, seen)
    depth, alignment = _shown_depth(seen, pixels, size)
    sigma = seen.sigma_log
    return Picture(
        index=index,
        stamp_ns=seen.sample.frame.stamp_ns,
        # By less than half, where every pixel counts without averaging over areas, which is slow.
        rgb=_shrink(rgb, size, cv2.INTER_LINEAR if rgb.shape[1] < 2 * width else cv2.INTER_AREA),
        truth_m=None if truth_m is None else _shrink(truth_m, size, cv2.INTER_NEAREST),
        depth=depth,
        alignment=alignment,
        relative_sigma=None if sigma is None else _shrink(sigma, size, cv2.INTER_LINEAR),
        labels=None if seen.labels is None else _shrink(seen.labels, size, cv2.INTER_NEAREST),
        abs_rel=abs_rel,
        scale=seen.scale,
        source=_shown_source(seen, size),
    )


def _shown_source(seen: Observation, size: tuple[int, int]) -> npt.NDArray[np.uint8] | None:
    """Return where pixels came from, small; None where it is the network all over."""
    if seen.source is None:
        return None
    source = np.asarray(_shrink(seen.source, size, cv2.INTER_NEAREST), np.uint8)
    mixed = ((source == SOURCE_SENSOR) | (source == SOURCE_FUSED)).any()
    return source if mixed else None


def _shown_depth(
    seen: Observation, pixels: FramePixels | None, size: tuple[int, int]
) -> tuple[Float | None, str]:
    """Return the depth to show, small: aligned to the truth, else online, else up to scale."""
    if seen.depth is None:
        return None, "no scale yet"
    if pixels is not None and pixels.depth is not None:
        aligned = _shrink(seen.depth, size, cv2.INTER_LINEAR) * np.float32(
            pixels.depth.median_scale
        )
        return np.clip(aligned, MIN_DEPTH_M, MAX_DEPTH_M), "aligned by median"
    if seen.metric_depth_m is not None:
        return _shrink(seen.metric_depth_m, size, cv2.INTER_LINEAR), "online scale"
    return _shrink(seen.depth, size, cv2.INTER_LINEAR), "up to scale"


def _shrink(array: Any, size: tuple[int, int], method: int) -> npt.NDArray[Any]:
    if (array.shape[1], array.shape[0]) == size:
        same: npt.NDArray[Any] = array.copy()
        return same
    resized: npt.NDArray[Any] = cv2.resize(array, size, interpolation=method)
    return resized
