"""Chairs, sofas and beds."""

from __future__ import annotations

import numpy as np

from .furniture import Furniture
from .materials import MaterialKit
from .mesh import box, boxes, cylinder, merge, placed, rotation
from .semantics import BED, CHAIR, OBJECTS, SOFA
from .solids import cloth, cushion, limb


def chair(kit: MaterialKit) -> Furniture:
    """A four-legged chair: wooden, plastic or padded; with or without back slats and arms."""
    rng = kit.rng
    frame = kit.metal(CHAIR) if rng.random() < 0.4 else kit.hard(CHAIR)
    shell = (
        frame if rng.random() < 0.4 else (kit.cloth if rng.random() < 0.5 else kit.painted)(CHAIR)
    )
    width, depth, seat = rng.uniform(0.36, 0.52), rng.uniform(0.36, 0.5), rng.uniform(0.4, 0.5)
    leg, back = rng.uniform(0.02, 0.045), rng.uniform(0.3, 0.6)
    half_x, half_y = width / 2 - leg / 2, depth / 2 - leg / 2
    corners = np.array([[x, y, seat / 2] for x in (-half_x, half_x) for y in (-half_y, half_y)])
    parts = [boxes(corners, (leg, leg, seat), frame)]
    if rng.random() < 0.5:
        parts.append(box((0, 0, seat), (width, depth, rng.uniform(0.015, 0.06)), shell))
    else:
        parts.append(cushion((0, 0, seat), (width, depth, 0.07), shell, squareness=0.3))
    tilt = rotation(roll=-rng.uniform(0, 0.25))
    style = rng.random()
    if style < 0.5:
        panel = cushion((0, 0, back * 0.65), (width, 0.04, back * 0.7), shell, squareness=0.25)
        posts = boxes([(-half_x, 0, back / 2), (half_x, 0, back / 2)], (leg, leg, back), frame)
        parts.append(placed(merge([panel, posts]), (0, half_y, seat), tilt))
    else:
        count = int(rng.integers(2, 7))
        x = np.linspace(-half_x, half_x, count)
        slats = boxes(np.stack([x, 0 * x, 0 * x + back / 2], 1), (leg, leg, back), frame)
        rail = box((0, 0, back), (width, leg * 1.1, 0.07), frame)
        parts.append(placed(merge([slats, rail]), (0, half_y, seat), tilt))
    if rng.random() < 0.25:
        arms = [(s * (width / 2), 0, seat + 0.2) for s in (-1, 1)]
        parts.append(boxes(arms, (leg, depth, leg), frame))
        parts.append(boxes([(x, -half_y, seat + 0.1) for x, _, _ in arms], (leg, leg, 0.2), frame))
    return Furniture(merge(parts), seats=((0.0, 0.0, seat + 0.03),))


def office_chair(kit: MaterialKit) -> Furniture:
    """A swivel chair on a five-star base with castors."""
    rng = kit.rng
    frame, pad = kit.metal(CHAIR), kit.cloth(CHAIR)
    seat, width, back = rng.uniform(0.42, 0.55), rng.uniform(0.44, 0.54), rng.uniform(0.4, 0.75)
    parts = [cylinder((0, 0, 0.08), 0.03, seat - 0.08, frame)]
    spoke = limb((0.02, 0, 0.12), (0.29, 0, 0.08), 0.022, frame)
    castor = cushion((0.3, 0, 0.032), (0.05, 0.05, 0.064), frame, squareness=1, rows=7, cols=9)
    foot = merge([spoke, castor])
    parts += [placed(foot, (0, 0, 0), 2 * np.pi * k / 5) for k in range(5)]
    parts.append(cushion((0, 0, seat), (width, width * 0.95, 0.1), pad, squareness=0.35))
    panel = cushion((0, 0, back / 2 + 0.12), (width * 0.92, 0.08, back), pad, squareness=0.35)
    parts.append(placed(panel, (0, width / 2, seat), rotation(roll=-rng.uniform(0.05, 0.25))))
    parts.append(
        limb((0, width * 0.3, seat - 0.05), (0, width / 2 + 0.03, seat + 0.3), 0.02, frame)
    )
    if rng.random() < 0.7:
        arms = [(s * (width / 2 + 0.03), 0, seat + 0.22) for s in (-1, 1)]
        parts.append(boxes(arms, (0.06, 0.26, 0.03), frame))
        posts = [(x, 0.03, seat + 0.1) for x, _, _ in arms]
        parts.append(boxes(posts, (0.03, 0.05, 0.24), frame))
    return Furniture(merge(parts), seats=((0.0, 0.0, seat + 0.05),))


def stool(kit: MaterialKit) -> Furniture:
    """A stool or a pouf."""
    rng = kit.rng
    height, radius = rng.uniform(0.4, 0.78), rng.uniform(0.15, 0.22)
    if rng.random() < 0.3:
        pouf = cushion((0, 0, 0.21), (0.55, 0.55, 0.42), kit.cloth(CHAIR), squareness=0.5)
        return Furniture(pouf)
    frame = kit.metal(CHAIR) if rng.random() < 0.5 else kit.wood(CHAIR)
    parts = [cylinder((0, 0, height - 0.04), radius, 0.04, kit.hard(CHAIR), segments=16)]
    for k in range(int(rng.integers(3, 5))):
        out = np.array([np.cos(k * 1.57 + 0.8), np.sin(k * 1.57 + 0.8), 0]) * radius
        parts.append(limb(out * 1.2, out * 0.7 + (0, 0, height - 0.03), 0.014, frame))
    return Furniture(merge(parts))


def sofa(kit: MaterialKit, seats: int | None = None) -> Furniture:
    """An armchair (one seat) or a sofa, now and then L-shaped, with loose pillows (objects)."""
    rng = kit.rng
    count = seats or int(rng.integers(1, 5))
    cover = kit.cloth(SOFA)
    seat_w, depth = rng.uniform(0.5, 0.75), rng.uniform(0.75, 1.0)
    arm_w, arm_h = rng.uniform(0.08, 0.28), rng.uniform(0.5, 0.7)
    seat_h, back_h, soft = rng.uniform(0.36, 0.48), rng.uniform(0.68, 1.0), rng.uniform(0.2, 0.45)
    width = count * seat_w + 2 * arm_w
    base = box((0, 0, 0.05 + seat_h * 0.35), (width - 0.02, depth - 0.02, seat_h * 0.7), cover)
    feet = [(sx * width / 2.2, sy * depth / 2.3, 0.03) for sx in (-1, 1) for sy in (-1, 1)]
    parts = [base, boxes(feet, (0.05, 0.05, 0.06), kit.wood(SOFA))]
    for sign in (-1, 1):
        at = (sign * (width - arm_w) / 2, 0, arm_h / 2 + 0.03)
        parts.append(cushion(at, (arm_w, depth, arm_h), cover, squareness=soft))
    at = (0, depth / 2 - 0.1, back_h / 2 + 0.05)
    parts.append(cushion(at, (width, 0.22, back_h), cover, squareness=soft))
    places = []
    for k in range(count):
        x = (k - (count - 1) / 2) * seat_w
        size = (seat_w * 0.98, depth - 0.2, 0.2)
        parts.append(cushion((x, -0.1, seat_h - 0.06), size, cover, squareness=soft))
        size = (seat_w * 0.95, 0.2, back_h - seat_h + 0.05)
        at = (x, depth / 2 - 0.26, (seat_h + back_h) / 2 + 0.02)
        parts.append(cushion(at, size, cover, squareness=soft + 0.1))
        places.append((x, -0.05, seat_h + 0.02))
    if count >= 2 and rng.random() < 0.3:
        side = rng.choice([-1, 1]) * (width - seat_w - 2 * arm_w) / 2
        at, size = (side, -depth / 2 - 0.35, seat_h / 2 + 0.02), (seat_w, 0.75, seat_h)
        parts.append(cushion(at, size, cover, squareness=soft))
    for _ in range(int(rng.integers(0, count + 2))):
        pillow = cushion((0, 0, 0), (0.42, 0.14, 0.42), kit.cloth(OBJECTS), squareness=0.5)
        lean = rotation(rng.uniform(-0.6, 0.6), rng.uniform(-0.3, 0.3), -0.35)
        x = rng.uniform(-0.5, 0.5) * max(width - 2 * arm_w - 0.4, 0.05)
        parts.append(placed(pillow, (x, depth / 2 - 0.42, seat_h + 0.24), lean))
    return Furniture(merge(parts), seats=tuple(places))


def bed(kit: MaterialKit) -> Furniture:
    """A bed with its head at the wall: frame, mattress, blanket, pillows (objects)."""
    rng = kit.rng
    width, length = float(rng.choice([0.9, 1.2, 1.5, 1.8])), rng.uniform(1.9, 2.15)
    frame_h, thick = rng.uniform(0.15, 0.4), rng.uniform(0.15, 0.3)
    frame = kit.hard(BED) if rng.random() < 0.7 else kit.cloth(BED)
    top = frame_h + thick
    head = rng.uniform(top, 1.3)
    parts = [box((0, 0, frame_h / 2 + 0.03), (width + 0.06, length, frame_h - 0.04), frame)]
    parts.append(box((0, length / 2, head / 2), (width + 0.1, 0.06, head), frame))
    mattress = (width, length - 0.08, thick + 0.06)
    parts.append(cushion((0, 0, frame_h + thick / 2), mattress, kit.cloth(BED), squareness=0.15))
    cover_l = length * rng.uniform(0.5, 0.85)
    drop = cushion((0, -(length - cover_l) / 2, frame_h + thick / 2 + 0.02),
                   (width + 0.1, cover_l + 0.05, thick + 0.1), blanket := kit.cloth(BED),
                   squareness=0.2)  # fmt: skip
    parts.append(drop)
    rumple = cloth(rng, (width * 0.95, cover_l * 0.95), blanket, relief_m=rng.uniform(0.02, 0.12))
    parts.append(placed(rumple, (0, -(length - cover_l) / 2, top + 0.055)))
    for k in range(1 if width < 1.1 else 2):
        x = (k - 0.5) * width / 2 if width >= 1.1 else 0
        pillow = cushion((0, 0, 0), (min(width * 0.42, 0.65), 0.42, 0.16), kit.cloth(OBJECTS),
                         squareness=0.45)  # fmt: skip
        tilt = rotation(rng.uniform(-0.2, 0.2), 0, rng.uniform(0, 0.7))
        parts.append(placed(pillow, (x, length / 2 - 0.32, top + 0.12), tilt))
    return Furniture(merge(parts))
