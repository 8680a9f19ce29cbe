"""Smooth, collision-free camera paths of a robot (planar) and of a hand (all six axes)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .mesh import rotation
from .surface import Tracer
from .viewpoint import good_pose, interest, nearest_surface_m

Rng = np.random.Generator
Poses = NDArray[np.float64]

MOTIONS = ("robot", "hand")
_CLEARANCE_M = 0.12


def _wander(rng: Rng, time_s: NDArray[np.float64], amplitude: float, period_s: float,
            waves: int = 3) -> NDArray[np.float64]:  # fmt: skip
    """A smooth random function of time that starts at 0 and stays about within ±amplitude."""
    total = np.zeros_like(time_s)
    for k in range(1, waves + 1):
        phase = rng.uniform(0, 2 * np.pi)
        angle = 2 * np.pi * k * time_s / period_s + phase
        total += rng.normal(0, 1) / k * (np.sin(angle) - np.sin(phase))
    return amplitude * total / 1.6


def _offsets(rng: Rng, motion: str, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Motion relative to the start, T×6: x, y, z metres in the world; yaw, pitch, roll radians."""
    if motion == "robot":
        amplitudes, periods = (0.9, 0.9, 0.0, 0.8, 0.0, 0.0), (16.0, 16.0, 8.0, 14.0, 8.0, 8.0)
    else:
        amplitudes, periods = (0.4, 0.4, 0.2, 0.4, 0.25, 0.2), (9.0, 9.0, 7.0, 9.0, 7.0, 8.0)
    columns = [
        _wander(rng, time_s, amplitude, period)
        for amplitude, period in zip(amplitudes, periods, strict=True)
    ]
    shake = np.array([0, 0, 0.0015, 0.001, 0.002, 0.001] if motion == "robot"
                     else [0.003, 0.003, 0.003, 0.006, 0.006, 0.008])  # fmt: skip
    tremor = [_wander(rng, time_s, size, 1.3, waves=2) for size in shake]
    return np.stack(columns, -1) + np.stack(tremor, -1)


def _moved(start: Poses, offsets: NDArray[np.float64]) -> Poses:
    """Poses T×4×4: the start, moved in the world, yawed about the vertical, tilted in its frame."""
    poses = np.repeat(start[None], len(offsets), 0)
    for pose, (x, y, z, yaw, pitch, roll) in zip(poses, offsets, strict=True):
        # Optical axes: x right (pitch turns about it), z forward (roll turns about it).
        tilt = rotation(roll=pitch).astype(float) @ rotation(yaw=roll).astype(float)
        pose[:3, :3] = rotation(yaw=yaw).astype(float) @ start[:3, :3] @ tilt
        pose[:3, :3] = _orthonormal(pose[:3, :3])
        pose[:3, 3] += (x, y, z)
    return poses


def _orthonormal(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    left, _, right = np.linalg.svd(matrix)
    return np.asarray(left @ right)


def _is_free(tracer: Tracer, poses: Poses, focal_px_per_width: float) -> bool:
    """Every pose keeps its distance, no step goes through a wall, and every third view is good."""
    for index, pose in enumerate(poses):
        if nearest_surface_m(tracer, pose[:3, 3]) < _CLEARANCE_M:
            return False
        if index % 3 == 0 and interest(tracer, pose, focal_px_per_width) == 0:
            return False
    step = np.diff(poses[:, :3, 3], axis=0).astype(np.float32)
    return not tracer.blocked(poses[:-1, :3, 3].astype(np.float32), step).any()


def camera_path(rng: Rng, tracer: Tracer, frames: int, fps: float, motion: str,
                focal_px_per_width: float) -> Poses | None:  # fmt: skip
    """World poses frames×4×4 of the optical camera, or None if the room leaves no space.

    A random smooth motion is tried about a good start; where it would collide, it is made smaller.
    """
    if motion not in MOTIONS:
        raise ValueError(f"motion is {motion!r}, expected one of {MOTIONS}")
    time_s = np.arange(frames) / fps
    kinds = ("floor_robot", "standing_robot") if motion == "robot" else ("hand", "close_up")
    for _ in range(12):
        start = good_pose(rng, tracer, focal_px_per_width, str(rng.choice(kinds)))
        if start is None:
            return None
        offsets = _offsets(rng, motion, time_s)
        for shrink in (1.0, 0.7, 0.45, 0.3):
            poses = _moved(start, shrink * offsets)
            if _is_free(tracer, poses, focal_px_per_width):
                return poses
    return None


def quaternion_xyzw(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit quaternion (x, y, z, w), w >= 0, of a rotation matrix 3×3 (Shepperd's method)."""
    m = matrix
    trace = float(np.trace(m))
    choices = np.array([m[0, 0], m[1, 1], m[2, 2], trace])
    i = int(choices.argmax())
    if i == 3:
        q = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], 1 + trace])
    else:
        j, k = (i + 1) % 3, (i + 2) % 3
        q = np.zeros(4)
        q[i] = 1 + 2 * m[i, i] - trace
        q[j], q[k] = m[j, i] + m[i, j], m[k, i] + m[i, k]
        q[3] = m[k, j] - m[j, k]
    q /= np.linalg.norm(q)
    return q if q[3] >= 0 else -q
