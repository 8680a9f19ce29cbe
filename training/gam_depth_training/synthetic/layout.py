"""Room shells: floor, ceiling and walls with doors, windows, passages and glazed partitions.

Walls are numbered 0 south (y low), 1 east, 2 north, 3 west. A wall's own frame: ``along`` runs to
the right when one looks at the wall from inside, ``inward`` points into the room.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from .materials import MaterialKit, hsv
from .mesh import Float, Mesh, box, merge, quad
from .semantics import CEILING, FLOOR, WALL


@dataclass(frozen=True)
class Room:
    """An upright box. low_m, high_m: x, y of two corners; height_m: floor (0) to ceiling."""

    low_m: tuple[float, float]
    high_m: tuple[float, float]
    height_m: float

    @property
    def size_m(self) -> tuple[float, float]:
        """Extent along x and y."""
        return self.high_m[0] - self.low_m[0], self.high_m[1] - self.low_m[1]

    @property
    def area_m2(self) -> float:
        """Floor area."""
        return self.size_m[0] * self.size_m[1]


@dataclass(frozen=True)
class Opening:
    """A hole in a wall: start and width along it, bottom and top above the floor, all metres.

    kind: "window" (opaque pane that shows the outside), "door" (closed leaf), "passage" (free) or
    "glazing" (mullions, no pane: a sensor and a camera both see what is behind).
    """

    wall: int
    start_m: float
    width_m: float
    bottom_m: float
    top_m: float
    kind: str


def wall_frame(room: Room, wall: int) -> tuple[Float, Float, Float, float]:
    """Left end of the wall on the floor, along, inward, length."""
    (x0, y0), (x1, y1) = room.low_m, room.high_m
    ends = {
        0: ((x1, y0), (-1, 0), (0, 1), x1 - x0),
        1: ((x1, y1), (0, -1), (-1, 0), y1 - y0),
        2: ((x0, y1), (1, 0), (0, -1), x1 - x0),
        3: ((x0, y0), (0, 1), (1, 0), y1 - y0),
    }
    origin, along, inward, length = ends[wall]
    return (
        np.array([*origin, 0], np.float32),
        np.array([*along, 0], np.float32),
        np.array([*inward, 0], np.float32),
        float(length),
    )


@dataclass(frozen=True)
class Finish:
    """Materials of a shell: one id per wall, floor, ceiling, trim (frames, skirting)."""

    walls: tuple[int, int, int, int]
    floor: int
    ceiling: int
    trim: int


def random_finish(kit: MaterialKit) -> Finish:
    """Paint, plaster, tiles or brick; boards, carpet, tiles or stone; white or panelled ceiling."""
    rng = kit.rng

    def wall() -> int:
        pick = rng.random()
        pale = hsv(rng.random(), 0.25 * rng.random() ** 3, rng.uniform(0.65, 1))
        if pick < 0.5:
            return kit.add("plain", WALL, pale, repeat_m=2.5)
        if pick < 0.75:
            return kit.add("plaster", WALL, pale, repeat_m=rng.uniform(1.5, 3))
        if pick < 0.82:
            return kit.add("bricks", WALL, hsv(rng.uniform(0, 0.1), rng.uniform(0, 0.6), 0.8))
        if pick < 0.88:
            return kit.add("tiles", WALL, pale, repeat_m=rng.uniform(0.4, 1.2), gloss=0.04)
        if pick < 0.94:
            return kit.wood(WALL)
        return kit.add("plain", WALL, kit.any_tint(0.8), repeat_m=2.5)

    main, accent = wall(), wall()
    walls = [main] * 4
    if rng.random() < 0.4:
        walls[int(rng.integers(0, 4))] = accent
    ceiling = kit.add("ceiling_tiles" if rng.random() < 0.4 else "plain", CEILING,
                      hsv(rng.random(), 0.03, rng.uniform(0.8, 1)), repeat_m=1.2)  # fmt: skip
    trim = kit.painted(WALL) if rng.random() < 0.6 else kit.wood(WALL)
    return Finish((walls[0], walls[1], walls[2], walls[3]), _floor(kit), ceiling, trim)


def _floor(kit: MaterialKit) -> int:
    rng = kit.rng
    gloss = rng.uniform(0.01, 0.12) if rng.random() < 0.5 else 0.0
    rough = rng.uniform(0.02, 0.2)
    warm = hsv(rng.uniform(0.03, 0.11), rng.uniform(0.1, 0.7), rng.uniform(0.25, 1))
    grey = hsv(rng.random(), rng.uniform(0, 0.15), rng.uniform(0.25, 0.95))
    kind = str(
        rng.choice(["planks", "carpet", "tiles", "stone", "plain"], p=[0.3, 0.25, 0.15, 0.2, 0.1])
    )
    tint = warm if kind == "planks" else (kit.any_tint(0.6) if kind == "carpet" else grey)
    gloss = 0.0 if kind == "carpet" else gloss
    repeat = {"planks": 1.2, "carpet": 0.8, "tiles": 1.6, "stone": 2.0, "plain": 2.5}[kind]
    repeat *= float(rng.uniform(0.7, 1.5))
    return kit.add(kind, FLOOR, tint, repeat_m=repeat, gloss=gloss, roughness=rough)


def shell(room: Room, openings: list[Opening], finish: Finish) -> Mesh:
    """Floor, ceiling, walls with holes, skirting boards."""
    (x0, y0), (width, depth) = room.low_m, room.size_m
    floor = quad((x0, y0, 0), (width, 0, 0), (0, depth, 0), finish.floor, unit_uv=False)
    ceiling = quad((x0, y0, room.height_m), (0, depth, 0), (width, 0, 0), finish.ceiling,
                   unit_uv=False)  # fmt: skip
    parts = [floor, ceiling]
    for wall in range(4):
        holes = [opening for opening in openings if opening.wall == wall]
        parts.append(_wall(room, wall, holes, finish))
    return merge(parts)


def _wall(room: Room, wall: int, holes: list[Opening], finish: Finish) -> Mesh:
    """One wall cut into cells by the edges of its holes."""
    origin, along, inward, length = wall_frame(room, wall)
    up = np.array([0, 0, 1], np.float32)
    xs = sorted({0.0, length, *[e for h in holes for e in (h.start_m, h.start_m + h.width_m)]})
    zs = sorted({0.0, room.height_m, *[e for h in holes for e in (h.bottom_m, h.top_m)]})
    parts = []
    for left, right in pairwise(xs):
        for low, high in pairwise(zs):
            x, z = (left + right) / 2, (low + high) / 2
            if any(
                h.start_m < x < h.start_m + h.width_m and h.bottom_m < z < h.top_m for h in holes
            ):
                continue
            cell = quad(origin + left * along + low * up, (right - left) * along, (high - low) * up,
                        finish.walls[wall], unit_uv=False)  # fmt: skip
            shift = np.array([left, room.height_m - high], np.float32)
            parts.append(replace(cell, uv=cell.uv + shift))
        if not any(h.bottom_m < 0.05 and h.start_m < x < h.start_m + h.width_m for h in holes):
            middle = origin + x * along + 0.006 * inward + 0.04 * up
            yaw = float(np.arctan2(along[1], along[0]))
            parts.append(box(middle, (right - left, 0.012, 0.08), finish.trim, yaw))
    return merge(parts)
