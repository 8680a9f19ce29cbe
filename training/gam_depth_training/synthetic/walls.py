"""What hangs on walls and ceilings: pictures, posters, boards, clocks, lights, beams, radiators."""

from __future__ import annotations

import numpy as np

from .lighting import Lamp
from .materials import MaterialKit
from .mesh import Mesh, box, boxes, cylinder, lathe, merge, placed, quad
from .screens import panel
from .semantics import CEILING, LAMP, OBJECTS, PICTURE, WALL

Hanging = tuple[Mesh, float, float]


def picture(kit: MaterialKit) -> Hanging:
    """A framed picture or a bare poster, with its width and height."""
    rng = kit.rng
    width, height = rng.uniform(0.25, 1.6), rng.uniform(0.25, 1.2)
    art = kit.picture(str(rng.choice(["photo", "poster", "paper"], p=[0.45, 0.45, 0.1])), PICTURE,
                      gloss=0.04 if rng.random() < 0.3 else 0.0)  # fmt: skip
    if rng.random() < 0.3:
        flat = quad((-width / 2, -0.004, -height / 2), (width, 0, 0), (0, 0, height), art)
        return flat, width, height
    rim, deep = rng.uniform(0.015, 0.06), rng.uniform(0.015, 0.04)
    frame = kit.hard(PICTURE)
    centers = [(s * (width + rim) / 2, -deep / 2, 0) for s in (-1, 1)]
    centers += [(0, -deep / 2, s * (height + rim) / 2) for s in (-1, 1)]
    sizes = [(rim, deep, height + 2 * rim)] * 2 + [(width, deep, rim)] * 2
    flat = quad((-width / 2, -0.008, -height / 2), (width, 0, 0), (0, 0, height), art)
    return merge([flat, boxes(centers, sizes, frame)]), width + 2 * rim, height + 2 * rim


def notice_board(kit: MaterialKit) -> Hanging:
    """A board full of sheets: class picture."""
    rng = kit.rng
    width, height = rng.uniform(0.8, 2.6), rng.uniform(0.7, 1.4)
    board = kit.cloth(PICTURE) if rng.random() < 0.5 else kit.painted(PICTURE)
    parts = [box((0, -0.01, 0), (width, 0.02, height), board)]
    for k in range(int(rng.integers(3, 18))):
        w, h = rng.uniform(0.1, 0.35, 2)
        x = rng.uniform(-0.5, 0.5) * (width - w) - w / 2
        z = rng.uniform(-0.5, 0.5) * (height - h) - h / 2
        art = kit.picture(str(rng.choice(["poster", "paper", "photo"])), PICTURE)
        parts.append(quad((x, -0.022 - 0.0008 * k, z), (w, 0, 0), (0, 0, h), art))
    return merge(parts), width, height


def white_board(kit: MaterialKit) -> Hanging:
    """A glossy white (or green) board: class objects."""
    rng = kit.rng
    width, height = rng.uniform(1.0, 3.0), rng.uniform(0.8, 1.3)
    tint = (0.8, 0.82, 0.83) if rng.random() < 0.8 else (0.03, 0.12, 0.06)
    face = kit.add("plain", OBJECTS, tint, gloss=0.06, roughness=0.08)
    rim = kit.metal(OBJECTS)
    parts = [box((0, -0.015, 0), (width, 0.03, height), rim)]
    flat = quad((-width / 2 + 0.02, -0.032, -height / 2 + 0.02), (width - 0.04, 0, 0),
                (0, 0, height - 0.04), face)  # fmt: skip
    parts += [flat, box((0, -0.06, -height / 2), (width * 0.5, 0.09, 0.02), rim)]
    return merge(parts), width, height


def wall_screen(kit: MaterialKit) -> Hanging:
    """A television on the wall."""
    width = kit.rng.uniform(0.8, 1.7)
    height = width * 0.66
    return placed(panel(kit, width, 0.06), (0, -0.05, -height / 2)), width, height


def clutter_on_wall(kit: MaterialKit) -> Hanging:
    """Sockets, switches, a clock, a duct or hooks with clothes: class objects, small."""
    rng = kit.rng
    pick = rng.random()
    if pick < 0.5:
        plate = kit.add("plain", OBJECTS, (0.75, 0.75, 0.72))
        return box((0, -0.006, 0), (0.08, 0.012, 0.12), plate), 0.1, 0.14
    if pick < 0.75:
        face = kit.add("plain", OBJECTS, (0.85,) * 3)
        radius = rng.uniform(0.1, 0.2)
        disc = [(0, 0), (radius, 0), (radius, 0.03), (0, 0.03)]
        turned = lathe(disc, face, segments=20)
        forward = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)
        return placed(turned, (0, 0, 0), forward), 2 * radius, 2 * radius
    duct = kit.painted(OBJECTS)
    return box((0, -0.03, 0), (0.06, 0.06, 1.2), duct), 0.1, 1.2


def radiator(kit: MaterialKit) -> Mesh:
    """A ribbed radiator standing before a wall at y = 0 (class objects)."""
    rng = kit.rng
    width, height = rng.uniform(0.6, 1.6), rng.uniform(0.4, 0.7)
    count = int(width / 0.06)
    x = (np.arange(count) + 0.5) / count * width - width / 2
    ribs = np.stack([x, 0 * x - 0.08, 0 * x + 0.12 + height / 2], 1)
    white = kit.add("plain", OBJECTS, (0.8, 0.8, 0.76), gloss=0.03)
    return boxes(ribs, (0.045, 0.1, height), white)


def ceiling_lights(kit: MaterialKit, size_m: tuple[float, float], height_m: float,
                   warmth: float) -> tuple[list[Mesh], list[Lamp]]:  # fmt: skip
    """Panels, tubes, spots or a pendant under a ceiling centred on the origin."""
    rng = kit.rng
    colour = np.array([1 + 0.35 * warmth, 1.0, 1 - 0.45 * warmth], np.float32)
    glow = kit.add("plain", CEILING, tuple(colour.clip(0, 1)), emission=rng.uniform(3, 8))
    style = str(rng.choice(["panels", "tubes", "spots", "pendant"], p=[0.4, 0.25, 0.15, 0.2]))
    if style == "pendant":
        return _pendants(kit, size_m, height_m, colour)
    w, d = {"panels": (0.6, 0.6), "tubes": (0.16, 1.25), "spots": (0.13, 0.13)}[style]
    pitch = {"panels": 2.4, "tubes": 2.2, "spots": 1.3}[style] * rng.uniform(0.8, 1.4)
    nx, ny = (max(1, min(6, int(side / pitch))) for side in size_m)
    meshes, lamps = [], []
    drop = rng.uniform(0.0, 0.5) if style == "tubes" and height_m > 2.6 else 0.0
    z = height_m - 0.012 - drop
    for i in range(nx):
        for j in range(ny):
            x, y = ((i + 0.5) / nx - 0.5) * size_m[0], ((j + 0.5) / ny - 0.5) * size_m[1]
            meshes.append(quad((x - w / 2, y - d / 2, z), (0, d, 0), (w, 0, 0), glow))
            if drop:
                case = kit.metal(LAMP)
                meshes.append(box((x, y, z + 0.04), (w + 0.03, d + 0.03, 0.07), case))
            lamps.append(
                Lamp((x, y, z - 0.02), (w / 2, 0, 0), (0, d / 2, 0), (0, 0, -1), tuple(colour))
            )
    return meshes, lamps


def _pendants(kit: MaterialKit, size_m: tuple[float, float], height_m: float,
              colour: np.ndarray) -> tuple[list[Mesh], list[Lamp]]:  # fmt: skip
    rng = kit.rng
    shade = kit.add("plain", LAMP, kit.any_tint(0.6))
    bulb = kit.add("plain", LAMP, tuple(colour.clip(0, 1)), emission=6.0)
    count = 1 if max(size_m) < 5 else int(rng.integers(1, 4))
    meshes, lamps = [], []
    for k in range(count):
        x = ((k + 0.5) / count - 0.5) * size_m[0]
        # Heads pass below, except in a room too low for that.
        z = height_m - rng.uniform(0.3, max(0.3, min(1.0, height_m - 1.9)))
        r = rng.uniform(0.12, 0.3)
        hood = lathe([(r, z), (r * 0.3, z + r * 0.8)], shade, segments=18)
        cord = cylinder((0, 0, z + r * 0.7), 0.006, height_m - z - r * 0.7, shade, segments=5)
        light = cylinder((0, 0, z), 0.05, 0.08, bulb)
        meshes.append(placed(merge([hood, cord, light]), (x, 0, 0)))
        lamps.append(Lamp((x, 0, z - 0.06), (0.08, 0, 0), (0, 0.08, 0), (0, 0, 0), tuple(colour)))
    return meshes, lamps


def ceiling_structure(kit: MaterialKit, size_m: tuple[float, float], height_m: float) -> list[Mesh]:
    """Now and then beams or ducts under a ceiling centred on the origin."""
    rng = kit.rng
    pick = rng.random()
    if height_m < 2.5 or pick > 0.3:
        return []
    if pick < 0.15:
        wood, count = kit.wood(CEILING), max(2, int(size_m[0] / 1.2))
        x = (np.arange(count) + 0.5) / count * size_m[0] - size_m[0] / 2
        beams = np.stack([x, 0 * x, 0 * x + height_m - 0.08], 1)
        return [boxes(beams, (0.12, size_m[1], 0.16), wood)]
    duct = kit.metal(CEILING)
    at = rng.uniform(-0.4, 0.4) * size_m[1]
    return [box((0, at, height_m - 0.25), (size_m[0] - 0.02, 0.4, 0.3), duct)]


def pillar(kit: MaterialKit, height_m: float, finish_wall: int) -> Mesh:
    """A square or round column from floor to ceiling; class wall."""
    rng = kit.rng
    width = rng.uniform(0.25, 0.7)
    skin = (
        finish_wall if rng.random() < 0.5 else kit.add("plain", WALL, kit.any_tint(0.4), repeat_m=2)
    )
    if rng.random() < 0.3:
        return cylinder((0, 0, 0.0), width / 2, height_m, skin, segments=24)
    base = kit.painted(WALL)
    return merge([box((0, 0, height_m / 2), (width, width, height_m), skin),
                  box((0, 0, 0.05), (width + 0.03, width + 0.03, 0.1), base)])  # fmt: skip
