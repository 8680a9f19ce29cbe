"""What fills the holes of walls: windows, curtains, doors, passages, glazed partitions."""

from __future__ import annotations

import numpy as np

from .layout import Finish, Opening, Room, wall_frame
from .materials import MaterialKit
from .mesh import Mesh, box, boxes, merge, placed, quad, rotation, sheet
from .semantics import DOOR, WINDOW


def fill_opening(kit: MaterialKit, room: Room, opening: Opening, finish: Finish,
                 thickness_m: float) -> Mesh:  # fmt: skip
    """Reveal, frame, pane, leaf or mullions of one opening, in the room's frame."""
    origin, along, _, _ = wall_frame(room, opening.wall)
    yaw = float(np.arctan2(along[1], along[0]))
    base = origin + opening.start_m * along
    width, low, high = opening.width_m, opening.bottom_m, opening.top_m
    # Local frame: x along the wall, y outwards, z up, origin at the opening's left end.
    wall = finish.walls[opening.wall]
    t, tall = thickness_m, high - low
    reveal = [
        quad((0, 0, low), (0, t, 0), (0, 0, tall), wall, unit_uv=False),
        quad((width, t, low), (0, -t, 0), (0, 0, tall), wall, unit_uv=False),
        quad((0, t, high), (width, 0, 0), (0, -t, 0), wall, unit_uv=False),
        quad((0, 0, low), (width, 0, 0), (0, t, 0),
             finish.floor if low == 0 else finish.trim, unit_uv=False),
    ]  # fmt: skip
    fill = {"window": _window, "door": _door, "passage": _passage, "glazing": _glazing}
    parts = reveal + fill[opening.kind](kit, width, low, high, t, finish)
    return placed(merge(parts), base, yaw)


def _frame(width: float, low: float, high: float, y: float, bar: float, material: int) -> Mesh:
    """Four bars around an opening."""
    tall = high - low
    centers = [(bar / 2, y, low + tall / 2), (width - bar / 2, y, low + tall / 2),
               (width / 2, y, high - bar / 2), (width / 2, y, low + bar / 2)]  # fmt: skip
    sizes = [(bar, 0.06, tall), (bar, 0.06, tall), (width, 0.06, bar), (width, 0.06, bar)]
    return boxes(centers, sizes, material)


def _grid(width: float, low: float, high: float, y: float, cols: int, rows: int,
          material: int) -> list[Mesh]:  # fmt: skip
    parts = []
    for k in range(1, cols):
        at = (width * k / cols, y, (low + high) / 2)
        parts.append(box(at, (0.04, 0.05, high - low), material))
    for k in range(1, rows):
        at = (width / 2, y, low + (high - low) * k / rows)
        parts.append(box(at, (width, 0.05, 0.04), material))
    return parts


def _window(kit: MaterialKit, width: float, low: float, high: float, t: float,
            finish: Finish) -> list[Mesh]:  # fmt: skip
    rng = kit.rng
    bar = kit.painted(WINDOW)
    glow = rng.uniform(0.05, 0.3) if rng.random() < 0.2 else rng.uniform(1.2, 4.0)
    pane = kit.picture("outdoor", WINDOW, gloss=0.03, emission=glow)
    y = t * 0.7
    parts = [quad((0, y, low), (width, 0, 0), (0, 0, high - low), pane),
             _frame(width, low, high, y - 0.02, rng.uniform(0.04, 0.09), bar)]  # fmt: skip
    parts += _grid(
        width, low, high, y - 0.02, max(1, round(width / 0.8)), int(rng.integers(1, 3)), bar
    )
    if low > 0.2:
        parts.append(box((width / 2, -0.04, low - 0.015), (width + 0.1, 0.2, 0.03), finish.trim))
    pick = rng.random()
    if pick < 0.3:
        parts += _curtains(kit, width, max(low - 0.3, 0.03) if rng.random() < 0.5 else 0.03, high)
    elif pick < 0.5:
        drop = rng.uniform(0.2, 0.9) * (high - low)
        slat = kit.add("slats", WINDOW, kit.any_tint(0.3), repeat_m=0.4)
        blind = quad(
            (0.01, 0.02, high - drop), (width - 0.02, 0, 0), (0, 0, drop), slat, unit_uv=False
        )
        parts.append(blind)
    return parts


def _curtains(kit: MaterialKit, width: float, low: float, high: float) -> list[Mesh]:
    """Folded cloth at both sides, or all across."""
    rng = kit.rng
    material, parts = kit.cloth(WINDOW), []
    share = 0.55 if rng.random() < 0.25 else rng.uniform(0.12, 0.3)
    for start in (-0.15, width + 0.15 - share * width):
        u = np.linspace(0, 1, 40)
        wave = 0.035 * np.sin(
            2 * np.pi * u * max(3, round(share * width / 0.12)) + rng.uniform(0, 6)
        )
        top = np.stack([start + u * share * width, -0.09 + wave, 0 * u + high + 0.12], 1)
        bottom = top * (1, 1, 0) + (0, 0, low)
        points = np.stack([bottom, top]).astype(np.float32)
        uv = np.stack([np.stack([u * share * width * 1.5, 0 * u + z], 1) for z in (high - low, 0)])
        parts.append(sheet(points, uv, material))
    parts.append(
        box((width / 2, -0.09, high + 0.13), (width + 0.4, 0.025, 0.025), kit.metal(WINDOW))
    )
    return parts


def _leaf(kit: MaterialKit, width: float, high: float, finish: Finish) -> Mesh:
    """A door leaf hinged at the origin, along +x, with panels and handles."""
    rng = kit.rng
    skin = finish.trim if rng.random() < 0.3 else kit.hard(DOOR)
    panel = skin if rng.random() < 0.6 else kit.painted(DOOR)
    parts = [box((width / 2, 0, high / 2), (width - 0.01, 0.04, high - 0.01), skin)]
    rows = int(rng.integers(0, 4))
    for k in range(rows):
        tall = (high - 0.2) / rows
        size = (width - 0.3, 0.052, tall - 0.12)
        parts.append(box((width / 2, 0, 0.12 + tall * (k + 0.5)), size, panel))
    steel = kit.metal(DOOR)
    grips = [(width - 0.1, s * 0.06, 1.02) for s in (-1, 1)]
    parts.append(boxes(grips, (0.13, 0.02, 0.025), steel))
    parts.append(box((width - 0.06, 0, 1.0), (0.04, 0.055, 0.2), steel))
    return merge(parts)


def _door(kit: MaterialKit, width: float, low: float, high: float, t: float,
          finish: Finish) -> list[Mesh]:  # fmt: skip
    leaf = placed(_leaf(kit, width, high, finish), (0, t * 0.4, 0))
    # The back of the reveal stays closed, so that the crack around the leaf is dark, not a hole.
    back = quad((0, t, 0), (width, 0, 0), (0, 0, high), finish.trim, unit_uv=False)
    return [leaf, back, *_casing(width, high, finish)]


def _casing(width: float, high: float, finish: Finish) -> list[Mesh]:
    centers = [(-0.035, 0, high / 2), (width + 0.035, 0, high / 2), (width / 2, 0, high + 0.035)]
    sizes = [(0.07, 0.04, high), (0.07, 0.04, high), (width + 0.14, 0.04, 0.07)]
    return [boxes(centers, sizes, finish.trim)]


def _passage(kit: MaterialKit, width: float, low: float, high: float, t: float,
             finish: Finish) -> list[Mesh]:  # fmt: skip
    parts = _casing(width, high, finish) if kit.rng.random() < 0.7 else []
    if width < 1.2 and kit.rng.random() < 0.7:
        angle = kit.rng.uniform(0.3, 1.9)
        parts.append(placed(_leaf(kit, width, high, finish), (0.03, 0, 0), rotation(yaw=-angle)))
    return parts


def _glazing(kit: MaterialKit, width: float, low: float, high: float, t: float,
             finish: Finish) -> list[Mesh]:  # fmt: skip
    bar = kit.metal(WINDOW)
    cols, rows = max(1, round(width / kit.rng.uniform(0.7, 1.4))), int(kit.rng.integers(1, 4))
    return [
        _frame(width, low, high, t / 2, 0.05, bar),
        *_grid(width, low, high, t / 2, cols, rows, bar),
    ]
