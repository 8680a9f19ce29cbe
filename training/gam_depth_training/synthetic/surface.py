"""Rays meet the scene: hits, materials, texture lookups with mip levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from .mesh import face_normals
from .scene import Scene
from .textures import SIZE

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Hits:
    """Where N rays ended.

    distance: float32 N, in lengths of the given direction; inf for a miss. face: int64 N, 0 for a
    miss. hit: bool N. bary: float32 N×2, weights of a face's second and third corner.
    """

    distance: Float
    face: NDArray[np.int64]
    hit: NDArray[np.bool_]
    bary: Float


class Tracer:
    """A scene in Embree, with its per-face tables ready for gathers."""

    def __init__(self, scene: Scene) -> None:
        """Build the acceleration structure once; every view of the scene shares it."""
        mesh = scene.mesh
        self.scene = scene
        self._embree = EmbreeScene()
        self._mesh = TriangleMesh(
            self._embree,
            np.ascontiguousarray(mesh.vertices, np.float32),
            np.ascontiguousarray(mesh.faces, np.int32),
        )
        self.flat_normal = face_normals(mesh.vertices, mesh.faces)
        self._uv = _affine(mesh.uv)
        self._normal = _affine(mesh.normals)
        self.material = mesh.material.astype(np.int64)

    def trace(self, origin: Float, direction: Float, far: float | None = None) -> Hits:
        """Nearest hits of rays N×3; ``far`` limits the distance."""
        limit = None if far is None else np.full(len(origin), far, np.float32)
        answer = self._embree.run(origin, direction, limit, query="INTERSECT", output=True)
        face = answer["primID"].astype(np.int64)
        hit = face >= 0
        distance = np.where(hit, answer["tfar"], np.float32(np.inf))
        bary = np.stack([answer["u"], answer["v"]], -1)
        return Hits(distance, np.maximum(face, 0), hit, bary)

    def blocked(self, origin: Float, direction: Float) -> NDArray[np.bool_]:
        """Whether anything lies between a point and point + direction (shadow rays)."""
        reach = np.full(len(origin), 0.995, np.float32)
        return np.asarray(self._embree.run(origin, direction, reach, query="OCCLUDED") == 0)

    def first_face(self, origin: Float, direction: Float) -> NDArray[np.int64]:
        """Nearest face of each ray, -1 for a miss."""
        return np.asarray(self._embree.run(origin, direction, query="INTERSECT"), np.int64)

    def uv(self, hits: Hits) -> Float:
        """Texture coordinates N×2 at the hits."""
        return _interpolate(self._uv, hits)

    def normal(self, hits: Hits, direction: Float) -> Float:
        """Unit shading normals N×3, turned towards the viewer."""
        normal = _interpolate(self._normal, hits)
        normal /= np.maximum(np.sqrt(np.einsum("ij,ij->i", normal, normal)), 1e-6)[:, None]
        away = np.einsum("ij,ij->i", normal, direction) > 0
        normal[away] *= -1
        return normal

    def facing(self, hits: Hits, direction: Float) -> Float:
        """-cos between ray and flat normal N; negative where a back face was met."""
        cosine = -np.einsum("ij,ij->i", self.flat_normal[hits.face], direction)
        return cosine / np.sqrt(np.einsum("ij,ij->i", direction, direction))


def _affine(corner: Float) -> Float:
    """Per-corner values F×3×K as value(first corner) and two differences: float32 F×3×K."""
    return np.ascontiguousarray(
        np.stack([corner[:, 0], corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]], 1)
    ).astype(np.float32)


def _interpolate(table: Float, hits: Hits) -> Float:
    rows = table[hits.face]
    return rows[:, 0] + hits.bary[:, :1] * rows[:, 1] + hits.bary[:, 1:] * rows[:, 2]


def albedo(tracer: Tracer, hits: Hits, footprint_m: Float) -> Float:
    """Linear albedo N×3 at the hits; ``footprint_m`` N is a pixel's width on the surface."""
    scene = tracer.scene
    material = tracer.material[hits.face]
    table = scene.materials
    # A picture's uv is 0..1 over its rectangle: its footprint needs its size, about half a metre.
    uv = tracer.uv(hits) / table.repeat_m[material][:, None]
    texels = footprint_m * (
        SIZE / (table.repeat_m[material] * _picture_size(table.repeat_m[material]))
    )
    colour = _lookup(scene, table.texture[material], uv, texels)
    return colour * table.tint[material]


def _picture_size(repeat_m: Float) -> Float:
    return np.where(repeat_m == 1.0, np.float32(0.5), np.float32(1.0))


def _lookup(scene: Scene, texture: NDArray[np.int64], uv: Float, texels: Float) -> Float:
    """Bilinear texture lookup at the mip level where a pixel covers about one texel."""
    bank = scene.bank
    levels = len(bank.level_offset)
    level = (
        np.log2(np.maximum(texels, np.float32(1e-3))).round().astype(np.int64).clip(0, levels - 1)
    )
    size = SIZE >> level
    base = bank.level_offset[level] + texture * size * size
    x = uv[:, 0] * size - np.float32(0.5)
    y = uv[:, 1] * size - np.float32(0.5)
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = (x - x0)[:, None].astype(np.float32), (y - y0)[:, None].astype(np.float32)
    mask = size - 1
    left, top = x0.astype(np.int64) & mask, y0.astype(np.int64) & mask
    right, bottom = (left + 1) & mask, (top + 1) & mask

    def texel(column: NDArray[np.int64], row: NDArray[np.int64]) -> Float:
        rgba = bank.packed[base + row * size + column].view(np.uint8).reshape(-1, 4)
        return rgba[:, :3].astype(np.float32)

    upper = texel(left, top) * (1 - fx) + texel(right, top) * fx
    lower = texel(left, bottom) * (1 - fx) + texel(right, bottom) * fx
    value = (upper + (lower - upper) * fy) / np.float32(255)
    return value * value
