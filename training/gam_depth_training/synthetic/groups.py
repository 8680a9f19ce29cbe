"""Groups of furniture with what belongs on and around them, and the themes of rooms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import clutter, people, screens, seating, storage, tables
from .furniture import Furniture, Top
from .materials import MaterialKit
from .mesh import Mesh, box, merge, placed
from .semantics import FLOOR

Piece = Callable[[MaterialKit], Furniture]
Weighted = tuple[tuple[Piece, float], ...]


def dress(kit: MaterialKit, piece: Furniture, density: float) -> Furniture:
    """Put things on a piece's tops; the result's mesh includes them."""
    parts = [piece.mesh]
    for top in piece.tops:
        choices = {
            "desk": clutter.ON_DESKS,
            "coffee": clutter.ON_TABLES,
            "shelf": clutter.ON_SHELVES,
        }
        area = top.size_m[0] * top.size_m[1]
        rate = {"desk": 16, "coffee": 9, "shelf": 10}[top.use]
        parts += scatter(kit, top, choices[top.use], int(kit.rng.poisson(rate * area * density)))
    return Furniture(merge(parts), piece.tops, piece.seats)


def scatter(
    kit: MaterialKit,
    top: Top,
    choices: tuple[tuple[clutter.Maker, float], ...],
    count: int,
    discs: list[tuple[float, float, float]] | None = None,
) -> list[Mesh]:
    """Up to ``count`` things on a top, apart from ``discs`` (x, y, radius) and from each other."""
    rng = kit.rng
    discs = [] if discs is None else discs
    parts: list[Mesh] = []
    for _ in range(min(count, 40)):
        thing = clutter.pick(kit, choices)
        low, high = thing.bounds
        radius = float(np.hypot(*(high - low)[:2])) / 2
        if high[2] > top.clear_m or min(high[0] - low[0], high[1] - low[1]) > min(top.size_m):
            continue
        span = np.maximum(np.array(top.size_m) / 2 - 0.8 * radius, 0)
        x, y = rng.uniform(-1, 1, 2) * span
        flat = high[2] < 0.02
        if not flat and any(np.hypot(x - a, y - b) < 0.75 * (radius + r) for a, b, r in discs):
            continue
        if not flat:
            discs.append((float(x), float(y), radius))
        yaw = rng.uniform(0, 6.3) if top.use != "shelf" else rng.normal(0, 0.2)
        at = np.array(top.center_m) + (x, y, 0.001)
        parts.append(placed(thing, at, float(yaw)))
    return parts


def workstation(kit: MaterialKit) -> Furniture:
    """A desk with screens, keyboard, clutter, an office chair and now and then a person."""
    rng = kit.rng
    desk = tables.desk(kit)
    top = desk.tops[0]
    density = rng.uniform(0.2, 1.6)
    parts, discs = [desk.mesh], []
    for mesh, x, y, yaw in screens.workplace(kit):
        at_x = float(np.clip(x, -top.size_m[0] / 2 + 0.2, top.size_m[0] / 2 - 0.2))
        at_y = float(y * top.size_m[1] / 0.8)
        parts.append(placed(mesh, np.array(top.center_m) + (at_x, at_y, 0), yaw))
        low, high = mesh.bounds
        discs.append((at_x, at_y, float((high - low)[:2].max()) / 2.5))
    count = int(rng.poisson(18 * density * top.size_m[0] * top.size_m[1]))
    parts += scatter(kit, top, clutter.ON_DESKS, count, discs)
    if rng.random() < 0.85:
        chair = seating.office_chair(kit) if rng.random() < 0.75 else seating.chair(kit)
        unit = seat_person(kit, chair, 0.3)
        at = (rng.uniform(-0.3, 0.3), -top.size_m[1] / 2 - rng.uniform(0.1, 0.5), 0)
        # A chair's own front is -y; at a desk it looks at the desk, +y.
        parts.append(placed(unit, at, np.pi + rng.normal(0, 0.5)))
    return Furniture(merge(parts), desk.tops)


def seat_person(kit: MaterialKit, piece: Furniture, chance: float) -> Mesh:
    """The piece, with people on some of its seats."""
    parts = [piece.mesh]
    for x, y, z in piece.seats:
        if kit.rng.random() < chance:
            parts.append(placed(people.seated_person(kit, z - 0.02), (x, y, 0)))
    return merge(parts)


def double_desk(kit: MaterialKit) -> Furniture:
    """Two workstations face to face."""
    first, second = workstation(kit), workstation(kit)
    depth = (first.tops[0].size_m[1] + second.tops[0].size_m[1]) / 4 + 0.01
    turned = placed(second.mesh, (0, depth, 0), np.pi)
    return Furniture(merge([placed(first.mesh, (0, -depth, 0)), turned]), (
        Top((0, -depth, first.tops[0].center_m[2]), first.tops[0].size_m, "desk"),
        Top((0, depth, second.tops[0].center_m[2]), second.tops[0].size_m, "desk"),
    ))  # fmt: skip


def dining_group(kit: MaterialKit) -> Furniture:
    """A table with things on it and chairs around."""
    rng = kit.rng
    table = dress(kit, tables.dining_table(kit), rng.uniform(0.1, 1.2))
    low, high = table.mesh.bounds
    parts = [table.mesh]
    kind = seating.chair(kit)
    for x in np.arange(low[0] + 0.35, high[0] - 0.2, 0.62):
        for side in (-1, 1):
            if rng.random() < 0.75:
                y = (high[1] + 0.12) * side + rng.normal(0, 0.08)
                yaw = (0 if side > 0 else np.pi) + rng.normal(0, 0.25)
                parts.append(placed(seat_person(kit, kind, 0.12), (x, y, 0), yaw))
    return Furniture(merge(parts), table.tops)


def lounge(kit: MaterialKit) -> Furniture:
    """A sofa with a coffee table before it, perhaps on a rug."""
    rng = kit.rng
    sofa = seating.sofa(kit)
    parts = [seat_person(kit, sofa, 0.15)]
    table = dress(kit, tables.coffee_table(kit), rng.uniform(0.2, 1.5))
    if rng.random() < 0.75:
        y = -rng.uniform(1.0, 1.4)
        parts.append(placed(table.mesh, (rng.uniform(-0.4, 0.4), y, 0)))
        if rng.random() < 0.5:
            rug = kit.cloth(FLOOR)
            parts.append(
                box((0, y, 0.006), (rng.uniform(1.4, 2.6), rng.uniform(1, 1.8), 0.012), rug)
            )
    return Furniture(merge(parts))


def media_bench(kit: MaterialKit) -> Furniture:
    """A low cabinet with a television."""
    bench = storage.cabinet(kit)
    while bench.mesh.bounds[1][2] > 1.0:
        bench = storage.cabinet(kit)
    z = bench.tops[0].center_m[2]
    return Furniture(merge([bench.mesh, placed(screens.television(kit), (0, 0, z))]))


def bedside(kit: MaterialKit) -> Furniture:
    """A bed with a night stand."""
    bed = seating.bed(kit)
    half = float(bed.mesh.bounds[1][0])
    stand = dress(kit, tables.coffee_table(kit), 1.0)
    size = stand.mesh.bounds[1]
    if size[0] > 0.35:
        return bed
    at = (half + float(size[0]) + 0.05, 0.7, 0)
    return Furniture(merge([bed.mesh, placed(stand.mesh, at)]))


def _dressed(piece: Piece) -> Piece:
    return lambda kit: dress(kit, piece(kit), float(kit.rng.uniform(0, 1.2)))


def _person(kit: MaterialKit) -> Furniture:
    return Furniture(people.standing_person(kit))


def on_floor(kit: MaterialKit) -> Furniture:
    """A bag, a bin, a toy, a lamp, ..."""
    return Furniture(clutter.pick(kit, clutter.ON_FLOORS))


def _big_plant(kit: MaterialKit) -> Furniture:
    return Furniture(clutter.plant(kit, float(kit.rng.uniform(1.5, 3.2))))


_SHELF, _CABINET = _dressed(storage.bookshelf), _dressed(storage.cabinet)
_RACK, _COUNTER, _DESK = _dressed(storage.rack), _dressed(tables.counter), _dressed(tables.desk)

# Per theme: what stands at walls, what stands free; weights.
THEMES: dict[str, tuple[Weighted, Weighted]] = {
    "office": (
        ((workstation, 5), (_SHELF, 2), (_CABINET, 2), (_big_plant, 0.7), (seating.chair, 1)),
        ((double_desk, 4), (workstation, 2), (storage.partition, 1), (_person, 1),
         (storage.whiteboard_stand, 0.6), (seating.office_chair, 1.5)),
    ),
    "living": (
        ((lounge, 4), (media_bench, 3), (_SHELF, 3), (_CABINET, 2), (_big_plant, 1.5)),
        ((lounge, 2), (dining_group, 2), (seating.stool, 1), (_person, 0.7)),
    ),
    "bedroom": (
        ((bedside, 6), (_CABINET, 3), (_SHELF, 2), (workstation, 1.5), (media_bench, 1)),
        ((seating.stool, 1), (seating.chair, 1.5), (_person, 0.4)),
    ),
    "laboratory": (
        ((_COUNTER, 2), (workstation, 3), (_RACK, 3), (_DESK, 2), (_CABINET, 2)),
        ((_DESK, 2), (_RACK, 1.5), (seating.office_chair, 3), (_person, 1.5),
         (storage.partition, 1),
         (storage.whiteboard_stand, 1.5), (double_desk, 1)),
    ),
    "classroom": (
        ((_SHELF, 3), (_CABINET, 3), (_DESK, 2), (workstation, 1), (_COUNTER, 1)),
        ((dining_group, 4), (_DESK, 2), (seating.chair, 3), (seating.stool, 2), (_person, 1)),
    ),
    "kitchen": (
        ((_COUNTER, 6), (_CABINET, 2), (_RACK, 1), (_SHELF, 1)),
        ((dining_group, 5), (seating.stool, 2), (_person, 1)),
    ),
}  # fmt: skip

THEME_SHARES = (0.32, 0.2, 0.13, 0.15, 0.1, 0.1)
COSTLY = (workstation, double_desk, dining_group, _SHELF, _RACK)
