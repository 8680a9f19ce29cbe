"""Tables, desks and counters."""

from __future__ import annotations

import numpy as np

from .furniture import Furniture, Top
from .materials import MaterialKit
from .mesh import Mesh, box, boxes, cylinder, lathe, merge
from .semantics import FURNITURE, TABLE


def _legs(kit: MaterialKit, width: float, depth: float, height: float, label: int) -> Mesh:
    rng = kit.rng
    material = kit.metal(label) if rng.random() < 0.5 else kit.wood(label)
    leg = rng.uniform(0.03, 0.09)
    half_x, half_y = width / 2 - leg, depth / 2 - leg
    if rng.random() < 0.3:  # T-shaped feet
        feet = [(x, 0, 0.02) for x in (-half_x, half_x)]
        posts = [(x, 0, height / 2) for x in (-half_x, half_x)]
        return merge([boxes(feet, (leg, depth * 0.9, 0.04), material),
                      boxes(posts, (leg, leg * 1.6, height), material)])  # fmt: skip
    corners = [(x, y, height / 2) for x in (-half_x, half_x) for y in (-half_y, half_y)]
    return boxes(corners, (leg, leg, height), material)


def desk(kit: MaterialKit, width: float | None = None) -> Furniture:
    """An office desk: legs or cheeks, perhaps drawers and a back panel."""
    rng = kit.rng
    width = width or rng.uniform(1.1, 2.2)
    depth, height, thick = rng.uniform(0.6, 0.95), rng.uniform(0.68, 0.8), rng.uniform(0.02, 0.05)
    top = kit.hard(TABLE)
    parts = [box((0, 0, height - thick / 2), (width, depth, thick), top)]
    if rng.random() < 0.6:
        parts.append(_legs(kit, width, depth, height - thick, TABLE))
    else:
        cheeks = [(s * (width / 2 - 0.02), 0, (height - thick) / 2) for s in (-1, 1)]
        parts.append(boxes(cheeks, (0.03, depth * 0.95, height - thick), top))
    if rng.random() < 0.4:
        parts.append(
            box((0, depth / 2 - 0.05, height * 0.65), (width * 0.9, 0.02, height * 0.5), top)
        )
    if rng.random() < 0.5:
        side = rng.choice([-1, 1]) * (width / 2 - 0.27)
        body = kit.hard(TABLE)
        tall = height - thick - 0.05
        parts.append(box((side, 0, tall / 2 + 0.02), (0.42, depth * 0.85, tall), body))
        fronts = [(side, -depth * 0.425 - 0.008, tall * (k + 0.5) / 3 + 0.02) for k in range(3)]
        parts.append(boxes(fronts, (0.39, 0.016, tall / 3 - 0.02), body))
        grips = [(x, y - 0.015, z + 0.03) for x, y, z in fronts]
        parts.append(boxes(grips, (0.12, 0.02, 0.012), kit.metal(TABLE)))
    return Furniture(merge(parts), (Top((0, 0, height), (width, depth), "desk"),))


def dining_table(kit: MaterialKit) -> Furniture:
    """A rectangular or round table for a few people."""
    rng = kit.rng
    height, thick = rng.uniform(0.7, 0.78), rng.uniform(0.02, 0.06)
    material = kit.hard(TABLE)
    if rng.random() < 0.4:
        radius = rng.uniform(0.35, 0.75)
        profile = [(0, height - thick), (radius, height - thick), (radius, height), (0, height)]
        parts = [lathe(profile, material, segments=28)]
        foot = [
            (0, 0),
            (radius * 0.6, 0),
            (radius * 0.55, 0.03),
            (0.05, 0.06),
            (0.04, height - thick),
        ]
        parts.append(lathe(foot, kit.metal(TABLE), segments=16))
        return Furniture(
            merge(parts), (Top((0, 0, height), (1.3 * radius, 1.3 * radius), "coffee"),)
        )
    width, depth = rng.uniform(0.8, 2.4), rng.uniform(0.7, 1.1)
    parts = [box((0, 0, height - thick / 2), (width, depth, thick), material)]
    parts.append(_legs(kit, width, depth, height - thick, TABLE))
    use = "desk" if rng.random() < 0.4 else "coffee"
    return Furniture(merge(parts), (Top((0, 0, height), (width, depth), use),))


def coffee_table(kit: MaterialKit) -> Furniture:
    """A low table, perhaps with a second shelf."""
    rng = kit.rng
    width, depth, height = rng.uniform(0.45, 1.3), rng.uniform(0.4, 0.7), rng.uniform(0.3, 0.55)
    material = kit.hard(TABLE)
    parts = [box((0, 0, height - 0.015), (width, depth, 0.03), material)]
    parts.append(_legs(kit, width, depth, height - 0.03, TABLE))
    tops = [Top((0, 0, height), (width, depth), "coffee")]
    if rng.random() < 0.4:
        parts.append(box((0, 0, height * 0.4), (width * 0.9, depth * 0.9, 0.02), material))
        low = Top((0, 0, height * 0.4 + 0.01), (width * 0.8, depth * 0.8), "shelf", height * 0.5)
        tops.append(low)
    return Furniture(merge(parts), tuple(tops))


def counter(kit: MaterialKit) -> Furniture:
    """A kitchen or laboratory counter: cupboards below a worktop, perhaps more on the wall."""
    rng = kit.rng
    width, depth, height = rng.uniform(1.2, 3.6), 0.62, rng.uniform(0.85, 0.95)
    body, top = kit.painted(FURNITURE), kit.stone(FURNITURE)
    doors = max(2, round(width / rng.uniform(0.4, 0.7)))
    x = (np.arange(doors) + 0.5) / doors * width - width / 2
    front = np.stack([x, 0 * x - depth / 2 - 0.01, 0 * x + height / 2], 1)
    grip = kit.metal(FURNITURE)
    parts = [
        box((0, 0.01, height / 2), (width, depth, height - 0.04), body),
        boxes(front, (width / doors - 0.012, 0.02, height - 0.16), body),
        boxes(front + (0, -0.02, height * 0.3), (0.14, 0.02, 0.012), grip),
        box((0, 0, height), (width + 0.02, depth + 0.04, 0.04), top),
    ]
    if rng.random() < 0.5:
        wall = kit.hard(FURNITURE)
        upper = front * (1, 0, 0) + (0, depth / 2 - 0.34, 1.75)
        parts.append(box((0, depth / 2 - 0.16, 1.75), (width, 0.32, 0.7), wall))
        parts.append(boxes(upper, (width / doors - 0.012, 0.02, 0.68), wall))
    if rng.random() < 0.5:
        steel = kit.metal(FURNITURE)
        parts.append(box((width * 0.2, -0.03, height + 0.012), (0.5, 0.4, 0.02), steel))
        parts.append(cylinder((width * 0.2, 0.2, height), 0.015, 0.3, steel))
        parts.append(box((width * 0.2, 0.12, height + 0.3), (0.025, 0.2, 0.025), steel))
    return Furniture(merge(parts), (Top((0, 0, height + 0.02), (width, depth), "coffee", 0.45),))
