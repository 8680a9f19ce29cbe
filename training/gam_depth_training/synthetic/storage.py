"""Shelves with books, cabinets, wardrobes, drawers and office partitions."""

from __future__ import annotations

import numpy as np

from .furniture import Furniture, Top
from .materials import MaterialKit
from .mesh import Mesh, box, boxes, merge, quad
from .semantics import BOOKS, FURNITURE, OBJECTS


def book_row(
    kit: MaterialKit, start_m: float, end_m: float, y_m: float, z_m: float, max_height_m: float
) -> Mesh:
    """Standing books along x from ``start`` to ``end``; spines face -y at about ``y``."""
    rng = kit.rng
    thick = rng.uniform(0.012, 0.055, 200)
    edges = start_m + np.cumsum(thick)
    count = max(int((edges < end_m).sum()), 1)
    thick, centre = thick[:count], edges[:count] - thick[:count] / 2
    base = rng.uniform(0.6, 0.95) * max_height_m
    tall = (base * rng.uniform(0.8, 1.08, count)).clip(0.05, max_height_m)
    deep = rng.uniform(0.12, 0.2, count)
    inset = rng.normal(0, 0.01, count)
    centers = np.stack([centre, y_m + deep / 2 + inset, z_m + tall / 2], 1)
    sizes = np.stack([thick * 0.96, deep, tall], 1)
    shades = [kit.add("cover", BOOKS, repeat_m=rng.uniform(0.1, 0.4)) for _ in range(5)]
    shades += [kit.add("plain", BOOKS, kit.any_tint(0.9)) for _ in range(4)]
    return boxes(centers, sizes, rng.choice(shades, count))


def bookshelf(kit: MaterialKit) -> Furniture:
    """A shelf unit, open or with a back; books, gaps and room for objects."""
    rng = kit.rng
    width, height = rng.uniform(0.6, 2.4), rng.uniform(0.8, 2.3)
    depth, board = rng.uniform(0.24, 0.4), rng.uniform(0.015, 0.035)
    material = kit.hard(FURNITURE)
    levels = max(2, round(height / rng.uniform(0.28, 0.42)))
    columns = max(1, round(width / rng.uniform(0.5, 1.0)))
    x = np.linspace(-width / 2, width / 2, columns + 1)
    z = np.linspace(0.04, height - board / 2, levels + 1)
    parts = [
        boxes(np.stack([x, 0 * x, 0 * x + height / 2], 1), (board, depth, height), material),
        boxes(np.stack([0 * z, 0 * z, z], 1), (width, depth, board), material),
    ]
    if rng.random() < 0.75:
        parts.append(box((0, depth / 2 - 0.005, height / 2), (width, 0.01, height), material))
    fill, tops, clear = rng.uniform(0.2, 1.0), [], height / levels - board
    for level in range(levels):
        for column in range(columns):
            left, right = x[column] + board, x[column + 1] - board
            floor = z[level] + board / 2
            if rng.random() < fill:
                end = left + (right - left) * rng.uniform(0.3, 1.0)
                parts.append(book_row(kit, left, end, -depth / 2 + 0.03, floor, clear * 0.92))
                left = end + 0.03
            if right - left > 0.12 and rng.random() < 0.8:
                middle, span = (left + right) / 2, right - left
                tops.append(Top((middle, 0, floor), (span, depth * 0.8), "shelf", clear))
    tops.append(Top((0, 0, height), (width, depth), "shelf", 0.35))
    return Furniture(merge(parts), tuple(tops))


def cabinet(kit: MaterialKit) -> Furniture:
    """A wardrobe, a chest of drawers, a sideboard or a locker, with fronts and grips."""
    rng = kit.rng
    tall = rng.random() < 0.4
    width = rng.uniform(0.5, 2.2)
    height = rng.uniform(1.6, 2.3) if tall else rng.uniform(0.45, 1.2)
    depth = rng.uniform(0.35, 0.65)
    body = kit.hard(FURNITURE)
    front = body if rng.random() < 0.6 else kit.hard(FURNITURE)
    grip = kit.metal(FURNITURE)
    columns = max(1, round(width / rng.uniform(0.4, 0.7)))
    rows = int(rng.choice([1, 2])) if tall else int(rng.integers(1, 5))
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(-1, 2) + 0.5
    cell = np.array([width / columns, (height - 0.08) / rows])
    x, z = (grid * cell).T
    centers = np.stack([x - width / 2, 0 * x - depth / 2 - 0.008, z + 0.06], 1)
    reveal = rng.uniform(0.005, 0.02)
    parts = [
        box((0, 0, height / 2), (width, depth, height), body),
        boxes(centers, (cell[0] - reveal, 0.018, cell[1] - reveal), front),
    ]
    if rng.random() < 0.8:
        size = (0.015, 0.03, 0.14) if rng.random() < 0.4 else (0.1, 0.03, 0.015)
        shift = (cell[0] * 0.38, -0.02, 0) if size[0] < 0.05 else (0, -0.02, cell[1] * 0.2)
        parts.append(boxes(centers + shift, size, grip))
    top = Top((0, 0, height), (width, depth), "shelf", 0.5)
    return Furniture(merge(parts), (top,))


def partition(kit: MaterialKit) -> Furniture:
    """An office partition or a low wall: a large plain panel in the middle of the room."""
    rng = kit.rng
    width, height = rng.uniform(1.0, 3.0), rng.uniform(1.0, 2.0)
    panel = kit.cloth(FURNITURE) if rng.random() < 0.6 else kit.painted(FURNITURE)
    rim = kit.metal(FURNITURE)
    posts = [(s * width / 2, 0, height / 2) for s in (-1, 1)]
    feet = [(s * width / 2, 0, 0.02) for s in (-1, 1)]
    parts = [
        box((0, 0, height / 2 + 0.04), (width, 0.05, height - 0.08), panel),
        boxes(posts, (0.04, 0.06, height), rim),
        boxes(feet, (0.05, 0.4, 0.03), rim),
    ]
    return Furniture(merge(parts))


def rack(kit: MaterialKit) -> Furniture:
    """An open metal rack with cartons, or a trolley."""
    rng = kit.rng
    width, depth, height = rng.uniform(0.7, 1.6), rng.uniform(0.4, 0.6), rng.uniform(0.8, 2.1)
    steel = kit.metal(FURNITURE)
    levels = int(rng.integers(2, 6))
    z = np.linspace(0.12, height - 0.05, levels)
    posts = [(x, y, height / 2) for x in (-width / 2, width / 2) for y in (-depth / 2, depth / 2)]
    parts = [
        boxes(posts, (0.035, 0.035, height), steel),
        boxes(np.stack([0 * z, 0 * z, z], 1), (width, depth, 0.025), steel),
    ]
    gap = float(z[1] - z[0])
    tops = tuple(
        Top((0, 0, h + 0.013), (width * 0.95, depth * 0.95), "shelf", gap * 0.9) for h in z
    )
    return Furniture(merge(parts), tops)


def whiteboard_stand(kit: MaterialKit) -> Furniture:
    """A board on wheels (an object in NYU-13), written on or blank."""
    rng = kit.rng
    width, steel = rng.uniform(1.0, 1.8), kit.metal(OBJECTS)
    board = kit.add("plain", OBJECTS, (0.85, 0.87, 0.88), gloss=0.06, roughness=0.1)
    face = kit.picture("paper", OBJECTS) if rng.random() < 0.5 else board
    parts = [
        box((0, 0, 1.3), (width, 0.03, 1.0), board),
        quad((-width / 2 + 0.03, -0.017, 0.83), (width - 0.06, 0, 0), (0, 0, 0.94), face),
        boxes([(s * width / 2, 0, 0.95) for s in (-1, 1)], (0.04, 0.04, 1.75), steel),
        boxes([(s * width / 2, 0, 0.08) for s in (-1, 1)], (0.05, 0.6, 0.05), steel),
    ]
    return Furniture(merge(parts))
