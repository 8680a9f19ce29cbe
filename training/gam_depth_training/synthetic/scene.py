"""One procedural home, office or laboratory: shell, furniture, clutter, people, lamps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .layout import Finish, Opening, Room, random_finish, shell, wall_frame
from .lighting import Lamp, Lights, gather_lights
from .materials import MaterialKit, MaterialTable
from .mesh import Mesh, merge, placed
from .openings import fill_opening
from .placement import FloorPlan, furnish, hang_on_walls
from .textures import TextureBank
from .walls import ceiling_lights, ceiling_structure


@dataclass(frozen=True)
class Scene:
    """Everything a renderer and a camera need.

    rooms: the main room first. targets_m: float32 N×3, points worth a close look (on desk tops).
    """

    mesh: Mesh
    materials: MaterialTable
    bank: TextureBank
    lights: Lights
    rooms: tuple[Room, ...]
    targets_m: NDArray[np.float32]


def _sizes(rng: np.random.Generator) -> Room:
    """A room between a chamber and a hall; its south-west corner is the origin."""
    ranges = ((2.8, 4.4), (4.2, 7.5), (7.0, 17.0))
    low, high = ranges[int(rng.choice(3, p=[0.18, 0.37, 0.45]))]
    width, depth = rng.uniform(low, high), rng.uniform(low, high) * rng.uniform(0.65, 1)
    height = rng.uniform(2.3, 3.0) if width * depth < 40 else rng.uniform(2.6, 4.5)
    return Room((0.0, 0.0), (float(width), float(max(depth, 2.3))), float(height))


def _annex(rng: np.random.Generator, room: Room, wall: int, thickness: float
           ) -> tuple[Room, Opening, Opening]:  # fmt: skip
    """A further room behind ``wall`` (1 east or 2 north), and the hole seen from both sides."""
    across = room.size_m[1] if wall == 1 else room.size_m[0]
    wide = rng.random() < 0.5
    width = min(rng.uniform(1.5, 6.0) if wide else rng.uniform(0.8, 1.1), across - 0.5)
    start = rng.uniform(0.2, across - width - 0.2)
    tall = min(rng.uniform(2.0, 2.2) if width < 1.2 else rng.uniform(2.1, 3.0), room.height_m - 0.1)
    kind = "glazing" if wide and rng.random() < 0.5 else "passage"
    deep, height = rng.uniform(1.4, 9.0), max(room.height_m * rng.uniform(0.9, 1.1), tall + 0.05)
    before, after = rng.uniform(0.2, 4, 2)
    here = Opening(wall, start, width, 0.0, tall, kind)
    # Walls run clockwise seen from inside, so a far room counts its wall the other way round.
    x1, y1 = room.high_m
    if wall == 1:  # starts at the north end and runs south
        low_y = y1 - start - width - before
        far = Room((x1 + thickness, low_y), (x1 + thickness + deep, y1 - start + after), height)
        there = Opening(3, before, width, 0.0, tall, "passage")
    else:  # starts at the west end and runs east
        far = Room(
            (start - before, y1 + thickness), (start + width + after, y1 + thickness + deep), height
        )
        there = Opening(0, after, width, 0.0, tall, "passage")
    return far, here, there


def _holes(rng: np.random.Generator, room: Room, walls: tuple[int, ...]) -> list[Opening]:
    """Windows and closed doors on walls that have no passage."""
    holes: list[Opening] = []
    for wall in walls:
        length = room.size_m[0] if wall in (0, 2) else room.size_m[1]
        pick = rng.random()
        if pick < 0.45:
            bottom = float(rng.choice([0.05, 0.45, 0.9, 1.1]))
            top = min(room.height_m - 0.15, bottom + rng.uniform(0.9, 2.2))
            count = max(1, int(rng.integers(1, max(2, int(length / 1.8)))))
            pitch = length / count
            width = min(rng.uniform(0.6, 2.4), pitch - 0.3)
            for k in range(count):
                start = (k + 0.5) * pitch - width / 2
                holes.append(Opening(wall, start, width, bottom, top, "window"))
        elif pick < 0.75 and length > 1.6:
            width = rng.uniform(0.75, 1.0)
            start = rng.uniform(0.2, length - width - 0.2)
            holes.append(Opening(wall, start, width, 0.0, min(2.05, room.height_m - 0.1), "door"))
    return holes


def _window_lamps(room: Room, holes: list[Opening], warmth: float, flux: float) -> list[Lamp]:
    """Daylight: every window is a lamp just inside its pane."""
    lamps = []
    colour = (1 - 0.15 * warmth, 1.0, 1 + 0.25 * warmth)
    for hole in holes:
        if hole.kind != "window":
            continue
        origin, along, inward, _ = wall_frame(room, hole.wall)
        center = origin + (hole.start_m + hole.width_m / 2) * along + 0.15 * inward
        center[2] = (hole.bottom_m + hole.top_m) / 2
        half_v = (0.0, 0.0, (hole.top_m - hole.bottom_m) / 2)
        half_u = tuple(float(v) for v in along * hole.width_m / 2)
        normal = tuple(float(v) for v in inward)
        area = hole.width_m * (hole.top_m - hole.bottom_m)
        lamps.append(
            Lamp(tuple(float(v) for v in center), half_u, half_v, normal, colour, flux * area)
        )
    return lamps


@dataclass
class _Draft:
    """A scene under construction."""

    kit: MaterialKit
    meshes: list[Mesh]
    lamps: list[Lamp]
    targets: list[NDArray[np.float32]]


def _build_room(draft: _Draft, room: Room, holes: list[Opening], thickness: float, density: float,
                lit: bool) -> None:  # fmt: skip
    """Shell, openings, ceiling, furniture and wall things of one room, appended to the draft."""
    kit, rng = draft.kit, draft.kit.rng
    finish: Finish = random_finish(kit)
    draft.meshes.append(shell(room, holes, finish))
    draft.meshes += [fill_opening(kit, room, hole, finish, thickness) for hole in holes]
    center = ((room.low_m[0] + room.high_m[0]) / 2, (room.low_m[1] + room.high_m[1]) / 2, 0.0)
    above = ceiling_structure(kit, room.size_m, room.height_m)
    panels, lamps = ceiling_lights(kit, room.size_m, room.height_m, float(rng.uniform(-0.3, 1)))
    draft.meshes += [placed(mesh, center) for mesh in above + panels]
    if lit:
        for lamp in lamps:
            at = tuple(a + b for a, b in zip(lamp.center_m, center, strict=True))
            flux = room.area_m2 / len(lamps)
            draft.lamps.append(
                Lamp(at, lamp.half_u_m, lamp.half_v_m, lamp.normal, lamp.colour, flux)
            )
    plan = FloorPlan(room, holes)
    pieces, targets = furnish(kit, plan, finish, density)
    draft.meshes += pieces
    draft.targets += targets
    draft.meshes += hang_on_walls(kit, plan, density)


def build_scene(bank: TextureBank, seed: int | list[int]) -> Scene:
    """A whole scene from one seed (an int, or a list of ints as numpy's seed sequences take)."""
    rng = np.random.default_rng(seed)
    draft = _Draft(MaterialKit(bank, rng), [], [], [])
    room, thickness = _sizes(rng), float(rng.uniform(0.1, 0.3))
    rooms, holes, closed = [room], [], [0, 1, 2, 3]
    annexes = []
    for wall in (1, 2):
        if rng.random() < 0.45 and min(room.size_m) > 2.4:
            far, here, there = _annex(rng, room, wall, thickness)
            annexes.append((far, there))
            holes.append(here)
            closed.remove(wall)
    if len(annexes) == 2:  # the second must not run into the first
        annexes[1] = (_clear_of(annexes[0][0], annexes[1][0]), annexes[1][1])
    holes += _holes(rng, room, tuple(closed))
    density = float(rng.uniform(0.05, 0.4) if rng.random() < 0.12 else rng.uniform(0.45, 1.4))
    mode = rng.random()  # lit by lamps and day, by day alone, by lamps at night
    has_window = any(hole.kind == "window" for hole in holes)
    lit = not (has_window and mode < 0.25)
    _build_room(draft, room, holes, thickness, density, lit)
    for far, there in annexes:
        rooms.append(far)
        wall = there.wall
        others = tuple(w for w in range(4) if w not in (wall, 3 if wall == 0 else 0))
        # The rear of a shared hole is the main room's reveal; here only the wall is cut.
        more = _holes(rng, far, others)
        _build_annex(draft, far, there, more, 0.5 * density, lit=rng.random() < 0.8)
    day = rng.uniform(0.3, 3.0) if mode < 0.75 else 0.02
    draft.lamps += _window_lamps(room, holes, float(rng.uniform(-0.3, 1)), day)
    if not draft.lamps:
        center = (room.size_m[0] / 2, room.size_m[1] / 2, room.height_m - 0.1)
        draft.lamps.append(Lamp(center, (0.3, 0, 0), (0, 0.3, 0), (0, 0, -1), (1, 1, 1)))
    return Scene(
        merge(draft.meshes),
        draft.kit.table(),
        bank,
        _lights(rng, draft.lamps, room, rooms, holes, mode),
        tuple(rooms),
        np.array(draft.targets, np.float32).reshape(-1, 3),
    )


def _clear_of(first: Room, second: Room) -> Room:
    """Shrink the northern annex eastwards where it would meet the eastern one."""
    if second.high_m[0] <= first.low_m[0] or second.low_m[1] >= first.high_m[1]:
        return second
    return Room(second.low_m, (first.low_m[0] - 0.05, second.high_m[1]), second.height_m)


def _build_annex(draft: _Draft, far: Room, there: Opening, more: list[Opening], density: float,
                 lit: bool) -> None:  # fmt: skip
    """A further room: like the main one, but its entrance has no frame of its own."""
    before = len(draft.meshes)
    _build_room(draft, far, [there, *more], 0.0, density, lit)
    # Entry 0 is the shell, entry 1 the (zero-depth) fill of the shared hole: drop the latter.
    del draft.meshes[before + 1]


def _lights(rng: np.random.Generator, lamps: list[Lamp], room: Room, rooms: list[Room],
            holes: list[Opening], mode: float) -> Lights:  # fmt: skip
    """Lamps, ambient light and perhaps a low sun through a window."""
    ambient = rng.uniform(0.12, 0.6) * np.array([1.0, 1.0, 1.0]) * rng.uniform(0.9, 1.1, 3)
    direction = None
    windows = [hole for hole in holes if hole.kind == "window"]
    if windows and mode < 0.75 and rng.random() < 0.35:
        hole = windows[int(rng.integers(0, len(windows)))]
        _, along, inward, _ = wall_frame(room, hole.wall)
        sun = -inward + along * rng.uniform(-0.8, 0.8)
        sun[2] = rng.uniform(0.3, 1.2)
        direction = sun / np.linalg.norm(sun)
    area = sum(one.area_m2 for one in rooms)
    sun_rgb = np.array([1.0, 0.95, 0.85]) * rng.uniform(1.5, 5)
    return gather_lights(lamps, area, ambient, direction, sun_rgb)
