"""Triangle meshes with per-corner texture coordinates, shading normals and a material per face.

World and object frames are z-up, in metres. Closed meshes wind counter-clockwise seen from outside,
so that a ray that meets a back face started inside an object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Mesh:
    """Triangles.

    vertices: float32 V×3, metres. faces: int32 F×3. uv: float32 F×3×2, metres along the surface
    (or 0..1 across a picture). normals: float32 F×3×3, unit. material: int32 F, row of the
    material table.
    """

    vertices: Float
    faces: NDArray[np.int32]
    uv: Float
    normals: Float
    material: NDArray[np.int32]

    @property
    def bounds(self) -> Float:
        """Lowest and highest corner, float32 2×3, metres."""
        return np.stack([self.vertices.min(0), self.vertices.max(0)])


def merge(meshes: Sequence[Mesh]) -> Mesh:
    """Join meshes into one."""
    offsets = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    return Mesh(
        vertices=np.concatenate([mesh.vertices for mesh in meshes]),
        faces=np.concatenate(
            [mesh.faces + np.int32(offset) for mesh, offset in zip(meshes, offsets, strict=True)]
        ),
        uv=np.concatenate([mesh.uv for mesh in meshes]),
        normals=np.concatenate([mesh.normals for mesh in meshes]),
        material=np.concatenate([mesh.material for mesh in meshes]),
    )


def rotation(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Float:
    """Rotation matrix 3×3: roll about x, then pitch about y, then yaw about z, in radians."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    return (about_z @ about_y @ about_x).astype(np.float32)


def placed(mesh: Mesh, position_m: ArrayLike, rotation_: Float | float = 0.0) -> Mesh:
    """Rotate (matrix 3×3, or a yaw in radians), then move a mesh."""
    matrix = rotation_ if isinstance(rotation_, np.ndarray) else rotation(yaw=rotation_)
    position = np.asarray(position_m, np.float32)
    return Mesh(
        vertices=mesh.vertices @ matrix.T + position,
        faces=mesh.faces,
        uv=mesh.uv,
        normals=mesh.normals @ matrix.T,
        material=mesh.material,
    )


def cross(a: Float, b: Float) -> Float:
    """Row-wise cross product N×3; for the many small arrays here it beats numpy's general one."""
    out = np.empty(a.shape, np.result_type(a, b))
    out[:, 0] = a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1]
    out[:, 1] = a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2]
    out[:, 2] = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return out


def face_normals(vertices: Float, faces: NDArray[np.int32]) -> Float:
    """Unit normals of flat faces, float32 F×3; zero for a face without area."""
    corner = vertices[faces]
    flat = cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    length = np.sqrt(np.einsum("ij,ij->i", flat, flat))
    return (flat / np.maximum(length, 1e-12)[:, None]).astype(np.float32)


def _slope(points: Float) -> Float:
    """Central differences along the first axis, one-sided at its ends."""
    slope = np.empty_like(points)
    slope[1:-1] = (points[2:] - points[:-2]) / 2
    slope[0], slope[-1] = points[1] - points[0], points[-1] - points[-2]
    return slope


def _box_template() -> tuple[NDArray[np.int32], Float, NDArray[np.int32]]:
    """Faces 12×3 of the unit box, their normals 12×3 and the two texture axes of each face."""
    faces, normals, axes = [], [], []
    for axis in range(3):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        for sign in (0, 1):
            corners = []
            for da, db in ((0, 0), (1, 0), (1, 1), (0, 1)):
                bits = [0, 0, 0]
                bits[axis], bits[a], bits[b] = sign, da, db
                corners.append(bits[0] * 4 + bits[1] * 2 + bits[2])
            if sign == 0:
                corners = corners[::-1]
            normal = np.zeros(3, np.float32)
            normal[axis] = 2 * sign - 1
            for triangle in ((0, 1, 2), (0, 2, 3)):
                faces.append([corners[i] for i in triangle])
                normals.append(normal)
                axes.append([1 if axis == 0 else 0, 1 if axis == 2 else 2])
    return np.array(faces, np.int32), np.array(normals), np.array(axes, np.int32)


_FACES, _NORMALS, _AXES = _box_template()
_CORNERS = np.array([[i >> 2, i >> 1 & 1, i & 1] for i in range(8)], np.float32) - 0.5


def boxes(
    centers_m: ArrayLike, sizes_m: ArrayLike, material: ArrayLike, yaws: ArrayLike = 0.0
) -> Mesh:
    """N boxes at once. centers N×3, sizes N×3, material N or scalar, yaws N or scalar (radians)."""
    centers = np.atleast_2d(np.asarray(centers_m, np.float32))
    sizes = np.broadcast_to(np.asarray(sizes_m, np.float32), centers.shape)
    count = len(centers)
    angle = np.broadcast_to(np.asarray(yaws, np.float32), (count,))
    local = _CORNERS[None] * sizes[:, None]
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.zeros((count, 3, 3), np.float32)
    turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1] = cos, -sin, sin, cos
    turn[:, 2, 2] = 1
    vertices = np.einsum("nij,nkj->nki", turn, local) + centers[:, None]
    # Offsetting by the centre gives neighbouring boxes different parts of the texture.
    textured = local + np.abs(centers[:, None]) * np.float32(0.37)
    corner = textured[:, _FACES]
    uv = np.take_along_axis(corner, _AXES[None, :, None, :].repeat(3, 2).repeat(count, 0), axis=3)
    normals = np.einsum("nij,fj->nfi", turn, _NORMALS)[:, :, None].repeat(3, 2)
    faces = _FACES[None] + 8 * np.arange(count, dtype=np.int32)[:, None, None]
    ids = np.broadcast_to(np.asarray(material, np.int32), (count,)).repeat(12)
    return Mesh(
        vertices.reshape(-1, 3),
        faces.reshape(-1, 3),
        uv.reshape(-1, 3, 2).astype(np.float32),
        normals.reshape(-1, 3, 3).astype(np.float32),
        ids,
    )


def box(center_m: ArrayLike, size_m: ArrayLike, material: int, yaw: float = 0.0) -> Mesh:
    """One box; see ``boxes``."""
    return boxes([center_m], [size_m], material, yaw)


def quad(
    origin_m: ArrayLike, right_m: ArrayLike, up_m: ArrayLike, material: int, *, unit_uv: bool = True
) -> Mesh:
    """A rectangle seen from the side where ``right × up`` points; v runs downwards as in images.

    ``unit_uv`` spreads the texture once over the rectangle (pictures, screens); else uv is metres.
    """
    origin, right, up = (np.asarray(x, np.float32) for x in (origin_m, right_m, up_m))
    vertices = np.stack([origin, origin + right, origin + right + up, origin + up])
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    width, height = (1.0, 1.0) if unit_uv else (np.linalg.norm(right), np.linalg.norm(up))
    corner_uv = np.array([[0, height], [width, height], [width, 0], [0, 0]], np.float32)
    normal = cross(right[None], up[None])[0]
    normal /= max(float(np.sqrt(normal @ normal)), 1e-9)
    normals = np.broadcast_to(normal, (2, 3, 3)).astype(np.float32)
    return Mesh(vertices, faces, corner_uv[faces], normals, np.full(2, material, np.int32))


def sheet(points_m: Float, uv: Float, material: int) -> Mesh:
    """A smooth surface through a grid of points R×C×3; uv R×C×2. Front: (d/dcol) × (d/drow)."""
    rows, cols = points_m.shape[:2]
    index = np.arange(rows * cols, dtype=np.int32).reshape(rows, cols)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.concatenate(
        [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
    )
    vertices = np.ascontiguousarray(points_m.reshape(-1, 3), np.float32)
    along_row, along_col = _slope(points_m), _slope(points_m.swapaxes(0, 1)).swapaxes(0, 1)
    if np.abs(points_m[:, 0] - points_m[:, -1]).max() < 1e-6:  # closed seam: wrap the slope
        along_col[:, 0] = along_col[:, -1] = (points_m[:, 1] - points_m[:, -2]) / 2
    normal = cross(along_col.reshape(-1, 3), along_row.reshape(-1, 3))
    length = np.sqrt(np.einsum("ij,ij->i", normal, normal))
    normals = (normal / np.maximum(length, 1e-9)[:, None]).astype(np.float32)[faces]
    # At poles the slope vanishes; the face's own normal stands in.
    poor = (length <= 1e-9)[faces]
    if poor.any():
        normals[poor] = face_normals(vertices, faces)[:, None].repeat(3, 1)[poor]
    flat_uv = uv.reshape(-1, 2).astype(np.float32)
    return Mesh(vertices, faces, flat_uv[faces], normals, np.full(len(faces), material, np.int32))


def lathe(profile_m: ArrayLike, material: int, *, segments: int = 14) -> Mesh:
    """Turn a profile of (radius, z) points, bottom to top, about the z axis. Edges stay sharp."""
    profile = np.asarray(profile_m, np.float32)
    angle = np.linspace(0, 2 * np.pi, segments + 1, dtype=np.float32)
    ring = np.stack([np.cos(angle), np.sin(angle)], -1)
    low, high = profile[:-1], profile[1:]
    count = len(low)
    rings = np.stack([low, high], 1)  # bands × 2 × (radius, z)
    points = np.empty((count, 2, segments + 1, 3), np.float32)
    points[..., :2] = rings[:, :, None, :1] * ring
    points[..., 2] = rings[:, :, None, 1]
    slope = high - low
    out = np.stack([slope[:, 1], -slope[:, 0]], -1)
    out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)
    normal = np.empty_like(points)
    normal[..., :2] = out[:, None, None, :1] * ring
    normal[..., 2] = out[:, 1, None, None]
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(slope, axis=1))]).astype(np.float32)
    uv = np.empty(points.shape[:3] + (2,), np.float32)
    uv[..., 0] = angle * max(float(profile[:, 0].max()), 1e-3)
    uv[..., 1] = np.stack([arc[:-1], arc[1:]], 1)[:, :, None]
    index = np.arange(count * 2 * (segments + 1), dtype=np.int32).reshape(count, 2, segments + 1)
    a, b, c, d = index[:, 0, :-1], index[:, 0, 1:], index[:, 1, 1:], index[:, 1, :-1]
    faces = np.concatenate(
        [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
    )
    return Mesh(
        points.reshape(-1, 3),
        faces,
        uv.reshape(-1, 2)[faces],
        normal.reshape(-1, 3)[faces],
        np.full(len(faces), material, np.int32),
    )


def cylinder(
    base_m: ArrayLike, radius_m: float, height_m: float, material: int, *, segments: int = 10
) -> Mesh:
    """An upright closed cylinder standing on ``base_m``."""
    profile = [(0, 0), (radius_m, 0), (radius_m, height_m), (0, height_m)]
    return placed(lathe(profile, material, segments=segments), base_m)
