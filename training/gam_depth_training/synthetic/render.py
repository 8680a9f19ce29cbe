"""One view of a scene: exact depth and labels at pixel centres, antialiased linear colour.

Primary rays go through pixel centres and pixel corners (a quincunx). Depth and labels are read at
the centres; colour is half the centre and half the mean of the four corners. Shadows, ambient light
and mirrors are traced once per pixel, smoothed along surfaces, then shared with the corners.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .lighting import aimed_at, choose_lamp_points, lamp_irradiance
from .semantics import UNLABELLED
from .surface import Float, Hits, Tracer, albedo

_PATTERN = 5
_LIFT_M = 1e-3
_CLEAR_ROUGHNESS = 0.04  # smoother materials mirror sharply; rougher ones by averaged random rays


@dataclass(frozen=True)
class Pinhole:
    """A camera without distortion; pixel centres at integers.

    focal_px, center_px: (x, y). size_hw: rows, columns.
    """

    focal_px: tuple[float, float]
    center_px: tuple[float, float]
    size_hw: tuple[int, int]


@dataclass(frozen=True)
class View:
    """What a perfect camera sees.

    radiance: float32 H×W×3, linear, scene units. depth_m: float32 H×W, z-depth, NaN where no
    surface. label: uint8 H×W, NYU-13, 255 where no surface. near_back_share: share of pixels
    that see the back of a surface nearer than 0.6 m (a camera inside a thing).
    """

    radiance: Float
    depth_m: Float
    label: NDArray[np.uint8]
    near_back_share: float


def grid_rays(
    camera: Pinhole, world_t_camera: NDArray[np.floating], *, corners: bool = False
) -> tuple[Float, Float]:
    """Origins and directions of H·W pixel centres, or of the (H+1)·(W+1) pixel corners.

    A direction's optical z is 1, so that a distance along it is z-depth.
    """
    height, width = camera.size_hw
    shift, extra = (0.5, 1) if corners else (0.0, 0)
    x = (np.arange(width + extra) - shift - camera.center_px[0]) / camera.focal_px[0]
    y = (np.arange(height + extra) - shift - camera.center_px[1]) / camera.focal_px[1]
    axes = world_t_camera[:3, :3].astype(np.float32)
    direction = x.astype(np.float32)[None, :, None] * axes[:, 0] + axes[:, 2]
    direction = direction + y.astype(np.float32)[:, None, None] * axes[:, 1]
    direction = np.ascontiguousarray(direction.reshape(-1, 3), np.float32)
    origin = np.broadcast_to(world_t_camera[:3, 3], direction.shape).astype(np.float32)
    return origin, direction


def render_view(
    tracer: Tracer, camera: Pinhole, world_t_camera: NDArray[np.floating], rng: np.random.Generator
) -> View:
    """Render one view. world_t_camera: 4×4 pose of the optical frame (x right, y down, z ahead)."""
    height, width = camera.size_hw
    origin, ray = grid_rays(camera, world_t_camera)
    corner_origin, corner_ray = grid_rays(camera, world_t_camera, corners=True)
    hits, corner_hits = tracer.trace(origin, ray), tracer.trace(corner_origin, corner_ray)
    light, mirror = _light_at_pixels(tracer, camera, origin, ray, hits, rng)
    both = light if mirror is None else np.concatenate([light, mirror], -1)
    material = tracer.material[hits.face].reshape(height, width)
    corner_material = tracer.material[corner_hits.face].reshape(height + 1, width + 1)
    shared = _at_corners(both, material, corner_material)

    center = _shade(tracer, camera, ray, hits, both.reshape(height * width, -1))
    corner = _shade(tracer, camera, corner_ray, corner_hits, shared)
    center, corner = center.reshape(height, width, 3), corner.reshape(height + 1, width + 1, 3)
    around = corner[:-1, :-1] + corner[:-1, 1:] + corner[1:, :-1] + corner[1:, 1:]

    depth = np.where(hits.hit, hits.distance, np.nan).astype(np.float32)
    label = np.where(hits.hit, tracer.scene.materials.label[material.ravel()], UNLABELLED)
    back = (tracer.facing(hits, ray) < 0) & (hits.distance < 0.6)
    return View(
        center / 2 + around / 8,
        depth.reshape(height, width),
        label.astype(np.uint8).reshape(height, width),
        float(back.mean()),
    )


def _shade(tracer: Tracer, camera: Pinhole, ray: Float, hits: Hits, light: Float) -> Float:
    """Radiance N×3 of hits under ``light``, N×3 irradiance or N×6 with the mirrored radiance."""
    facing = np.abs(tracer.facing(hits, ray))
    footprint = np.where(hits.hit, hits.distance, 1) * np.float32(0.8 / camera.focal_px[0])
    colour = albedo(tracer, hits, footprint / np.sqrt(np.maximum(facing, 0.05)))
    emission = tracer.scene.materials.emission[tracer.material[hits.face]]
    radiance = colour * (light[:, :3] + emission[:, None])
    if light.shape[1] == 6:
        radiance += light[:, 3:]
    radiance[~hits.hit] = 0
    return np.minimum(radiance, np.float32(30))


def _strata(height: int, width: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Ranks 0..24, each once in every 5×5 block of pixels: H×W."""
    block = rng.permutation(_PATTERN**2).reshape(_PATTERN, _PATTERN)
    reps = (-(-height // _PATTERN), -(-width // _PATTERN))
    return np.tile(block, reps)[:height, :width]


def _light_at_pixels(
    tracer: Tracer, camera: Pinhole, origin: Float, ray: Float, hits: Hits, rng: np.random.Generator
) -> tuple[Float, Float | None]:
    """Irradiance and mirrored radiance (None: no gloss in view) at pixel centres, H×W×3 each."""
    height, width = camera.size_hw
    reach = np.where(hits.hit, hits.distance, 0)[:, None]
    normal = tracer.normal(hits, ray)
    flat = tracer.flat_normal[hits.face]
    flat = flat * np.where(np.einsum("ij,ij->i", flat, ray) > 0, -1, 1).astype(np.float32)[:, None]
    point = origin + reach * ray + _LIFT_M * flat
    rank = _strata(height, width, rng).ravel()
    light = _direct(tracer, point, normal, rank, rng)
    light += _ambient(tracer, point, normal, flat, rank, rng)
    sun = _sunlight(tracer, point, normal)
    material = tracer.material[hits.face].reshape(height, width)
    depth = np.where(hits.hit, hits.distance, 0).reshape(height, width)
    mirror = _mirror(tracer, camera, point, normal, ray, material.ravel(), rng)
    noisy = light.reshape(height, width, 3)
    if mirror is not None:
        noisy = np.concatenate([noisy, mirror.reshape(height, width, 3)], -1)
    smooth = _smooth(noisy, normal.reshape(height, width, 3), depth)
    if mirror is None:
        return smooth + sun.reshape(height, width, 3), None
    # Clear mirrors keep their sharp picture; only rough ones are averaged.
    rough = tracer.scene.materials.roughness[material] > _CLEAR_ROUGHNESS
    picture = np.where(rough[..., None], smooth[..., 3:], mirror.reshape(height, width, 3))
    return smooth[..., :3] + sun.reshape(height, width, 3), picture


def _direct(tracer: Tracer, point: Float, normal: Float, rank: NDArray[np.int64],
            rng: np.random.Generator) -> Float:  # fmt: skip
    """Two shadow rays per pixel to stratified points on the lamps: N×3."""
    total = np.zeros_like(point)
    strata = np.float32(_PATTERN**2)
    some = rng.integers(0, len(point), 48)
    lights = aimed_at(tracer.scene.lights, point[some], normal[some])
    for sample in range(2):
        jitter = rng.random((len(point), 3), dtype=np.float32)
        shifted = (rank + sample * 12) % _PATTERN**2
        lamp, target = choose_lamp_points(lights, (shifted + jitter[:, 0]) / strata, jitter[:, 1:])
        to_lamp = (target - point).astype(np.float32)
        light = lamp_irradiance(lights, lamp, to_lamp, normal)
        light[tracer.blocked(point, to_lamp)] = 0
        total += light / 2
    return total


def _hemisphere(normal: Float, rank: NDArray[np.int64], rng: np.random.Generator) -> Float:
    """Cosine-weighted directions N×3 about the normals, one per stratum of a 5×5 square."""
    jitter = rng.random((len(normal), 2), dtype=np.float32)
    square = np.stack([rank % _PATTERN, rank // _PATTERN], -1).astype(np.float32)
    first, second = ((square + jitter) / _PATTERN).T
    z = 2 * first - 1
    ring, angle = np.sqrt(np.maximum(1 - z * z, 0)), 2 * np.pi * second
    sphere = np.stack([ring * np.cos(angle), ring * np.sin(angle), z], -1).astype(np.float32)
    direction = normal * np.float32(1.001) + sphere  # normal + unit sphere is cosine-weighted
    return direction / np.linalg.norm(direction, axis=1, keepdims=True)


def _ambient(tracer: Tracer, point: Float, normal: Float, flat: Float, rank: NDArray[np.int64],
             rng: np.random.Generator) -> Float:  # fmt: skip
    """Light from all round: near surfaces occlude and tint it, glowing ones add to it. N×3."""
    scene = tracer.scene
    direction = _hemisphere(normal, rank, rng)
    hits = tracer.trace(point, direction)
    material = tracer.material[hits.face]
    tint = scene.materials.mean_albedo[material]
    open_share = np.clip(hits.distance / np.float32(1.5), 0, 1)[:, None]
    light = scene.lights.ambient_rgb * (
        open_share * (0.5 + 0.5 * tint) + (1 - open_share) * 0.4 * tint
    )
    light += tint * np.minimum(scene.materials.emission[material], 2)[:, None] * np.float32(0.4)
    light[np.einsum("ij,ij->i", direction, flat) <= 0] = 0
    return light.astype(np.float32)


def _sunlight(tracer: Tracer, point: Float, normal: Float) -> Float:
    """Sun through a window: the first thing towards the sun is a bright pane. N×3."""
    lights, materials = tracer.scene.lights, tracer.scene.materials
    result = np.zeros_like(point)
    if lights.sun_direction is None:
        return result
    cosine = normal @ lights.sun_direction
    lit = np.flatnonzero(cosine > 0.02)
    if len(lit) == 0:
        return result
    direction = np.broadcast_to(lights.sun_direction, (len(lit), 3))
    face = tracer.first_face(point[lit], np.ascontiguousarray(direction))
    material = tracer.material[np.maximum(face, 0)]
    pane = (face >= 0) & (materials.emission[material] > 1) & (materials.label[material] == 12)
    result[lit] = lights.sun_rgb * (cosine[lit] * pane)[:, None]
    return result


def _mirror(tracer: Tracer, camera: Pinhole, point: Float, normal: Float, ray: Float,
            material: NDArray[np.int64], rng: np.random.Generator) -> Float | None:  # fmt: skip
    """Radiance mirrored by glossy surfaces, one ray per glossy pixel: N×3, or None if none is."""
    scene = tracer.scene
    glossy = np.flatnonzero(scene.materials.gloss[material] > 0)
    if len(glossy) == 0:
        return None
    result = np.zeros_like(point)
    look = ray[glossy] / np.linalg.norm(ray[glossy], axis=1, keepdims=True)
    rough = scene.materials.roughness[material[glossy]]
    spread = np.where(rough > _CLEAR_ROUGHNESS, rough, np.float32(0))[:, None]
    facet = normal[glossy] + spread * rng.standard_normal((len(glossy), 3), dtype=np.float32) * 0.5
    facet /= np.linalg.norm(facet, axis=1, keepdims=True)
    cosine = np.maximum(-np.einsum("ij,ij->i", look, facet), 0)
    out = look + 2 * cosine[:, None] * facet
    hits = tracer.trace(point[glossy], np.ascontiguousarray(out, np.float32))
    far = np.where(hits.hit, hits.distance, 1)
    colour = albedo(
        tracer, hits, (far + 1) * np.float32(2 / camera.focal_px[0]) + spread[:, 0] * far
    )
    seen = tracer.material[hits.face]
    level = scene.lights.ambient_rgb + np.float32(0.5)
    radiance = colour * (level + scene.materials.emission[seen][:, None])
    base = scene.materials.gloss[material[glossy]]
    fresnel = base + (1 - base) * 0.6 * (1 - cosine) ** 5  # Schlick, tamed at grazing angles
    result[glossy] = radiance * (fresnel * hits.hit)[:, None]
    return result


def _smooth(light: Float, normal: Float, depth: Float) -> Float:
    """Average noisy light H×W×K along surfaces: 5×5 pixels, then 5×5 pixels two apart.

    The first pass would do for the 25 strata of a block; the second hides what jitter is left.
    """
    for steps in ((1, 2), (2, 4)):
        for axis in (0, 1):
            weights = {step: _same_surface(normal, depth, axis, step) for step in steps}
            light = _smooth_axis(light, weights, axis)
    return light


def _neighbours(axis: int, step: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of the pixels that have a neighbour ``step`` before them, and of those neighbours."""
    here, there = [slice(None)] * 2, [slice(None)] * 2
    here[axis], there[axis] = slice(step, None), slice(None, -step)
    return tuple(here), tuple(there)


def _same_surface(normal: Float, depth: Float, axis: int, step: int) -> Float:
    """1 where a pixel and its neighbour share a plane or a gentle curve, else 0."""
    a, b = _neighbours(axis, step)
    agree = np.einsum("ijk,ijk->ij", normal[a], normal[b])
    gap = np.abs(depth[a] - depth[b])
    return ((agree > 0.85) & (gap < 0.03 * step * np.maximum(depth[a], 0.1))).astype(np.float32)


def _smooth_axis(light: Float, weights: dict[int, Float], axis: int) -> Float:
    total, weight_sum = light.copy(), np.ones(light.shape[:2], np.float32)
    for step, weight in weights.items():
        a, b = _neighbours(axis, step)
        total[a] += weight[..., None] * light[b]
        total[b] += weight[..., None] * light[a]
        weight_sum[a] += weight
        weight_sum[b] += weight
    return total / weight_sum[..., None]


def _at_corners(light: Float, material: NDArray[np.int64], corner_material: NDArray[np.int64]
                ) -> Float:  # fmt: skip
    """Light of pixel corners: the mean of the adjoining pixels of the same material.

    light: H×W×K. material: H×W. corner_material: (H+1)×(W+1). Returns (H+1)·(W+1)×K.
    """
    near = np.pad(light, ((1, 1), (1, 1), (0, 0)), mode="edge")
    kind = np.pad(material, 1, mode="edge")
    low, high = slice(None, -1), slice(1, None)
    total = np.zeros((*corner_material.shape, light.shape[-1]), np.float32)
    weight_sum = np.zeros(corner_material.shape, np.float32)
    for index in ((low, low), (low, high), (high, low), (high, high)):
        weight = np.where(kind[index] == corner_material, np.float32(1), np.float32(1e-3))
        total += weight[..., None] * near[index]
        weight_sum += weight
    total /= weight_sum[..., None]
    return total.reshape(-1, light.shape[-1])
