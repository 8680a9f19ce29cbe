"""Where a camera may stand: near the floor, on a mast, in a hand, at a desk, in corners."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .layout import Room
from .mesh import Float
from .render import Pinhole, grid_rays
from .semantics import TV
from .surface import Tracer

Rng = np.random.Generator

KINDS = ("floor_robot", "standing_robot", "hand", "close_up", "level", "seated", "corner")
SHARES = (0.18, 0.13, 0.16, 0.2, 0.12, 0.12, 0.09)
# The smallest triangle that is half a screen, not a part of its stand.
_SCREEN_M2 = 0.02
_PROBE_HW = (24, 32)


def look(position_m: Float, yaw: float, pitch: float, roll: float) -> Float:
    """World pose 4×4 of an optical camera; pitch > 0 looks up, roll turns about the view axis."""
    cos_p, sin_p = np.cos(pitch), np.sin(pitch)
    forward = np.array([np.cos(yaw) * cos_p, np.sin(yaw) * cos_p, sin_p])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    down = np.cross(forward, right)
    cos_r, sin_r = np.cos(roll), np.sin(roll)
    pose = np.eye(4)
    pose[:3, 0] = cos_r * right + sin_r * down
    pose[:3, 1] = -sin_r * right + cos_r * down
    pose[:3, 2] = forward
    pose[:3, 3] = position_m
    return pose


def look_at(position_m: Float, target_m: Float, roll: float) -> Float:
    """World pose 4×4 of an optical camera that looks at a point."""
    way = np.asarray(target_m, float) - position_m
    yaw = float(np.arctan2(way[1], way[0]))
    return look(position_m, yaw, float(np.arctan2(way[2], np.hypot(way[0], way[1]))), roll)


def _floor_spot(rng: Rng, room: Room, margin_m: float) -> tuple[float, float]:
    margin = min(margin_m, 0.4 * min(room.size_m))
    x = rng.uniform(room.low_m[0] + margin, room.high_m[0] - margin)
    return float(x), float(rng.uniform(room.low_m[1] + margin, room.high_m[1] - margin))


def random_pose(rng: Rng, tracer: Tracer, kind: str) -> Float:
    """A pose of one kind, not yet checked for collisions."""
    scene = tracer.scene
    room = (
        scene.rooms[0] if rng.random() < 0.85 else scene.rooms[int(rng.integers(len(scene.rooms)))]
    )
    near = _pose_at_things(rng, tracer, room, kind)
    if near is not None:
        return near
    x, y = _floor_spot(rng, room, 0.25)
    yaw = float(rng.uniform(0, 2 * np.pi))
    if rng.random() < 0.65:  # into the room rather than at the nearest wall
        ahead = _floor_spot(rng, room, 0.3)
        yaw = float(np.arctan2(ahead[1] - y, ahead[0] - x) + rng.normal(0, 0.3))
    degrees = np.deg2rad
    if kind == "floor_robot":
        at = np.array([x, y, rng.uniform(0.13, 0.5)])
        return look(at, yaw, degrees(rng.normal(-3, 8)), degrees(rng.normal(0, 1.5)))
    if kind == "standing_robot":
        at = np.array([x, y, rng.uniform(0.5, 1.5)])
        return look(at, yaw, degrees(rng.uniform(-38, 8)), degrees(rng.normal(0, 2)))
    if kind == "corner":
        sx, sy = (rng.choice([0.12, 0.88]) for _ in range(2))
        at = np.array([room.low_m[0] + sx * room.size_m[0], room.low_m[1] + sy * room.size_m[1],
                       rng.uniform(0.9, min(2.2, room.height_m - 0.2))])  # fmt: skip
        aim = np.array([*_floor_spot(rng, room, 0.3), rng.uniform(0.3, 1.3)])
        return look_at(at, aim, degrees(rng.normal(0, 3)))
    at = np.array([x, y, rng.uniform(0.6, 1.9)])
    return look(at, yaw, degrees(rng.normal(-12, 20)), _roll(rng, 14, 0.1))


def _pose_at_things(rng: Rng, tracer: Tracer, room: Room, kind: str) -> Float | None:
    """A pose close to what stands on desks; None for other kinds, or where there is no desk."""
    scene = tracer.scene
    if kind == "close_up" and len(scene.targets_m):
        target = scene.targets_m[int(rng.integers(len(scene.targets_m)))]
        target = target + rng.normal(0, (0.3, 0.3, 0.08))
        distance, yaw = rng.uniform(0.4, 2.2), rng.uniform(0, 2 * np.pi)
        up = np.deg2rad(rng.uniform(2, 22) if rng.random() < 0.35 else rng.uniform(15, 75))
        way = np.array([np.cos(yaw) * np.cos(up), np.sin(yaw) * np.cos(up), np.sin(up)])
        return look_at(target + distance * way, target, _roll(rng, 12, 0.15))
    if kind == "level" and len(scene.targets_m):
        # Over a desk's screens and clutter into the depth of the room, as from a tripod on it.
        target = scene.targets_m[int(rng.integers(len(scene.targets_m)))]
        back = rng.uniform(0.35, 1.6) * _heading(_towards(rng, room, target) + np.pi)
        rise = rng.uniform(-0.05, 0.45)
        pitch = float(np.deg2rad(rng.normal(-4, 8)))
        yaw = float(np.arctan2(-back[1], -back[0]) + rng.normal(0, 0.35))
        return look(target + back + (0, 0, rise), yaw, pitch, _roll(rng, 5, 0.05))
    if kind == "seated" and len(screens := _screens(tracer)):
        # Before or behind a screen that fills much of the view, the room's depth beyond it.
        at, normal = screens[int(rng.integers(len(screens)))]
        at = at + rng.uniform(0.35, 1.3) * normal + rng.normal(0, 0.15, 3)
        yaw = float(np.arctan2(-normal[1], -normal[0]) + rng.normal(0, 0.4))
        pitch = float(np.deg2rad(rng.normal(1, 8)))
        return look(at + (0, 0, rng.uniform(-0.05, 0.35)), yaw, pitch, _roll(rng, 5, 0.05))
    return None


def _screens(tracer: Tracer) -> list[tuple[Float, Float]]:
    """Centre and horizontal unit normal of every triangle of a screen's front or back."""
    mesh = tracer.scene.mesh
    chosen = np.flatnonzero(tracer.scene.materials.label[tracer.material] == TV)
    a, b, c = (mesh.vertices[mesh.faces[chosen, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    flat = tracer.flat_normal[chosen] * (1, 1, 0)
    length = np.linalg.norm(flat, axis=1)
    good = (area > _SCREEN_M2) & (length > 0.7)
    centers, normals = ((a + b + c) / 3)[good], (flat / np.maximum(length, 1e-6)[:, None])[good]
    return list(zip(centers, normals, strict=True))


def _towards(rng: Rng, room: Room, start_m: Float) -> float:
    """Yaw from a point to a random spot of the room: mostly along the room's length."""
    x, y = _floor_spot(rng, room, 0.3)
    return float(np.arctan2(y - start_m[1], x - start_m[0]))


def _heading(yaw: float) -> Float:
    return np.array([np.cos(yaw), np.sin(yaw), 0.0])


def _roll(rng: Rng, spread_deg: float, wild_share: float) -> float:
    wild = rng.random() < wild_share
    return float(np.deg2rad(rng.uniform(-75, 75) if wild else rng.normal(0, spread_deg)))


def interest(tracer: Tracer, pose: NDArray[np.float64], focal_px_per_width: float) -> float:
    """How much a view would teach, from a small probe image; 0 for a bad one.

    Bad is a camera outside, inside a thing, nearer than 0.1 m to one, or staring at a single
    surface. Else the value grows with the far range of depth and with the number of materials.
    """
    position = pose[:3, 3]
    if not any(_inside(room, position) for room in tracer.scene.rooms):
        return 0.0
    height, width = _PROBE_HW
    focal = focal_px_per_width * width
    camera = Pinhole((focal, focal), ((width - 1) / 2, (height - 1) / 2), _PROBE_HW)
    origin, direction = grid_rays(camera, pose)
    hits = tracer.trace(origin, direction)
    if hits.hit.mean() < 0.98:
        return 0.0
    depth = hits.distance[hits.hit]
    back = (tracer.facing(hits, direction) < 0) & (hits.distance < 0.6)
    if back.mean() > 0.03 or np.percentile(depth, 1) < 0.18 or np.percentile(depth, 25) < 0.35:
        return 0.0
    if nearest_surface_m(tracer, position) < 0.1:
        return 0.0
    counts = np.bincount(tracer.material[hits.face[hits.hit]])
    if counts.max() > 0.93 * counts.sum():
        return 0.0
    return float(np.log1p(np.percentile(depth, 90)) + 0.06 * (counts > 2).sum())


def _inside(room: Room, position: Float) -> bool:
    low, high = room.low_m, room.high_m
    flat = low[0] < position[0] < high[0] and low[1] < position[1] < high[1]
    return bool(flat and 0.08 < position[2] < room.height_m - 0.08)


def _sphere(count: int) -> Float:
    """Evenly spread unit directions (golden spiral), float32 count×3."""
    k = np.arange(count) + 0.5
    z, angle = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    ring = np.sqrt(1 - z * z)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), z], -1).astype(np.float32)


_FEELERS = _sphere(96)


def nearest_surface_m(tracer: Tracer, position_m: Float) -> float:
    """Distance to the nearest surface, felt with 96 rays."""
    origin = np.broadcast_to(position_m, _FEELERS.shape).astype(np.float32)
    return float(tracer.trace(origin, _FEELERS).distance.min())


def good_pose(rng: Rng, tracer: Tracer, focal_px_per_width: float, kind: str | None = None,
              attempts: int = 60) -> NDArray[np.float64] | None:  # fmt: skip
    """A random pose worth rendering; None if the room is too full to find one.

    Half of the poses are the first that will do, half the most interesting of four: far
    backgrounds and clutter would else be rarer than in recordings.
    """
    chosen = kind or str(rng.choice(KINDS, p=SHARES))
    wanted = 1 if rng.random() < 0.5 else 4
    best, best_value, found = None, 0.0, 0
    for attempt in range(attempts):
        if attempt == attempts // 2 and not found:
            chosen = "corner"
        pose = random_pose(rng, tracer, chosen)
        value = interest(tracer, pose, focal_px_per_width)
        found += value > 0
        if value > best_value:
            best, best_value = pose, value
        if found >= wanted:
            break
    return best
