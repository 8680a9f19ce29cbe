"""Lamps, and the light they send: rectangles sampled with one stratified shadow ray per pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Lamp:
    """A shining rectangle; a zero normal means that it shines all round. flux is relative."""

    center_m: Vector
    half_u_m: Vector
    half_v_m: Vector
    normal: Vector
    colour: Vector
    flux: float = 1.0


@dataclass(frozen=True)
class Lights:
    """All lamps of a scene as arrays, L lamps; the total flux is the lit floor area.

    center_m, half_u_m, half_v_m, normal, flux_rgb: float32 L×3. share: float32 L, the chance that
    a shadow ray goes to a lamp. ambient_rgb: float32 3. sun_direction: towards the sun, or None;
    sun_rgb: float32 3.
    """

    center_m: NDArray[np.float32]
    half_u_m: NDArray[np.float32]
    half_v_m: NDArray[np.float32]
    normal: NDArray[np.float32]
    flux_rgb: NDArray[np.float32]
    share: NDArray[np.float32]
    ambient_rgb: NDArray[np.float32]
    sun_direction: NDArray[np.float32] | None
    sun_rgb: NDArray[np.float32]


def gather_lights(
    lamps: Sequence[Lamp],
    floor_area_m2: float,
    ambient_rgb: ArrayLike,
    sun_direction: ArrayLike | None,
    sun_rgb: ArrayLike,
) -> Lights:
    """Scale the lamps so that the floor's mean irradiance is about one."""
    flux = np.array([lamp.flux for lamp in lamps], np.float32)
    colour = np.array([lamp.colour for lamp in lamps], np.float32)
    share = flux / flux.sum()
    columns = [np.array([getattr(lamp, name) for lamp in lamps], np.float32)
               for name in ("center_m", "half_u_m", "half_v_m", "normal")]  # fmt: skip
    sun = None if sun_direction is None else np.asarray(sun_direction, np.float32)
    return Lights(
        columns[0], columns[1], columns[2], columns[3],
        colour * (share * floor_area_m2)[:, None],
        share,
        np.asarray(ambient_rgb, np.float32),
        sun,
        np.asarray(sun_rgb, np.float32),
    )  # fmt: skip


def aimed_at(lights: Lights, point: NDArray[np.float32], normal: NDArray[np.float32]) -> Lights:
    """Lights whose shares favour the lamps that matter to a few visible points N×3.

    Far lamps of a large room would else take most of the rays and leave the near one noisy.
    """
    gain = np.empty_like(lights.share)
    for lamp in range(len(gain)):
        ids = np.full(len(point), lamp)
        light = lamp_irradiance(lights, ids, lights.center_m[lamp] - point, normal)
        gain[lamp] = light.mean() * lights.share[lamp]  # undo the division by the share
    share = gain / max(float(gain.sum()), 1e-9) + np.float32(0.15) * lights.share
    return replace(lights, share=(share / share.sum()).astype(np.float32))


def choose_lamp_points(
    lights: Lights, stratum: NDArray[np.float32], jitter: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """A lamp per pixel (``stratum`` N in 0..1 walks through their shares) and a point on it.

    jitter: float32 N×2 in 0..1. Returns lamp ids N and points N×3.
    """
    edges = np.cumsum(lights.share)
    lamp = np.searchsorted(edges, stratum * edges[-1], side="right").clip(0, len(edges) - 1)
    offset = 2 * jitter - 1
    point = lights.center_m[lamp]
    point = point + offset[:, :1] * lights.half_u_m[lamp] + offset[:, 1:] * lights.half_v_m[lamp]
    return lamp, point


def lamp_irradiance(
    lights: Lights,
    lamp: NDArray[np.int64],
    to_lamp: NDArray[np.float32],
    surface_normal: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Unshadowed irradiance N×3 from the chosen lamp, divided by the chance of choosing it.

    A rectangle of flux F sends F/π·cos per steradian from its front; a lamp without a normal F/4π.
    """
    squared = np.einsum("ij,ij->i", to_lamp, to_lamp)
    distance = np.sqrt(squared)
    cos_surface = np.einsum("ij,ij->i", surface_normal, to_lamp) / distance
    normal = lights.normal[lamp]
    cos_lamp = -np.einsum("ij,ij->i", normal, to_lamp) / distance
    omni = (np.abs(normal).sum(1) == 0) * np.float32(0.25)
    send = (np.maximum(cos_lamp, 0) + omni) / np.float32(np.pi)
    # Nearer than 0.4 m the point-sample estimate would sparkle; real lamps have an extent.
    fall = np.maximum(cos_surface, 0) * send / np.maximum(squared, np.float32(0.16))
    return lights.flux_rgb[lamp] * (fall / lights.share[lamp])[:, None]
