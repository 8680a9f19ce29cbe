"""People-like figures, seated or standing, made of limbs and cushions; class objects."""

from __future__ import annotations

import numpy as np

from .materials import MaterialKit, hsv
from .mesh import Mesh, merge
from .semantics import PERSON
from .solids import cushion, limb


def _clothing(kit: MaterialKit) -> tuple[int, int, int, int, int]:
    """Materials of skin, shirt, trousers, shoes and hair."""
    rng = kit.rng
    skin = hsv(rng.uniform(0.03, 0.09), rng.uniform(0.3, 0.6), rng.uniform(0.3, 0.95))
    hair = hsv(rng.uniform(0.02, 0.12), rng.uniform(0, 0.6), rng.uniform(0.05, 0.6))
    return (
        kit.add("plain", PERSON, skin),
        kit.cloth(PERSON),
        kit.cloth(PERSON),
        kit.painted(PERSON),
        kit.add("leather", PERSON, hair, repeat_m=0.1),
    )


def _upper_body(kit: MaterialKit, hip: np.ndarray, reach: float) -> list[Mesh]:
    """Torso, head and arms above a hip; ``reach`` 0 hangs the arms, 1 stretches them to -y."""
    rng = kit.rng
    skin, shirt, _, _, hair = _clothing(kit)
    lean = rng.normal(0, 0.05, 2)
    chest = hip + (lean[0], lean[1], 0.32)
    neck = chest + (0, 0, 0.27)
    head = neck + (0, -0.02, 0.13)
    parts = [
        cushion((hip + chest) / 2 + (0, 0, 0.02), (0.34, 0.24, 0.48), shirt, squareness=0.6),
        cushion(chest + (0, 0, 0.08), (0.44, 0.24, 0.34), shirt, squareness=0.7),
        limb(neck - (0, 0, 0.08), neck + (0, 0, 0.04), 0.055, skin),
        cushion(head, (0.16, 0.2, 0.24), skin, squareness=0.95),
        cushion(head + (0, 0.02, 0.04), (0.175, 0.2, 0.19), hair, squareness=0.95),
    ]
    for side in (-1, 1):
        shoulder = chest + (side * 0.21, 0, 0.17)
        elbow = shoulder + (side * 0.06, -0.12 * reach, -0.28)
        hand = elbow + (-side * 0.05 * reach, -0.26 * reach - 0.02, -0.24 * (1 - reach))
        hand += rng.normal(0, 0.03, 3)
        parts += [limb(shoulder, elbow, 0.05, shirt), limb(elbow, hand, 0.038, skin),
                  cushion(hand, (0.08, 0.1, 0.06), skin, squareness=0.9)]  # fmt: skip
    return parts


def _leg(
    top: np.ndarray, knee: np.ndarray, foot: np.ndarray, trousers: int, shoes: int
) -> list[Mesh]:
    """Thigh, shin and shoe."""
    shoe = cushion(foot + (0, -0.06, -0.015), (0.1, 0.26, 0.09), shoes, squareness=0.6)
    return [limb(top, knee, 0.078, trousers), limb(knee, foot, 0.058, trousers), shoe]


def seated_person(kit: MaterialKit, seat_height_m: float) -> Mesh:
    """A person on a seat at the origin, looking along -y."""
    rng = kit.rng
    hip = np.array([0, 0.05, seat_height_m + 0.1])
    parts = _upper_body(kit, hip, rng.uniform(0.4, 1.0))
    _, _, trousers, shoes, _ = _clothing(kit)
    for side in (-1, 1):
        top = hip + (side * 0.1, 0, -0.02)
        knee = top + (side * rng.uniform(0, 0.1), -0.42, 0.02)
        foot = np.array([knee[0], knee[1] - rng.uniform(-0.15, 0.12), 0.06])
        parts += _leg(top, knee, foot, trousers, shoes)
    return merge(parts)


def standing_person(kit: MaterialKit) -> Mesh:
    """A person standing or walking, looking along -y."""
    rng = kit.rng
    hip = np.array([0, 0, rng.uniform(0.82, 0.98)])
    parts = _upper_body(kit, hip, rng.uniform(0, 0.5))
    _, _, trousers, shoes, _ = _clothing(kit)
    stride = rng.normal(0, 0.15)
    for side in (-1, 1):
        top = hip + (side * 0.09, 0, 0)
        foot = np.array([side * 0.11, side * stride, 0.06])
        knee = (top + foot) / 2 + (0, -0.03 - 0.2 * abs(stride), 0)
        parts += _leg(top, knee, foot, trousers, shoes)
    return merge(parts)
