"""Small things: cups, bottles, cartons, paper, books, plants, lamps, bags, cables, toys, bins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .materials import MaterialKit, hsv
from .mesh import Mesh, box, boxes, cylinder, lathe, merge, placed, quad, rotation
from .semantics import BOOKS, LAMP, OBJECTS
from .solids import ball, bent_path, cloth, cushion, limb, tube


def cup(kit: MaterialKit) -> Mesh:
    """A mug or a glass with a hollow inside."""
    rng = kit.rng
    r, h = rng.uniform(0.03, 0.05), rng.uniform(0.07, 0.13)
    profile = [(0, 0), (r * 0.85, 0), (r, h), (r * 0.88, h), (r * 0.75, 0.01), (0, 0.01)]
    body = lathe(profile, glaze := kit.painted(OBJECTS), segments=14)
    if rng.random() < 0.6:
        turn = np.linspace(-1.4, 1.4, 7)
        ear = np.stack([r + 0.028 * np.cos(turn), 0 * turn, h / 2 + 0.03 * np.sin(turn)], 1)
        return merge([body, tube(ear, 0.005, glaze, segments=5)])
    return body


def bottle(kit: MaterialKit) -> Mesh:
    """Any turned vessel: bottle, can, vase, jar."""
    rng = kit.rng
    r, h = rng.uniform(0.025, 0.06), rng.uniform(0.1, 0.33)
    neck = rng.uniform(0.25, 1.0)
    label = kit.add("packaging", OBJECTS, repeat_m=rng.uniform(0.1, 0.3), gloss=0.04)
    glass = kit.add("plain", OBJECTS, kit.any_tint(), gloss=rng.uniform(0.03, 0.15), roughness=0.05)
    low = lathe([(0, 0), (r, 0.004), (r, h * 0.55)], label if rng.random() < 0.7 else glass)
    high = lathe([(r, h * 0.55), (r * 0.95, h * 0.65), (r * neck * 0.6, h * 0.85),
                  (r * neck * 0.6, h), (0, h)], glass)  # fmt: skip
    return merge([low, high])


def carton(kit: MaterialKit, scale: float = 1.0) -> Mesh:
    """A box of cardboard, printed or plain."""
    rng = kit.rng
    size = rng.uniform(0.04, 0.28, 3) * scale
    if rng.random() < 0.6:
        skin = kit.add("packaging", OBJECTS, repeat_m=float(size.max()) * rng.uniform(0.7, 1.5))
    else:
        tint = hsv(0.08, 0.5, rng.uniform(0.5, 0.8)) if rng.random() < 0.5 else kit.any_tint()
        skin = kit.add("plain", OBJECTS, tint)
    return box((0, 0, size[2] / 2), size, skin)


def paper(kit: MaterialKit) -> Mesh:
    """One to four sheets on top of each other."""
    rng = kit.rng
    parts = []
    for k in range(int(rng.integers(1, 5))):
        sheet = kit.picture("paper" if rng.random() < 0.85 else "poster", OBJECTS)
        w, h = (0.21, 0.297) if rng.random() < 0.8 else (0.15, 0.21)
        flat = quad((-w / 2, -h / 2, 0.002 + 0.001 * k), (w, 0, 0), (0, h, 0), sheet)
        parts.append(placed(flat, (*rng.normal(0, 0.04, 2), 0), rng.normal(0, 0.4)))
    return merge(parts)


def book(kit: MaterialKit) -> Mesh:
    """A lying book or a pile of them; class books."""
    rng = kit.rng
    parts, z = [], 0.0
    for _ in range(int(rng.choice([1, 1, 2, 3, 5]))):
        w, h, t = rng.uniform(0.12, 0.23), rng.uniform(0.18, 0.3), rng.uniform(0.01, 0.05)
        yaw = rng.normal(0, 0.25)
        pages = kit.add("plain", BOOKS, (0.8, 0.78, 0.7))
        front = kit.picture("cover" if rng.random() < 0.7 else "poster", BOOKS)
        parts.append(box((0, 0, z + t / 2), (w, h, t), pages, yaw))
        top = quad((-w / 2, -h / 2, 0.0015), (w, 0, 0), (0, h, 0), front)
        parts.append(placed(top, (0, 0, z + t), yaw))
        z += t + 0.002
    return merge(parts)


def keyboard(kit: MaterialKit) -> Mesh:
    """A computer keyboard."""
    rng = kit.rng
    w, d = rng.uniform(0.3, 0.46), rng.uniform(0.13, 0.17)
    case = kit.add("plain", OBJECTS, (0.03,) * 3 if rng.random() < 0.6 else (0.6,) * 3)
    keys = quad((-w * 0.49, -d * 0.47, 0.0215), (w * 0.98, 0, 0), (0, d * 0.94, 0.001),
                kit.picture("keyboard", OBJECTS))  # fmt: skip
    return merge([box((0, 0, 0.01), (w, d, 0.02), case), keys])


def mouse(kit: MaterialKit) -> Mesh:
    """A computer mouse."""
    return cushion((0, 0, 0.016), (0.06, 0.11, 0.035), kit.painted(OBJECTS), squareness=0.7)


def plant(kit: MaterialKit, scale: float = 1.0) -> Mesh:
    """A pot with leaves."""
    rng = kit.rng
    r, h = 0.07 * scale, 0.13 * scale
    pot = lathe([(0, 0), (r * 0.7, 0), (r, h), (r * 0.85, h), (0, h * 0.85)], kit.hard(OBJECTS))
    leaf = kit.add("leather", OBJECTS, hsv(rng.uniform(0.2, 0.38), rng.uniform(0.4, 0.8),
                                           rng.uniform(0.25, 0.7)), repeat_m=0.1)  # fmt: skip
    parts = [pot]
    slim, long = rng.uniform(0.1, 0.5), rng.uniform(0.15, 0.45) * scale
    blade = cushion(
        (0, 0, long / 2), (long * slim, 0.008, long), leaf, squareness=1, rows=5, cols=7
    )
    for _ in range(int(rng.integers(8, 26))):
        turn = rotation(rng.uniform(0, 6.3), rng.normal(0, 0.3), rng.normal(0, 0.6))
        parts.append(placed(blade, (0, 0, h + rng.uniform(0, 0.25) * scale), turn))
    return merge(parts)


def desk_lamp(kit: MaterialKit) -> Mesh:
    """A lamp on a table: a shade, sometimes lit."""
    rng = kit.rng
    frame = kit.metal(LAMP)
    height, r = rng.uniform(0.25, 0.55), rng.uniform(0.07, 0.17)
    glow = rng.uniform(1.5, 5) if rng.random() < 0.6 else 0.0
    shade = kit.add("plain", LAMP, hsv(rng.uniform(0.05, 0.15), 0.25, 0.95), emission=glow)
    hood = [(r, height), (r * rng.uniform(0.4, 1), height + r * 1.3)]
    foot = cylinder((0, 0, 0), r * 0.7, 0.02, frame)
    pole = cylinder((0, 0, 0), 0.012, height, frame)
    return merge([foot, pole, lathe(hood, shade, segments=16)])


def toy(kit: MaterialKit) -> Mesh:
    """A few balls, blocks and cushions stuck together: toys, tools, gamepads, fruit."""
    rng = kit.rng
    parts = []
    for _ in range(int(rng.integers(1, 6))):
        size = rng.uniform(0.03, 0.11, 3)
        at = np.array([*rng.normal(0, 0.045, 2), size[2] / 2])
        shape = cushion if rng.random() < 0.6 else box
        parts.append(shape(at, size, kit.painted(OBJECTS), yaw=rng.uniform(0, 3.1)))
    return merge(parts)


def pens(kit: MaterialKit) -> Mesh:
    """A holder with pens, or loose pens."""
    rng = kit.rng
    parts = [cup(kit)]
    for _ in range(int(rng.integers(2, 7))):
        lean = np.array([*rng.normal(0, 0.02, 2), 0.15])
        parts.append(limb((0, 0, 0.01), lean, 0.004, kit.painted(OBJECTS)))
    return merge(parts)


def cable(kit: MaterialKit) -> Mesh:
    """A cable lying about."""
    rng = kit.rng
    end = (*rng.uniform(-0.45, 0.45, 2), 0.005)
    path = bent_path(rng, (*rng.uniform(-0.3, 0.3, 2), 0.005), end, rng.uniform(0.03, 0.15), 24)
    tint = (0.01,) * 3 if rng.random() < 0.6 else kit.any_tint()
    return tube(path, rng.uniform(0.002, 0.005), kit.add("plain", OBJECTS, tint), segments=5)


def rag(kit: MaterialKit) -> Mesh:
    """Clothing or a towel, crumpled."""
    rng = kit.rng
    size = rng.uniform(0.2, 0.6, 2)
    return cloth(rng, size, kit.cloth(OBJECTS), relief_m=rng.uniform(0.03, 0.12))


def phone(kit: MaterialKit) -> Mesh:
    """A flat gadget, or a desk telephone."""
    rng = kit.rng
    body = kit.painted(OBJECTS)
    if rng.random() < 0.5:
        return box((0, 0, 0.005), (0.07, 0.14, 0.01), body)
    keys = quad(
        (-0.03, -0.08, 0.0415), (0.11, 0, 0), (0, 0.14, 0.01), kit.picture("keyboard", OBJECTS)
    )
    return merge([box((0, 0, 0.02), (0.19, 0.21, 0.04), body), keys,
                  cushion((-0.065, 0, 0.055), (0.05, 0.2, 0.04), body)])  # fmt: skip


def bag(kit: MaterialKit) -> Mesh:
    """A rucksack, a bag or a sack on the floor."""
    rng = kit.rng
    w, d, h = rng.uniform(0.25, 0.5), rng.uniform(0.15, 0.3), rng.uniform(0.25, 0.55)
    skin = kit.cloth(OBJECTS)
    strap = [(-w / 5, 0, h * 0.92), (0, 0, h * 1.15), (w / 5, 0, h * 0.92)]
    return merge([cushion((0, 0, h / 2), (w, d, h), skin, squareness=0.5),
                  cushion((0, -d / 2, h * 0.3), (w * 0.8, d * 0.4, h * 0.45), skin, squareness=0.5),
                  tube(strap, 0.012, skin)])  # fmt: skip


def bin_(kit: MaterialKit) -> Mesh:
    """A waste bin or a bucket, open at the top."""
    rng = kit.rng
    r, h = rng.uniform(0.11, 0.22), rng.uniform(0.25, 0.65)
    profile = [(0, 0), (r * 0.8, 0), (r, h), (r * 0.94, h), (r * 0.75, 0.02), (0, 0.02)]
    return lathe(profile, kit.painted(OBJECTS), segments=18)


def floor_lamp(kit: MaterialKit) -> Mesh:
    """A standing lamp with a shade, sometimes lit."""
    rng = kit.rng
    frame, h, r = kit.metal(LAMP), rng.uniform(1.2, 1.7), rng.uniform(0.12, 0.25)
    glow = rng.uniform(2, 6) if rng.random() < 0.6 else 0.0
    shade = kit.add("plain", LAMP, hsv(rng.uniform(0.05, 0.15), 0.2, 0.95), emission=glow)
    hood = lathe([(r, h), (r * rng.uniform(0.5, 1), h + 0.28)], shade, segments=18)
    foot = cylinder((0, 0, 0), 0.14, 0.025, frame)
    return merge([foot, cylinder((0, 0, 0), 0.012, h + 0.1, frame), hood])


def wheeled_base(kit: MaterialKit) -> Mesh:
    """A black tripod or trolley base with castors and a pole, as stands in laboratories."""
    rng = kit.rng
    dark = kit.add("plain", OBJECTS, (rng.uniform(0.01, 0.05),) * 3, gloss=0.03, roughness=0.2)
    height, reach = rng.uniform(0.25, 1.6), rng.uniform(0.25, 0.5)
    parts = [cylinder((0, 0, 0.1), rng.uniform(0.02, 0.07), height, dark)]
    for k in range(int(rng.integers(3, 6))):
        out = np.array([np.cos(k * 1.35), np.sin(k * 1.35), 0]) * reach
        parts.append(limb((0, 0, 0.16), out + (0, 0, 0.1), rng.uniform(0.02, 0.035), dark))
        parts.append(ball(out + (0, 0, 0.035), 0.035, dark))
        parts.append(cylinder(out + (0, 0, 0.09), 0.012, 0.07, dark))
        parts.append(cylinder(out + (0, 0, 0.15), 0.03, 0.02, dark))
    parts.append(box((0, 0, height * 0.7), rng.uniform(0.06, 0.25, 3), kit.painted(OBJECTS)))
    return merge(parts)


def crate(kit: MaterialKit) -> Mesh:
    """An open box with things in it."""
    rng = kit.rng
    w, d, h, t = rng.uniform(0.25, 0.55), rng.uniform(0.2, 0.4), rng.uniform(0.12, 0.35), 0.012
    wall = kit.painted(OBJECTS) if rng.random() < 0.6 else kit.wood(OBJECTS)
    sides = [
        (0, 0, t / 2),
        (-w / 2, 0, h / 2),
        (w / 2, 0, h / 2),
        (0, -d / 2, h / 2),
        (0, d / 2, h / 2),
    ]
    sizes = [(w, d, t), (t, d, h), (t, d, h), (w, t, h), (w, t, h)]
    parts = [boxes(sides, sizes, wall)]
    for _ in range(int(rng.integers(0, 4))):
        spot = (*rng.uniform(-0.25, 0.25, 2) * (w, d), t)
        parts.append(placed(toy(kit), spot, rng.uniform(0, 6.3)))
    return merge(parts)


Maker = Callable[[MaterialKit], Mesh]

_VARIANTS = 4

ON_DESKS: tuple[tuple[Maker, float], ...] = (
    (paper, 5), (book, 4), (cup, 3), (bottle, 2), (carton, 2), (pens, 1.5), (cable, 2.5), (toy, 3),
    (phone, 1.5), (keyboard, 0.7), (mouse, 0.5), (plant, 0.7), (desk_lamp, 0.7), (rag, 0.5),
)  # fmt: skip
ON_TABLES: tuple[tuple[Maker, float], ...] = (
    (paper, 1), (book, 2), (cup, 3), (bottle, 3), (carton, 2), (plant, 1.5), (desk_lamp, 0.7),
    (toy, 2), (rag, 1), (phone, 0.5), (crate, 0.3),
)  # fmt: skip
ON_SHELVES: tuple[tuple[Maker, float], ...] = (
    (book, 3), (bottle, 2), (carton, 4), (plant, 1), (toy, 2), (cup, 1), (crate, 0.7),
)  # fmt: skip
ON_FLOORS: tuple[tuple[Maker, float], ...] = (
    (bag, 2), (bin_, 1.5), (toy, 2), (crate, 1.5), (cable, 1.5), (rag, 1), (wheeled_base, 1.5),
    (floor_lamp, 1.5), (book, 0.7), (carton, 2),
)  # fmt: skip


def pick(kit: MaterialKit, choices: tuple[tuple[Maker, float], ...]) -> Mesh:
    """One random thing of a weighted list; a room has at most a few variants of each."""
    weights = np.array([weight for _, weight in choices])
    maker = choices[int(kit.rng.choice(len(choices), p=weights / weights.sum()))][0]
    made = kit.made.setdefault(maker, [])
    if len(made) >= _VARIANTS:
        return made[int(kit.rng.integers(len(made)))]
    made.append(maker(kit))
    return made[-1]
