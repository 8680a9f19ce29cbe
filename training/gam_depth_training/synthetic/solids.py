"""Rounded solids: cushions, balls, tubes and cloth."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .mesh import Float, Mesh, cross, placed, sheet


def cushion(
    center_m: ArrayLike,
    size_m: ArrayLike,
    material: int,
    *,
    squareness: float = 0.4,
    yaw: float = 0.0,
    rows: int = 9,
    cols: int = 17,
) -> Mesh:
    """A superellipsoid: ``squareness`` 1 is an ellipsoid, 0.2 nearly a box with round edges."""
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rows)[:, None]
    longitude = np.linspace(-np.pi, np.pi, cols)[None, :]

    def power(value: np.ndarray) -> np.ndarray:
        return np.sign(value) * np.abs(value) ** squareness

    ring = power(np.cos(latitude).clip(0, 1))
    unit = np.stack(
        [
            ring * power(np.cos(longitude)),
            ring * power(np.sin(longitude)),
            power(np.sin(latitude)) + 0 * longitude,
        ],
        -1,
    )
    unit[:, -1] = unit[:, 0]
    size = np.asarray(size_m, np.float32)
    points = (unit * size / 2).astype(np.float32)
    uv = np.stack(
        [
            longitude / (2 * np.pi) * 2 * (size[0] + size[1]) + 0 * latitude,
            latitude / np.pi * (size[2] + size[0]) + 0 * longitude,
        ],
        -1,
    )
    return placed(sheet(points, uv, material), center_m, yaw)


def ball(center_m: ArrayLike, radius_m: float, material: int) -> Mesh:
    """A sphere."""
    return cushion(center_m, [2 * radius_m] * 3, material, squareness=1.0)


def tube(points_m: ArrayLike, radius_m: ArrayLike, material: int, *, segments: int = 6) -> Mesh:
    """A tube along points N×3; radius scalar or N (a limb tapers). Its ends are open."""
    points = np.asarray(points_m, np.float32)
    radius = np.broadcast_to(np.asarray(radius_m, np.float32), (len(points),))
    along = np.empty_like(points)
    along[1:-1] = points[2:] - points[:-2]
    along[0], along[-1] = points[1] - points[0], points[-1] - points[-2]
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    helper = np.where(np.abs(along[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    side = cross(along, helper.astype(np.float32))
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    up = cross(side, along)
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    ring = np.cos(angle)[None, :, None] * side[:, None] + np.sin(angle)[None, :, None] * up[:, None]
    grid = points[:, None] + radius[:, None, None] * ring
    grid[:, -1] = grid[:, 0]
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    uv = np.stack(np.broadcast_arrays(angle[None] * radius.mean(), arc[:, None]), -1)
    # Rows run along the tube, columns around it; reversing the columns turns the front outwards.
    return sheet(grid[:, ::-1].astype(np.float32), uv[:, ::-1], material)


def limb(start_m: ArrayLike, end_m: ArrayLike, radius_m: float, material: int) -> Mesh:
    """A straight capsule-like rod between two points, tapered at both ends."""
    start, end = np.asarray(start_m, np.float32), np.asarray(end_m, np.float32)
    along = (end - start) / max(float(np.linalg.norm(end - start)), 1e-6)
    length = float(np.linalg.norm(end - start))
    stations = np.array([-radius_m, -0.7 * radius_m, 0, length, length + 0.7 * radius_m,
                         length + radius_m], np.float32)  # fmt: skip
    radius = radius_m * np.array([0.05, 0.7, 1, 1, 0.7, 0.05], np.float32)
    return tube(start + stations[:, None] * along, radius, material, segments=8)


def cloth(
    rng: np.random.Generator, size_m: ArrayLike, material: int, *, relief_m: float, cells: int = 14
) -> Mesh:
    """A rumpled sheet over x, y centred at the origin, whose edges come down to z = 0."""
    size = np.asarray(size_m, np.float32)
    side = np.linspace(-0.5, 0.5, cells, dtype=np.float32)
    x, y = np.meshgrid(side, side)
    waves = np.zeros_like(x)
    for _ in range(5):
        kx, ky = rng.normal(0, 7, 2)
        waves += np.sin(kx * x + ky * y + rng.uniform(0, 6.3)) / 5
    edge = np.clip(8 * (0.5 - np.maximum(np.abs(x), np.abs(y))), 0, 1)
    height = (relief_m * (0.6 + 0.8 * waves) * edge).clip(0.002 * edge)
    points = np.stack([x * size[0], y * size[1], height], -1).astype(np.float32)
    return sheet(points, points[..., :2] + 0.5, material)


def bent_path(rng: np.random.Generator, start_m: ArrayLike, end_m: ArrayLike, bend_m: float,
              count: int = 12) -> Float:  # fmt: skip
    """A wavy path N×3 between two points, for cables: horizontal bends, constant sag of z."""
    start, end = np.asarray(start_m, np.float32), np.asarray(end_m, np.float32)
    t = np.linspace(0, 1, count, dtype=np.float32)[:, None]
    path = start + t * (end - start)
    envelope = np.sin(np.pi * t)
    for axis in (0, 1):
        wave = np.sin(t[:, 0] * rng.uniform(3, 12) + rng.uniform(0, 6.3))
        path[:, axis] += (envelope[:, 0] * wave * bend_m).astype(np.float32)
    return path
