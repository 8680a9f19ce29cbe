"""Whether a reference depth may be believed: its range, its freshness, its fit to the picture.

Everything works on a thumbnail of about 160 pixels' width. What a check cannot decide it lets pass:
a picture without edges says nothing of registration, a still scene nothing of a frozen sensor.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.medians import median
from gam_depth_ros.core.scale_config import ScaleConfig

_THUMBNAIL_WIDTH = 160
_PLAUSIBLE_MEDIAN_M = (0.05, 80.0)  # of the readings of a depth camera in a building

_READINGS_M = (float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max))
_SAMPLE_STEP = 13  # no divisor of a thumbnail's width: a sample from all over

_REACH = 12  # largest shift tried, cells of the thumbnail
_STRIDE = 2
_MIN_SIDE = 5 * _REACH  # thumbnails smaller than that hold too little for shifts like these
_NEAR = 2  # shifts that count as registered
_FAR = 6  # shifts that count as another place
# Jump of inverse depth that makes an edge, as a share of the near side's.
_EDGE_SHARE = np.float32(0.15)
_EDGE_DEPTH_M = 3.0  # depth cameras' edges beyond are noise
_NOTHING = np.float32(1e6)  # stands for no reading among inverse depths
_MOST_EDGES = 0.25  # of the readings; recordings have 1 to 9 %, noise about half
_MAX_EDGE_POINTS = 300
_MIN_SPREAD = 0.08  # standard deviation of the edges' rows and columns, as a share of the picture
_MIN_EDGE_POINTS = 150  # summed over frames
_MEMORY = 0.7
_REFUSE_MARGIN = 0.04
_ACCEPT_MARGIN = 0.01

_CHANGED_GREY = 2.0  # mean absolute difference of coarse pictures, of 255
_COARSE_HW = (24, 32)


def range_problem(depth_m: npt.NDArray[np.float32], config: ScaleConfig) -> str | None:
    """Say in one line why a reference's readings cannot be metres in a room, None if they can.

    Args:
        depth_m: Float32 metres, any shape; NaN or not positive where there is no reading.
        config: Its range of depth and the least share of pixels in it.
    """
    low, high = config.min_reference_depth_m, config.max_reference_depth_m
    least, most = _READINGS_M
    readings = cv2.countNonZero(cv2.inRange(depth_m, least, most))
    counted = cv2.countNonZero(cv2.inRange(depth_m, max(low, least), min(high, most)))
    in_range = counted / max(1, depth_m.size)
    sample = depth_m.ravel()[::_SAMPLE_STEP]
    sample = sample[(sample > 0) & (sample < np.inf)]
    if readings >= config.min_valid_fraction * depth_m.size and sample.size:
        median_m = median(sample)
        implausible = not _PLAUSIBLE_MEDIAN_M[0] <= median_m <= _PLAUSIBLE_MEDIAN_M[1]
        for factor, words in ((1e-3, "millimetres read as metres"), (1e3, "metres divided twice")):
            if implausible and low <= median_m * factor <= high:
                return (
                    f"reference depth refused: got a median of {median_m:.4g} m, expected {low:g} "
                    f"to {high:g} m; {words}: check the depth's unit or encoding"
                )
    if not in_range or in_range < config.min_valid_fraction:
        return (
            f"reference depth refused: got {in_range:.1%} valid pixels from {low:g} to "
            f"{high:g} m, expected at least {config.min_valid_fraction:.1%}; "
            "check the depth camera, or lower min_valid_fraction"
        )
    return None


def thumbnail(
    rgb: npt.NDArray[np.uint8], depth_m: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Return grey picture and depth at about 160 pixels' width.

    Args:
        rgb: H×W×3 uint8.
        depth_m: H×W float32, registered to it.

    Returns:
        h×w uint8, and h×w float32, the first reading of each block: a mean would invent depths
        between near and far.
    """
    block = max(1, round(rgb.shape[1] / _THUMBNAIL_WIDTH))
    depth = np.ascontiguousarray(depth_m[::block, ::block])
    size_wh = (depth.shape[1], depth.shape[0])
    small = cv2.resize(rgb, size_wh, interpolation=cv2.INTER_LINEAR) if block > 1 else rgb
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8), depth


def edge_scores(
    grey: npt.NDArray[np.uint8], edges: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], int]:
    """Score how well the depth's edges lie on the picture's, for each shift of the depth.

    Args:
        grey: h×w uint8, more than 24 on each side.
        edges: h×w, of :func:`depth_edges`.

    Returns:
        n×n float64, at (row, column) the mean contrast of the picture, 0 to 1, under the depth's
        edges shifted down and right by ``(index − n // 2) · 2`` cells, and how many edge points
        were used. Zeros without edges all over
        the picture.
    """
    shifts = np.arange(-_REACH, _REACH + 1, _STRIDE)
    scores = np.zeros((len(shifts), len(shifts)))
    height, width = grey.shape
    inner = edges[_REACH : height - _REACH, _REACH : width - _REACH]
    rows, columns = np.divmod(np.flatnonzero(inner), inner.shape[1])
    # A single line says nothing along itself, and little across.
    if not len(rows) or min(rows.std() / height, columns.std() / width) < _MIN_SPREAD:
        return scores, 0
    keep = slice(None, None, -(-len(rows) // _MAX_EDGE_POINTS))
    base = (rows[keep] + _REACH) * width + columns[keep] + _REACH
    offsets = (shifts[:, None] * width + shifts).ravel()
    contrast = _contrast(grey).ravel()
    found = contrast.take(base[:, None] + offsets)
    mean = cv2.reduce(found, 0, cv2.REDUCE_AVG, dtype=cv2.CV_64F)
    return np.asarray(mean, np.float64).reshape(scores.shape), len(base)


def depth_edges(depth_m: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.bool_], int]:
    """Return the near side of jumps in depth, and how many readings were near enough to tell.

    A plane is linear in inverse depth, so that its second difference finds jumps and passes over a
    floor seen at a grazing angle. Holes beside an object (a Kinect's shadow) take the farthest
    reading next to them.

    Args:
        depth_m: h×w float32; NaN or not positive where there is no reading.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        inverse = np.float32(1.0) / depth_m
        valid = (inverse > 0) & (inverse < _NOTHING)
    inverse[~valid] = _NOTHING
    filled = cv2.erode(inverse, np.ones((5, 5), np.uint8))
    np.copyto(filled, inverse, where=valid)
    # 2·here − before − after > share·here; beside nothing the sum is so large that it never is.
    bent = (np.float32(2.0) - _EDGE_SHARE) * filled
    edges = np.zeros(depth_m.shape, np.bool_)
    edges[:, 2:-2] = bent[:, 2:-2] > filled[:, :-4] + filled[:, 4:]
    edges[2:-2] |= bent[2:-2] > filled[:-4] + filled[4:]
    near = valid & (inverse > np.float32(1.0 / _EDGE_DEPTH_M))
    return edges & near, int(np.count_nonzero(near))


def _contrast(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the picture's gradient, squashed to 0..1 about its mean: strong edges count once."""
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    # Not cv2.magnitude, see metric_depth.
    strength = cv2.sqrt(cv2.add(cv2.multiply(across, across), cv2.multiply(down, down)))
    return np.asarray(strength / (strength + (strength.mean() + np.float32(1e-6))), np.float32)


class ReferenceCheck:
    """Remembers what single references cannot show: repetition, and edges over some frames."""

    def __init__(self, config: ScaleConfig) -> None:
        self._config = config
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        self._depth: npt.NDArray[np.float32] | None = None
        self._picture: npt.NDArray[np.uint8] | None = None
        self._scores: npt.NDArray[np.float64] | None = None
        self._points = 0.0
        self._misplaced = 0.0

    def configure(self, config: ScaleConfig) -> None:
        """Take over changed settings."""
        self._config = config

    def problem(
        self, rgb: npt.NDArray[np.uint8], depth_m: npt.NDArray[np.float32]
    ) -> str | None:
        """Say in one line why a reference is not to be believed, None if nothing speaks against it.

        Args:
            rgb: H×W×3 uint8 picture.
            depth_m: H×W float32 metres, said to be registered to it.
        """
        grey, depth = thumbnail(rgb, depth_m)
        frozen = self._frozen(grey, depth)
        wrong_range = range_problem(depth, self._config)
        if frozen or wrong_range:
            return wrong_range or frozen
        return self._misplaced_edges(grey, depth) if self._config.check_registration else None

    def _frozen(self, grey: npt.NDArray[np.uint8], depth: npt.NDArray[np.float32]) -> str | None:
        """Refuse bytes that came before, with a picture that was another."""
        coarse = cv2.resize(grey, _COARSE_HW[::-1], interpolation=cv2.INTER_AREA)
        if self._depth is None or self._picture is None or not _same_bytes(self._depth, depth):
            self._depth, self._picture = depth, np.asarray(coarse, np.uint8)
            return None
        change = float(cv2.absdiff(coarse, self._picture).mean())
        if change <= _CHANGED_GREY:
            return None
        return (
            f"reference depth refused: got the same bytes again while the picture changed by "
            f"{change:.0f} grey levels, expected new readings; it is frozen: restart the sensor"
        )

    def _misplaced_edges(
        self, grey: npt.NDArray[np.uint8], depth: npt.NDArray[np.float32]
    ) -> str | None:
        """Refuse noise, and edges that over some frames fit the picture better elsewhere."""
        if min(grey.shape) < _MIN_SIDE:
            return None
        edges, near = depth_edges(depth)
        if np.count_nonzero(edges) > _MOST_EDGES * max(near, 1):
            return (
                f"reference depth refused: got jumps at {np.count_nonzero(edges) / near:.0%} of "
                f"the readings, expected at most {_MOST_EDGES:.0%}; it is noise: check decoding "
                "or the sensor"
            )
        scores, points = edge_scores(grey, edges)
        if self._scores is None or self._scores.shape != scores.shape:
            self._scores, self._points = np.zeros_like(scores), 0.0
        self._scores = _MEMORY * self._scores + points * scores
        self._points = _MEMORY * self._points + points
        if self._points >= _MIN_EDGE_POINTS:
            margin, shift = _misfit(self._scores / self._points)
            limit = _ACCEPT_MARGIN if self._misplaced else _REFUSE_MARGIN
            self._misplaced = shift / grey.shape[1] if margin > limit else 0.0
        if not self._misplaced:
            return None
        return (
            "reference depth refused: got edges that fit the picture better "
            f"{100 * self._misplaced:.0f} % of its width away, expected none farther than a few "
            "pixels; register the depth to the colour image, or switch check_registration off"
        )


def _misfit(scores: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return by how much the best far shift beats the best near one, and that shift in cells."""
    steps = (np.arange(scores.shape[0]) - scores.shape[0] // 2) * _STRIDE
    distance = np.maximum(np.abs(steps)[:, None], np.abs(steps))
    near = float(scores[distance <= _NEAR].max())
    far = np.where(distance >= _FAR, scores, -1.0)
    best = int(far.argmax())
    return float(far.flat[best]) - near, float(distance.flat[best])


def _same_bytes(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    return one.shape == other.shape and np.array_equal(one.view(np.uint32), other.view(np.uint32))
