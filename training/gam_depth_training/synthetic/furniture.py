"""What every piece of furniture tells the room about itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from .mesh import Mesh


@dataclass(frozen=True)
class Top:
    """A horizontal surface that things stand on, in the piece's own frame.

    center_m: x, y, z. size_m: x, y. use: "desk", "coffee" or "shelf" decides what stands there.
    clear_m: free height above it.
    """

    center_m: tuple[float, float, float]
    size_m: tuple[float, float]
    use: str
    clear_m: float = 1.0


@dataclass(frozen=True)
class Furniture:
    """A piece that stands on the floor at z = 0, centred on the origin.

    Its front looks along -y; its back (+y) goes to the wall. ``seats`` are x, y, z where a person
    may sit, looking along -y.
    """

    mesh: Mesh
    tops: tuple[Top, ...] = ()
    seats: tuple[tuple[float, float, float], ...] = field(default=())
