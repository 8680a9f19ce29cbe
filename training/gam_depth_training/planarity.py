"""Surfaces of a room as pure functions: Manhattan normals and planar segments.

After Li et al. 2021 (StructDepth), whose two terms GAM-Depth keeps. Camera frame: x right, y down,
z forward; normals point away from the camera, so a wall seen frontally has (0, 0, 1).
``shifted`` follows the official code, which stores what belongs to pixel (r, c) three rows lower
and three columns to the left (fact: it pads above and at the right only).
"""

from __future__ import annotations

from types import EllipsisType
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from gam_depth_training.geometry import backproject
from gam_depth_training.planar_segments import segment_batch

MIN_DEPTH_M = 0.1
MAX_DEPTH_M = 10.0


class AlignedNormals(NamedTuple):
    """What each pixel's normal is closest to among the room's directions.

    Attributes:
        aligned: B×3×H×W, the closest direction; zero where the sample's directions are unknown.
        index: B×1×H×W int64, its row among the directions; 0 where unknown.
        mask: B×1×H×W bool, True where the normal is close enough to it.
    """

    aligned: Tensor
    index: Tensor
    mask: Tensor


def surface_normals(points: Tensor, distance: int = 3, shifted: bool = False) -> Tensor:
    """Normals from the eight neighbours ``distance`` pixels away.

    Four triangles around each pixel, each spanned by two neighbours at a right angle, add up; one
    pair is straight and one diagonal, so that noise of single points averages out.

    Args:
        points: B×3×H×W in the camera frame.
        distance: Pixels to the neighbours.
        shifted: Pad above and at the right only, as the official code does.

    Returns:
        B×3×H×W unit normals; zero in the frame's margin and where all neighbours coincide.

    Raises:
        ValueError: A picture that is smaller than the neighbourhood.
    """
    d = distance
    height, width = points.shape[-2:]
    if min(height, width) <= 2 * d:
        raise ValueError(
            f"got {height}×{width} points, expected more than {2 * d} rows and columns; "
            "use a larger picture or a smaller distance"
        )

    def neighbour(down: int, right: int) -> Tensor:
        top, left = d * (1 + down), d * (1 + right)
        return points[..., top : top + height - 2 * d, left : left + width - 2 * d]

    centre = neighbour(0, 0)
    normals = (
        _cross(centre - neighbour(0, 1), neighbour(1, 0) - centre)
        + _cross(centre - neighbour(0, -1), neighbour(-1, 0) - centre)
        + _cross(centre - neighbour(1, -1), neighbour(-1, -1) - centre)
        + _cross(neighbour(-1, 1) - centre, centre - neighbour(1, 1))
    )
    normals = -functional.normalize(normals, dim=1)
    return functional.pad(normals, (0, 2 * d, 2 * d, 0) if shifted else (d, d, d, d))


def alignment_threshold(epoch: int) -> float:
    """Least cosine between a normal and a direction: 25.8° at first, 11.5° in the last of 50."""
    return (900 + 1.633 * epoch) / 1000


def align_normals(
    normals: Tensor, directions: Tensor, epoch: int, top: int = 20, border: int = 8
) -> AlignedNormals:
    """Find for each normal the closest of the room's directions.

    Args:
        normals: B×3×H×W unit normals, zero where unknown.
        directions: B×6×3 unit directions in the camera frame; a sample with a NaN has none.
        epoch: Counts from 0; the later, the closer a normal must be.
        top: Rows at the top that never count.
        border: Rows at the bottom and columns at either side that never count.
    """
    known = torch.isfinite(directions).flatten(1).all(1)
    directions = torch.where(known[:, None, None], directions, 0.0).to(normals.dtype)
    x, y, z = normals.detach().split(1, dim=1)
    weights = directions[..., None, None].unbind(2)
    closeness = weights[0] * x + weights[1] * y + weights[2] * z  # no matmul: autocast rounds it
    best, index = closeness.max(dim=1, keepdim=True)
    batch, _, height, width = normals.shape
    rows = index.view(batch, -1, 1).expand(-1, -1, 3)
    aligned = directions.gather(1, rows).transpose(1, 2).reshape(batch, 3, height, width)
    inside = torch.zeros_like(best, dtype=torch.bool)
    inside[..., top : height - border, border : width - border] = True
    return AlignedNormals(aligned, index, inside & (best >= alignment_threshold(epoch)))


def plane_offset(points: Tensor, aligned: Tensor) -> Tensor:
    """Offset D = -n·X (metres) of the plane through each point, B×1×H×W from two B×3×H×W."""
    return -(points * aligned).sum(1, keepdim=True)


def manhattan_normal_loss(normals: Tensor, aligned: Tensor, mask: Tensor) -> Tensor:
    """Mean of 1 - cos between unit normals and their directions; scalar.

    Args:
        normals: B×3×H×W.
        aligned: B×3×H×W.
        mask: B×1×H×W bool; a masked pixel adds nothing but counts in the mean.
    """
    cosine = (normals * aligned).sum(1, keepdim=True)
    return ((1 - cosine) * mask).mean()


@torch.no_grad()
def segment_edge_costs(
    image: Tensor, aligned: Tensor, offset: Tensor, shifted: bool = False, distance: int = 3
) -> tuple[Tensor, Tensor]:
    """What it costs to merge a pixel with the one below and the one at its right, 0 to 1.

    The larger of two differences: of colour, and of plane (offset plus direction), each stretched
    over its range in the picture. The margin without normals is left out, so with
    h = H - 2·distance and w = W - 2·distance the costs are B×(h-1)×w and B×h×(w-1).

    Args:
        image: B×3×H×W in [0, 1].
        aligned: B×3×H×W from :func:`align_normals`.
        offset: B×1×H×W from :func:`plane_offset`.
        shifted: The margin lies above and at the right only.
        distance: Half the margin's total width, as in :func:`surface_normals`.
    """
    inside = _inside(image, shifted, distance)
    costs = []
    for below, right in ((1, 0), (0, 1)):

        def step(field: Tensor, down: int = below, across: int = right) -> Tensor:
            field = field[inside]
            rows, columns = field.shape[-2:]
            # This way round: the 1e-6 that is added to each difference sees its sign.
            return field[..., down:, across:] - field[..., : rows - down, : columns - across]

        colour = _stretch(_length(step(image)))
        plane = _stretch(step(offset).abs()) + _stretch(_length(step(aligned)))
        costs.append(_stretch(torch.maximum(colour, _stretch(plane))).squeeze(1))
    return costs[0], costs[1]


def planar_segments(
    image: Tensor,
    aligned: Tensor,
    offset: Tensor,
    shifted: bool = False,
    scale: float = 1.0,
    min_size: int = 50,
    distance: int = 3,
) -> Tensor:
    """Segments of one colour and one plane, B×H×W int64 on the device of ``image``.

    Labels count from 1 in each picture; 0 marks the margin without normals. Runs on the CPU and
    carries no gradient. Arguments as in :func:`segment_edge_costs` and
    :func:`~gam_depth_training.planar_segments.felzenszwalb_segments`, which also says what raises.
    """
    costs = segment_edge_costs(image, aligned, offset, shifted, distance)
    down, right = (cost.float().cpu().numpy() for cost in costs)
    labels = torch.from_numpy(segment_batch(list(down), list(right), scale, min_size))
    segments = torch.zeros(image[:, 0].shape, dtype=torch.int64)
    segments[_inside(image, shifted, distance)] = labels + 1
    return segments.to(image.device)


def planar_depth(depth: Tensor, intrinsics: Tensor, segments: Tensor) -> Tensor:
    """Depth (metres) of the plane that fits each segment best; gradients run through the fit.

    Planes are θ·X = 1, so θ = (ΣXXᵀ + 0.01·I)⁻¹·ΣX over the segment's points X, and the depth on a
    ray r is 1 / (θ·r + 1e-6), clamped to 0.1–10 m. The sums are float64: what they add up to is
    nearly singular for a plane.

    Args:
        depth: B×1×H×W, positive.
        intrinsics: B×3×3.
        segments: B×H×W int64, at least 0.

    Returns:
        B×1×H×W.
    """
    rays = backproject(torch.ones_like(depth), intrinsics).double()
    x, y, z = (rays * depth).movedim(1, 0).flatten(1)
    segment, count = _numbered_through(segments)
    # Row by row and with index_select: other indexing has a gradient that takes five times as long.
    terms = torch.stack([x * x, x * y, x * z, y * y, y * z, z * z, x, y, z])
    xx, xy, xz, yy, yz, zz, *sums = terms.new_zeros(9, count).index_add(1, segment, terms)
    matrices = torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], 1).view(-1, 3, 3)
    theta = _solve_symmetric(
        matrices + 0.01 * torch.eye(3, device=depth.device), torch.stack(sums, 1)
    )
    theta_at_pixel = theta.T.index_select(1, segment).view(3, *segments.shape).movedim(1, 0)
    inverse_depth = (theta_at_pixel * rays).sum(1, keepdim=True)
    return (1 / (inverse_depth + 1e-6)).clamp(MIN_DEPTH_M, MAX_DEPTH_M).to(depth.dtype)


def large_segments(segments: Tensor, min_area: int = 200, border: int = 8) -> Tensor:
    """Pixels of segments larger than ``min_area`` pixels, B×1×H×W bool.

    Args:
        segments: B×H×W int64; 0 marks pixels of no segment.
        min_area: GAM-Depth takes 200 at 288×384, P²Net 1000.
        border: Pixels along all four sides that never count, though they add to the area.
    """
    segment, count = _numbered_through(segments)
    large = torch.bincount(segment, minlength=count)[segment].view_as(segments) > min_area
    mask = torch.zeros_like(large)
    inside = (..., slice(border, -border or None), slice(border, -border or None))
    mask[inside] = (large & (segments > 0))[inside]
    return mask.unsqueeze(1)


def coplanar_loss(depth: Tensor, planar: Tensor, mask: Tensor) -> Tensor:
    """Mean distance (metres) of the depth to its segment's plane; scalar.

    Args:
        depth: B×1×H×W.
        planar: B×1×H×W from :func:`planar_depth`.
        mask: B×1×H×W bool; a masked pixel adds nothing but counts in the mean.
    """
    return ((depth - planar).abs() * mask).mean()


def _cross(a: Tensor, b: Tensor) -> Tensor:
    """Cross product along dimension 1; by hand, as torch.linalg.cross is slow on strided views."""
    ax, ay, az = a.unbind(1)
    bx, by, bz = b.unbind(1)
    return torch.stack((ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx), dim=1)


def _inside(image: Tensor, shifted: bool, distance: int) -> tuple[EllipsisType, slice, slice]:
    """Index of the area that has normals."""
    height, width = image.shape[-2:]
    if shifted:
        return (..., slice(2 * distance, height), slice(0, width - 2 * distance))
    return (..., slice(distance, height - distance), slice(distance, width - distance))


def _length(difference: Tensor) -> Tensor:
    """Euclidean length over the channels; the official distance adds 1e-6 to each difference."""
    return (difference + 1e-6).square().sum(1, keepdim=True).sqrt()


def _stretch(values: Tensor) -> Tensor:
    """Map each picture's range to 0…1; a constant picture to 0."""
    low, high = values.amin((-2, -1), keepdim=True), values.amax((-2, -1), keepdim=True)
    return (values - low) / (high - low + 1e-8)


def _numbered_through(segments: Tensor) -> tuple[Tensor, int]:
    """Flat labels that no two pictures share, and one more than the largest possible."""
    per_picture = int(segments.max()) + 1
    first = torch.arange(len(segments), device=segments.device).view(-1, 1, 1) * per_picture
    return (segments + first).flatten(), per_picture * len(segments)


def _solve_symmetric(matrices: Tensor, right: Tensor) -> Tensor:
    """Solve N×3×3 symmetric positive definite systems by Cramer's rule; N×3."""
    a, b, c = matrices.unbind(1)
    bc, ca, ab = _cross(b, c), _cross(c, a), _cross(a, b)
    x, y, z = right.split(1, dim=1)
    return (x * bc + y * ca + z * ab) / (a * bc).sum(1, keepdim=True)
