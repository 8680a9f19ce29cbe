"""Poses, projection and view synthesis: where a target's pixel lies in a source picture.

``source_T_target`` takes points of the target's camera frame (x right, y down, z forward) to the
source's. Pixels are (u, v), columns first, with centres at integers. All of it is differentiable.
Products stand as sums of products on purpose: matrix multiplication drops to bfloat16 under
autocast and to TF32 where a run allows it, and either costs tenths of a pixel.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

MIN_DEPTH = 0.1
MAX_DEPTH = 10.0
# Added to z before the division, as published; what is nearer counts as behind the camera.
Z_EPSILON = 1e-7
# Where points behind the camera land: outside any picture, yet finite, so gradients stay finite.
BEHIND_PX = -1e6


def disparity_to_depth(
    disparity: Tensor, min_depth: float = MIN_DEPTH, max_depth: float = MAX_DEPTH
) -> Tensor:
    """Map a sigmoid output in (0, 1) to depth: 1 / (1/max + (1/min − 1/max)·d)."""
    smallest, largest = 1.0 / max_depth, 1.0 / min_depth
    return 1.0 / (smallest + (largest - smallest) * disparity)


def rotation_matrix(axis_angle: Tensor) -> Tensor:
    """Rodrigues' formula, B×3 (radians) → B×3×3, with the right gradient at no rotation too."""
    angle = torch.linalg.vector_norm(axis_angle, dim=-1)[..., None, None]
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=-1).unflatten(-1, (3, 3))
    # sin(a)/a and (1 − cos a)/a², both finite at a = 0; torch.sinc(x) is sin(πx)/(πx).
    first = torch.sinc(angle / torch.pi)
    second = 0.5 * torch.sinc(angle / (2.0 * torch.pi)) ** 2
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity + first * cross + second * compose(cross, cross)


def pose_matrix(axis_angle: Tensor, translation: Tensor, invert: bool = False) -> Tensor:
    """Rigid transform Trans(t)·Rot(a), or its inverse, from B×3 and B×3 → B×4×4.

    Args:
        axis_angle: Rotation, radians.
        translation: Translation, in the unit of depth.
        invert: Give the inverse, Rot(a)ᵀ·Trans(−t).
    """
    rotation = rotation_matrix(axis_angle)
    return invert_pose(_rigid(rotation, translation)) if invert else _rigid(rotation, translation)


def invert_pose(pose: Tensor) -> Tensor:
    """Inverse of rigid transforms, B×4×4."""
    transposed = pose[..., :3, :3].transpose(-1, -2)
    return _rigid(transposed, -(transposed * pose[..., None, :3, 3]).sum(-1))


def compose(left: Tensor, right: Tensor) -> Tensor:
    """Matrix product left·right of small matrices, ...×N×N, in full precision."""
    return (left[..., :, :, None] * right[..., None, :, :]).sum(-2)


def _rigid(rotation: Tensor, translation: Tensor) -> Tensor:
    last = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=rotation.dtype, device=rotation.device)
    upper = torch.cat((rotation, translation[..., None]), dim=-1)
    return torch.cat((upper, last.expand(*upper.shape[:-2], 1, 4)), dim=-2)


def chain_poses(
    steps: Sequence[Tensor], offsets: Sequence[int], forward_product: bool = False
) -> dict[int, Tensor]:
    """Chain the motions between neighbouring frames into target → source transforms.

    Args:
        steps: One B×4×4 per pair of neighbours, in temporal order; ``steps[i]`` takes points of
            the frame at ``offsets[i]`` to the frame at ``offsets[i + 1]``.
        offsets: Temporal offsets of the frames, rising, with 0 for the target.
        forward_product: Multiply in temporal order, as the official code does, instead of in
            reverse. The same for steps that touch the target, second order in the motion beyond.

    Returns:
        ``source_T_target``, B×4×4, by source offset, in temporal order.

    Raises:
        ValueError: offsets do not rise, lack 0, or do not fit the number of steps.
    """
    order = list(offsets)
    if order != sorted(set(order)) or 0 not in order or len(steps) != len(order) - 1:
        raise ValueError(
            f"got offsets {tuple(order)} with {len(steps)} steps, expected rising offsets with 0 "
            "and one step fewer than offsets; pass the frames in temporal order"
        )
    target = order.index(0)
    poses: dict[int, Tensor] = {}
    for index, offset in enumerate(order):
        if index < target:
            poses[offset] = invert_pose(_motion(steps[index:target], forward_product))
        elif index > target:
            poses[offset] = _motion(steps[target:index], forward_product)
    return poses


def _motion(steps: Sequence[Tensor], forward_product: bool) -> Tensor:
    """All steps, the first acting on the point first."""
    return functools.reduce(compose, steps if forward_product else reversed(steps))


def pixel_grid(size_hw: tuple[int, int], like: Tensor) -> Tensor:
    """Pixel coordinates (u, v), 2×H×W, of the dtype and on the device of ``like``."""
    height, width = size_hw
    v = torch.arange(height, dtype=like.dtype, device=like.device)
    u = torch.arange(width, dtype=like.dtype, device=like.device)
    return torch.stack((u.expand(height, width), v[:, None].expand(height, width)))


def backproject(depth: Tensor, intrinsics: Tensor) -> Tensor:
    """Points in the camera frame, B×3×H×W, from depth and pinhole intrinsics.

    Args:
        depth: B×1×H×W.
        intrinsics: B×3×3 or B×4×4, pixels of this picture size, pixel centres at integers, no
            skew.
    """
    fx, fy, cx, cy = _pinhole(intrinsics)
    u, v = pixel_grid((depth.shape[-2], depth.shape[-1]), intrinsics)
    rays = torch.cat(((u - cx) / fx, (v - cy) / fy, torch.ones_like(u - cx)), dim=1)
    return depth * rays


def project(points: Tensor, intrinsics: Tensor, transform: Tensor) -> Tensor:
    """Pixel coordinates (u, v), B×2×H×W, of points seen by another camera.

    Args:
        points: B×3×H×W in the first camera's frame.
        intrinsics: B×3×3 or B×4×4 of the second camera, no skew.
        transform: B×4×4, first frame → second frame.

    Returns:
        Coordinates as they fall, also outside the picture. Points behind the camera land at
        ``BEHIND_PX`` in both and carry no gradient.
    """
    matrix = compose(intrinsics[:, :3, :3], transform[:, :3])[..., None, None]
    x, y, z = (
        matrix[:, row : row + 1, 0] * points[:, 0:1]
        + matrix[:, row : row + 1, 1] * points[:, 1:2]
        + matrix[:, row : row + 1, 2] * points[:, 2:3]
        + matrix[:, row : row + 1, 3]
        for row in range(3)
    )
    front = z > Z_EPSILON
    divisor = torch.where(front, z, torch.ones_like(z)) + Z_EPSILON
    pixels = torch.cat((x / divisor, y / divisor), dim=1)
    return pixels.masked_fill(~front, BEHIND_PX)


def _pinhole(intrinsics: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Focal lengths and principal point, B×1×1×1 each."""
    k = intrinsics[..., None, None]
    return k[:, 0:1, 0], k[:, 1:2, 1], k[:, 0:1, 2], k[:, 1:2, 2]


def synthesize_view(
    source: Tensor,
    depth: Tensor,
    intrinsics: Tensor,
    source_T_target: Tensor,  # noqa: N803
    align_corners: bool = True,
) -> Tensor:
    """Rebuild the target from a source picture, B×C×H×W; bilinear, the border is repeated.

    Gradients reach depth and pose. Paper eq. 2, with the source in the place of the misprinted
    target.

    Args:
        source: B×C×H×W, the same size as ``depth``.
        depth: B×1×H×W of the target.
        intrinsics: B×3×3 or B×4×4 of both cameras.
        source_T_target: B×4×4.
        align_corners: True samples where the coordinates point; False is the official code's
            shift of up to half a pixel at the borders.
    """
    pixels = project(backproject(depth, intrinsics), intrinsics, source_T_target)
    return sample(source, pixels, align_corners)


def sample(picture: Tensor, pixels: Tensor, align_corners: bool = True) -> Tensor:
    """Values of B×C×H×W at pixel coordinates B×2×h×w → B×C×h×w; bilinear, border repeated."""
    height, width = picture.shape[-2:]
    u = pixels[:, 0] / max(width - 1, 1)
    v = pixels[:, 1] / max(height - 1, 1)
    grid = 2.0 * (torch.stack((u, v), dim=-1) - 0.5)
    return functional.grid_sample(
        picture, grid, mode="bilinear", padding_mode="border", align_corners=align_corners
    )


def in_view(pixels: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """True, B×1×H×W, where coordinates B×2×H×W lie within a picture of this size."""
    height, width = size_hw
    u, v = pixels[:, 0:1], pixels[:, 1:2]
    return (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1)
