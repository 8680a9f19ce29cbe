"""How far synthetic pictures lie from recorded ones: distances between distributions of statistics.

What a network learns on rendered rooms holds on a robot as far as the pictures are alike. Each
statistic is compared by the 1-Wasserstein distance (area between the distribution functions), in
standard deviations of the synthetic pictures, so that all can be read in one table. The same
distance between one recorded room and another says how much is only one place differing from the
next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_training.picture_answers import ReferencePicture

Samples = dict[str, npt.NDArray[np.float64]]

# All pictures at one height: a gradient is a difference between neighbours, and so depends on it.
HEIGHT = 96
LEVELS = (np.arange(1000) + 0.5) / 1000
STATISTICS = {
    "luminance": "grey value of pixels, 0 to 1",
    "gradient": "log10 of the change of grey per pixel",
    "chroma": "largest less smallest of red, green and blue, 0 to 1",
    "log depth": "natural logarithm of metres, of pixels",
    "exposure": "mean grey value of a picture",
    "contrast": "standard deviation of grey in a picture",
    "warmth": "log2 of red over blue, means of a picture",
    "sharpness": "log10 of the variance of a picture's Laplacian",
    "depth spread": "standard deviation of log depth in a picture",
}
_LEAST_GRADIENT = 1e-3
_DEPTH_RANGE_M = (0.1, 10.0)
_LEAST_KNOWN = 100
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class Gap:
    """One statistic of synthetic and recorded pictures.

    Attributes:
        synthetic: Mean and standard deviation, in the statistic's unit.
        recorded: The same of the recordings, every room with the same weight.
        distance: From the synthetic pictures to the recorded ones, in the former's standard
            deviations; NaN where those do not vary.
        between_rooms: Mean distance of one recorded room to another, in the same unit; NaN with
            fewer than two rooms.
    """

    synthetic: tuple[float, float]
    recorded: tuple[float, float]
    distance: float
    between_rooms: float


def statistics_of(picture: ReferencePicture) -> Samples:
    """Return every statistic of :data:`STATISTICS` that one picture has.

    Args:
        picture: Its depth gives the statistics of depth where at least 100 pixels are known.

    Returns:
        By name, one value or one for each pixel; statistics of depth are absent without it.
    """
    height, width = picture.rgb.shape[:2]
    size_wh = (max(1, round(width * HEIGHT / height)), HEIGHT)
    rgb = cv2.resize(picture.rgb, size_wh, interpolation=cv2.INTER_AREA).astype(np.float64) / 255
    grey = rgb @ (0.299, 0.587, 0.114)
    down, right = np.gradient(grey)
    gradient = np.maximum(np.hypot(down, right), _LEAST_GRADIENT)
    red, blue = rgb[..., 0].mean(), rgb[..., 2].mean()
    sharpness = cv2.Laplacian(grey, cv2.CV_64F).var()
    found: Samples = {
        "luminance": grey.ravel(),
        "gradient": np.log10(gradient).ravel(),
        "chroma": np.ptp(rgb, axis=2).ravel(),
        "exposure": np.array([grey.mean()]),
        "contrast": np.array([grey.std()]),
        "warmth": np.array([np.log2((red + 1e-3) / (blue + 1e-3))]),
        "sharpness": np.array([np.log10(sharpness + _LEAST_GRADIENT**2)]),
    }
    log_depth = _log_depth(picture.depth_m)
    if log_depth.size >= _LEAST_KNOWN:
        found["log depth"] = log_depth
        found["depth spread"] = np.array([log_depth.std()])
    return found


def quantiles(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the values below which 0.05, 0.15 ... 99.95 % of ``values`` lie."""
    # No value between two of them: a thousand quantiles are their own quantiles.
    return np.quantile(values, LEVELS, method="inverted_cdf")


def quantiles_of(pictures: Iterable[ReferencePicture]) -> Samples:
    """Return a thousand quantiles of every statistic over the pictures of one place.

    Raises:
        ValueError: no picture.
    """
    gathered: dict[str, list[npt.NDArray[np.float64]]] = {}
    for picture in pictures:
        for name, values in statistics_of(picture).items():
            gathered.setdefault(name, []).append(quantiles(values))
    if not gathered:
        raise ValueError("got no picture, expected some in the shards and in every recording")
    # Of quantiles, so that pictures of any size and rooms of any length weigh the same.
    return {name: quantiles(np.concatenate(each)) for name, each in gathered.items()}


def distance(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """Return the 1-Wasserstein distance of two distributions, in their unit.

    Args:
        one: Quantiles at :data:`LEVELS`, ascending.
        other: The same of the other.
    """
    return float(np.abs(one - other).mean())


def domain_gap(synthetic: Samples, rooms: Mapping[str, Samples]) -> dict[str, Gap]:
    """Compare synthetic pictures with recorded rooms, statistic by statistic.

    Args:
        synthetic: From :func:`quantiles_of`.
        rooms: By room, from :func:`quantiles_of`.

    Returns:
        In the order of :data:`STATISTICS`; those that one side lacks are absent.

    Raises:
        ValueError: no room.
    """
    if not rooms:
        raise ValueError("got no recording, expected at least one to compare with; name --data")
    found = {}
    for name in STATISTICS:
        recorded = [room[name] for room in rooms.values() if name in room]
        if not recorded or name not in synthetic:
            continue
        pooled = quantiles(np.concatenate(recorded))
        # Of the rooms that train, which are many: one recording may hardly vary at all.
        spread = float(synthetic[name].std())
        spread = spread if spread > _LEAST_SPREAD else float("nan")
        apart = [distance(one, other) / spread for one, other in combinations(recorded, 2)]
        found[name] = Gap(
            (float(synthetic[name].mean()), float(synthetic[name].std())),
            (float(pooled.mean()), float(pooled.std())),
            distance(synthetic[name], pooled) / spread,
            float(np.mean(apart)) if apart else float("nan"),
        )
    return found


def _log_depth(depth_m: npt.NDArray[np.floating] | None) -> npt.NDArray[np.float64]:
    if depth_m is None:
        return np.empty(0)
    nearest, farthest = _DEPTH_RANGE_M
    depth = np.asarray(depth_m, np.float64)
    with np.errstate(invalid="ignore"):
        known = depth[(depth > nearest) & (depth < farthest)]
    return np.log(known)
