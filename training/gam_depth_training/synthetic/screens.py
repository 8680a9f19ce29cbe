"""Televisions, monitors and laptops; the class of every screen is tv."""

from __future__ import annotations

import numpy as np

from .clutter import keyboard, mouse
from .materials import MaterialKit
from .mesh import Mesh, box, cylinder, merge, placed, quad, rotation
from .semantics import OBJECTS, TV


def _display(kit: MaterialKit) -> int:
    """A lit screen, or a dark glossy one."""
    rng = kit.rng
    if rng.random() < 0.55:
        return kit.picture("screen", TV, gloss=0.03, emission=rng.uniform(0.5, 1.8))
    return kit.add("plain", TV, (0.012, 0.012, 0.014), gloss=rng.uniform(0.03, 0.1), roughness=0.02)


def panel(kit: MaterialKit, width_m: float, thick_m: float = 0.04) -> Mesh:
    """A flat screen looking along -y, its lower edge centred on the origin."""
    rng = kit.rng
    height, rim = width_m * rng.uniform(0.54, 0.66), rng.uniform(0.008, 0.03)
    case = kit.add("plain", TV, (0.02,) * 3 if rng.random() < 0.75 else (0.5,) * 3, gloss=0.03)
    body = box((0, 0, height / 2), (width_m, thick_m, height), case)
    glass = quad((-width_m / 2 + rim, -thick_m / 2 - 0.002, rim), (width_m - 2 * rim, 0, 0),
                 (0, 0, height - 2 * rim), _display(kit))  # fmt: skip
    return merge([body, glass])


def monitor(kit: MaterialKit) -> Mesh:
    """A desktop monitor on its stand, standing at z = 0."""
    rng = kit.rng
    width, lift = rng.uniform(0.38, 0.72), rng.uniform(0.06, 0.2)
    stand = kit.add("plain", TV, (0.03,) * 3 if rng.random() < 0.7 else (0.45,) * 3, gloss=0.04)
    tilt = rotation(roll=rng.uniform(-0.25, 0.05))
    parts = [placed(panel(kit, width, rng.uniform(0.03, 0.07)), (0, 0, lift), tilt)]
    if rng.random() < 0.5:
        parts.append(cylinder((0, 0.06, 0), width * 0.24, 0.015, stand, segments=18))
    else:
        parts.append(box((0, 0.06, 0.008), (width * 0.5, 0.2, 0.016), stand))
    parts.append(box((0, 0.07, (lift + 0.15) / 2), (0.06, 0.03, lift + 0.15), stand))
    return merge(parts)


def television(kit: MaterialKit) -> Mesh:
    """A large flat television on feet."""
    rng = kit.rng
    width = rng.uniform(0.8, 1.6)
    feet = kit.metal(TV)
    parts = [placed(panel(kit, width, 0.05), (0, 0, 0.06))]
    parts += [box((s * width / 3, 0, 0.03), (0.03, 0.22, 0.06), feet) for s in (-1, 1)]
    return merge(parts)


def laptop(kit: MaterialKit) -> Mesh:
    """An open laptop: base and keys are objects, the lid is tv."""
    rng = kit.rng
    width = rng.uniform(0.3, 0.38)
    depth = width * 0.68
    case = kit.add("plain", OBJECTS, (0.5,) * 3 if rng.random() < 0.5 else (0.03,) * 3)
    keys = kit.picture("keyboard", OBJECTS)
    lid = placed(panel(kit, width, 0.012), (0, 0, 0), rotation(roll=-rng.uniform(0.1, 0.5)))
    return merge(
        [
            box((0, 0, 0.01), (width, depth, 0.018), case),
            quad(
                (-width * 0.45, -depth * 0.1, 0.0202),
                (width * 0.9, 0, 0),
                (0, depth * 0.5, 0),
                keys,
            ),
            placed(lid, (0, depth / 2, 0.012)),
        ]
    )


def workplace(kit: MaterialKit) -> list[tuple[Mesh, float, float, float]]:
    """Screens, keyboard and mouse of one person: (mesh, x, y, yaw) on a desk seen from -y."""
    rng = kit.rng
    items: list[tuple[Mesh, float, float, float]] = []
    screens = int(rng.choice([1, 1, 2, 2, 3]))
    offset = rng.uniform(-0.15, 0.15)
    for k in range(screens):
        x = offset + (k - (screens - 1) / 2) * rng.uniform(0.55, 0.68)
        items.append((monitor(kit), x, 0.16 + rng.uniform(-0.05, 0.05), -x * rng.uniform(0, 0.8)))
    if rng.random() < 0.35:
        items.append((laptop(kit), offset + rng.choice([-0.5, 0.5]), -0.05, rng.uniform(-0.5, 0.5)))
    items.append((keyboard(kit), offset + rng.normal(0, 0.08), -0.15, rng.normal(0, 0.15)))
    items.append((mouse(kit), offset + rng.uniform(0.28, 0.4), -0.14, rng.uniform(0, np.pi)))
    return items
