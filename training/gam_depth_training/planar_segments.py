"""Segments of a picture from the costs of its edges (Felzenszwalb & Huttenlocher 2004).

The graph has one node per pixel and an edge to each lower and right neighbour. What an edge costs
is the caller's affair; stock implementations insist on colour differences.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numba
import numpy as np
import numpy.typing as npt


def felzenszwalb_segments(
    cost_down: npt.NDArray[np.floating],
    cost_right: npt.NDArray[np.floating],
    scale: float = 1.0,
    min_size: int = 50,
) -> npt.NDArray[np.int64]:
    """Merge pixels into segments, cheapest edge first.

    An edge merges two segments when it costs no more than either's dearest inner edge plus
    scale/area (section 3, equations 3 and 4). Afterwards, cheapest edge first again, segments of
    fewer than ``min_size`` pixels join a neighbour. Edges are ordered by their cost as float32,
    equal ones in raster order and downward before rightward, so the result is the same anywhere.

    Args:
        cost_down: (H-1)×W, finite, at least 0: from each pixel to the one below.
        cost_right: H×(W-1), likewise: from each pixel to its right neighbour.
        scale: Larger values give larger segments; in units of cost times pixels.
        min_size: Least area of a segment in pixels, as far as the picture has that many.

    Returns:
        H×W labels, numbered from 0 in the order in which a raster scan meets them.

    Raises:
        ValueError: Shapes that do not fit one picture, or a cost that is negative, infinite or NaN.
    """
    height, width = cost_right.shape[0], cost_down.shape[1]
    if cost_down.shape != (height - 1, width) or cost_right.shape != (height, width - 1):
        raise ValueError(
            f"got edge costs of {cost_down.shape} (down) and {cost_right.shape} (right), expected "
            "(H-1, W) and (H, W-1); pass both of one picture"
        )
    costs = np.full((height, width, 2), np.inf, np.float32)  # inf: the frame's lower and right rim
    costs[:-1, :, 0], costs[:, :-1, 1] = cost_down, cost_right
    if not (_all_valid(costs[:-1, :, 0]) and _all_valid(costs[:, :-1, 1])):
        raise ValueError(
            "got an edge cost that is negative, infinite or NaN, expected finite costs of at "
            "least 0; check the depth that they come from"
        )
    edges = cost_down.size + cost_right.size
    order = _cheapest_first(costs.ravel())[:edges]
    return _merge(costs.ravel(), order, height, width, scale, min_size)


def _all_valid(costs: npt.NDArray[np.float32]) -> bool:
    return bool(np.all(np.isfinite(costs) & (costs >= 0)))


def segment_batch(
    costs_down: Sequence[npt.NDArray[np.floating]],
    costs_right: Sequence[npt.NDArray[np.floating]],
    scale: float = 1.0,
    min_size: int = 50,
) -> npt.NDArray[np.int64]:
    """Segment several pictures of one size, a thread for each as far as there are cores.

    Returns:
        B×H×W labels; see :func:`felzenszwalb_segments` for arguments and errors.
    """
    segment = partial(felzenszwalb_segments, scale=scale, min_size=min_size)
    workers = max(1, min(len(costs_down), len(os.sched_getaffinity(0))))
    with ThreadPoolExecutor(workers) as pool:
        return np.stack(list(pool.map(segment, costs_down, costs_right)))


def _cheapest_first(costs: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Order of the edges by cost, then index.

    The bits of floats that are not negative sort like the floats. With the index below them every
    key is different, so numpy's fastest sort, which is not stable, has only one possible result.
    """
    bits = (costs + np.float32(0)).view(np.uint32)  # + 0 turns -0.0 into 0.0
    keys = bits.astype(np.uint64) << np.uint64(32) | np.arange(len(costs), dtype=np.uint64)
    keys.sort()
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)


@numba.njit(cache=True, nogil=True)
def _root(parent: npt.NDArray[np.int32], node: int) -> int:
    """Follow the tree upward, halving the path on the way."""
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@numba.njit(cache=True, nogil=True)
def _merge(
    costs: npt.NDArray[np.float32],
    order: npt.NDArray[np.int64],
    height: int,
    width: int,
    scale: float,
    min_size: int,
) -> npt.NDArray[np.int64]:
    """Both passes over the ordered edges, then raster-order labels.

    Edge 2p leads from pixel p to the one below, edge 2p+1 to the one at its right.
    """
    pixels = height * width
    parent = np.arange(pixels).astype(np.int32)
    area = np.ones(pixels, np.int32)
    limit = np.full(pixels, scale)  # dearest inner edge + scale/area, kept at each root
    for small_only in (False, True):
        for edge in order:
            first = edge >> 1
            a = _root(parent, first)
            b = _root(parent, first + (1 if edge & 1 else width))
            if a == b:
                continue
            if small_only:
                if area[a] >= min_size and area[b] >= min_size:
                    continue
            elif costs[edge] > min(limit[a], limit[b]):
                continue
            if area[a] < area[b]:
                a, b = b, a
            parent[b] = a
            area[a] += area[b]
            limit[a] = costs[edge] + scale / area[a]
    labels = np.empty((height, width), np.int64)
    number_of_root = np.full(pixels, -1, np.int64)
    count = 0
    for pixel in range(pixels):
        root = _root(parent, pixel)
        if number_of_root[root] < 0:
            number_of_root[root] = count
            count += 1
        labels[pixel // width, pixel % width] = number_of_root[root]
    return labels
