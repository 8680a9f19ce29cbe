"""Furnishing: what stands where on the floor and what hangs on the walls."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from . import walls
from .furniture import Furniture
from .groups import COSTLY, THEME_SHARES, THEMES, Piece, Weighted, on_floor
from .layout import Finish, Opening, Room, wall_frame
from .materials import MaterialKit
from .mesh import Float, Mesh, placed, rotation

Rect = tuple[float, float, float, float]


@dataclass
class FloorPlan:
    """Free floor of a room: taken rectangles x0, y0, x1, y1, metres."""

    room: Room
    holes: list[Opening]
    taken: list[Rect] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Keep the floor before doors and passages free."""
        for hole in self.holes:
            if hole.bottom_m < 0.05 and hole.kind != "window":
                origin, along, inward, _ = wall_frame(self.room, hole.wall)
                a = origin + hole.start_m * along
                b = a + hole.width_m * along + 0.9 * inward
                low, high = np.minimum(a, b), np.maximum(a, b)
                self.taken.append((low[0], low[1], high[0], high[1]))

    def claim(self, mesh: Mesh, gap_m: float = 0.05) -> bool:
        """Take the mesh's footprint if it lies inside the room and on free floor."""
        (x0, y0, _), (x1, y1, z1) = mesh.bounds.tolist()
        (lx, ly), (hx, hy) = self.room.low_m, self.room.high_m
        if x0 < lx or y0 < ly or x1 > hx or y1 > hy or z1 > self.room.height_m:
            return False
        g = gap_m
        if any(
            x0 < b[2] + g and x1 > b[0] - g and y0 < b[3] + g and y1 > b[1] - g for b in self.taken
        ):
            return False
        self.taken.append((x0, y0, x1, y1))
        return True


def _choose(rng: np.random.Generator, pieces: Weighted) -> Piece:
    weights = np.array([weight for _, weight in pieces])
    return pieces[int(rng.choice(len(pieces), p=weights / weights.sum()))][0]


def furnish(kit: MaterialKit, plan: FloorPlan, finish: Finish, density: float
            ) -> tuple[list[Mesh], list[NDArray[np.float32]]]:  # fmt: skip
    """Fill the floor; returns meshes in place and the points on table tops worth a look."""
    rng = kit.rng
    room, meshes, targets = plan.room, [], []
    at_walls, free = THEMES[str(rng.choice(list(THEMES), p=THEME_SHARES))]
    tries_wall = int(density * (2 + 0.8 * sum(room.size_m)))
    tries_free = int(density * (1 + 0.2 * room.area_m2))
    things = int(rng.poisson(density * (2 + 0.3 * room.area_m2)))
    if room.area_m2 > 25:
        for _ in range(int(rng.integers(0, 4))):
            at = _random_spot(rng, room)
            column = placed(walls.pillar(kit, room.height_m - 1e-3, finish.walls[0]), at)
            if plan.claim(column, 0.3):
                meshes.append(column)
    jobs = [(at_walls, True)] * min(tries_wall, 16) + [(free, False)] * min(tries_free, 14)
    jobs += [(((on_floor, 1.0),), False)] * min(things, 14)
    made: dict[Piece, Furniture] = {}
    for choices, wall in jobs:
        maker = _choose(rng, choices)
        # Rooms repeat furniture; reuse also spares the work of pieces that found no room.
        if maker not in made or (rng.random() < 0.45 and maker not in COSTLY):
            made[maker] = maker(kit)
        piece = made[maker]
        found = _place(rng, plan, piece, wall)
        if found is None:
            continue
        if rng.random() < 0.6:
            del made[maker]
        mesh, matrix, position = found
        meshes.append(mesh)
        if rng.random() < 0.25:  # beds, sofas, shelves and low things merit a look too
            targets.append(mesh.bounds.mean(0).astype(np.float32))
        targets += [
            (matrix @ np.array(top.center_m) + position).astype(np.float32)
            for top in piece.tops
            if top.use != "shelf"
        ]
    return meshes, targets


def _random_spot(rng: np.random.Generator, room: Room) -> Float:
    x = rng.uniform(room.low_m[0] + 0.3, room.high_m[0] - 0.3)
    y = rng.uniform(room.low_m[1] + 0.3, room.high_m[1] - 0.3)
    return np.array([x, y, 0], np.float32)


def _place(rng: np.random.Generator, plan: FloorPlan, piece: Furniture, wall: bool
           ) -> tuple[Mesh, Float, Float] | None:  # fmt: skip
    """Try some spots; at a wall the piece's back touches it."""
    low, high = piece.mesh.bounds
    for _ in range(5):
        if wall:
            side = int(rng.integers(0, 4))
            origin, along, inward, length = wall_frame(plan.room, side)
            room_left = length - float(high[0] - low[0])
            if room_left < 0.1:
                continue
            offset = rng.uniform(0.03, room_left) - float(low[0])
            if rng.random() < 0.2:  # into a corner
                offset = 0.03 - float(low[0])
            matrix = rotation(yaw=float(np.arctan2(inward[1], inward[0])) + np.pi / 2)
            position = origin + offset * along + (float(high[1]) + 0.03) * inward
        else:
            right = rng.integers(0, 4) * np.pi / 2
            yaw = right + (rng.normal(0, 0.12) if rng.random() < 0.6 else rng.uniform(0, 6.3))
            matrix, position = rotation(yaw=float(yaw)), _random_spot(rng, plan.room)
        mesh = placed(piece.mesh, position, matrix)
        if plan.claim(mesh):
            return mesh, matrix, position
    return None


def hang_on_walls(kit: MaterialKit, plan: FloorPlan, density: float) -> list[Mesh]:
    """Pictures, boards, screens, sockets and radiators between the openings."""
    rng = kit.rng
    makers = (walls.picture, walls.notice_board, walls.white_board, walls.wall_screen,
              walls.clutter_on_wall)  # fmt: skip
    meshes = []
    for side in range(4):
        origin, along, _, length = wall_frame(plan.room, side)
        yaw = float(np.arctan2(along[1], along[0]))
        busy = [
            (h.start_m - 0.2, h.start_m + h.width_m + 0.2) for h in plan.holes if h.wall == side
        ]
        for _ in range(int(rng.poisson(0.6 + 0.6 * density * length))):
            maker = makers[int(rng.choice(5, p=[0.5, 0.12, 0.1, 0.08, 0.2]))]
            mesh, width, height = maker(kit)
            if width > length - 0.3 or height > plan.room.height_m - 1.2:
                continue
            at = rng.uniform(width / 2 + 0.1, length - width / 2 - 0.1)
            if any(at - width / 2 < b and at + width / 2 > a for a, b in busy):
                continue
            busy.append((at - width / 2 - 0.05, at + width / 2 + 0.05))
            low = 0.3 if maker is walls.clutter_on_wall else 1.1
            center = max(low + height / 2, rng.uniform(1.3, 1.8))
            if maker is walls.clutter_on_wall and height < 0.2:
                center = float(rng.choice([0.3, 1.1]))
            z = min(center, plan.room.height_m - 0.1 - height / 2)
            spot = origin + at * along + np.array([0, 0, z], np.float32)
            meshes.append(placed(mesh, spot, yaw))
        if rng.random() < 0.2 and length > 2.5:
            at = rng.uniform(1, length - 1)
            if not any(h.wall == side and h.bottom_m < 0.5 for h in plan.holes):
                meshes.append(placed(walls.radiator(kit), origin + at * along, yaw))
    return meshes
