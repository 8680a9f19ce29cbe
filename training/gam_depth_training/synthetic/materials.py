"""Materials: a texture, a tint and how it answers light; chosen anew for every room."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .mesh import Mesh
from .textures import TextureBank

Rng = np.random.Generator
Tint = tuple[float, float, float]


@dataclass(frozen=True)
class MaterialTable:
    """One row per material.

    texture: int64 M. tint: float32 M×3, linear 0..1. repeat_m: float32 M, metres per texture
    repeat (1 for pictures, whose uv is 0..1). gloss: float32 M, mirror share at normal incidence,
    0..1. roughness: float32 M, spread of mirrored rays. emission: float32 M, radiance per albedo.
    label: uint8 M, NYU-13 id. mean_albedo: float32 M×3.
    """

    texture: NDArray[np.int64]
    tint: NDArray[np.float32]
    repeat_m: NDArray[np.float32]
    gloss: NDArray[np.float32]
    roughness: NDArray[np.float32]
    emission: NDArray[np.float32]
    label: NDArray[np.uint8]
    mean_albedo: NDArray[np.float32]


def hsv(hue: float, saturation: float, value: float) -> Tint:
    """Linear tint from a display colour (linear = display²)."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0), 1), min(value, 1))
    return red**2, green**2, blue**2


@dataclass
class MaterialKit:
    """Collects the materials of one scene; a row is made when a mesh asks for it.

    ``made`` keeps small things by their maker, for reuse within the scene.
    """

    bank: TextureBank
    rng: Rng
    rows: list[tuple[int, Tint, float, float, float, float, int]] = field(default_factory=list)
    made: dict[object, list[Mesh]] = field(default_factory=dict)

    def add(self, kind: str, label: int, tint: Tint = (1, 1, 1), *, repeat_m: float = 1.0,
            gloss: float = 0.0, roughness: float = 0.1, emission: float = 0.0) -> int:  # fmt: skip
        """A new material with a random texture of ``kind``; returns its row."""
        texture = int(self.rng.choice(self.bank.kinds[kind]))
        self.rows.append((texture, tint, repeat_m, gloss, roughness, emission, label))
        return len(self.rows) - 1

    def any_tint(self, saturation: float = 0.7) -> Tint:
        """A random colour, often grey, white or dark."""
        rng = self.rng
        pick = rng.random()
        if pick < 0.3:
            return hsv(rng.random(), rng.uniform(0, 0.1), rng.uniform(0.75, 1))
        if pick < 0.5:
            return hsv(rng.random(), rng.uniform(0, 0.2), rng.uniform(0.12, 0.35))
        return hsv(rng.random(), rng.uniform(0.15, 1) * saturation, rng.uniform(0.25, 0.95))

    def wood(self, label: int) -> int:
        """Wood: light, red, dark or painted."""
        rng = self.rng
        tint = hsv(rng.uniform(0.03, 0.12), rng.uniform(0.15, 0.75), rng.uniform(0.2, 1.0))
        gloss = 0.0 if rng.random() < 0.5 else rng.uniform(0.01, 0.08)
        return self.add("wood", label, tint, repeat_m=rng.uniform(0.4, 1.2), gloss=gloss,
                        roughness=rng.uniform(0.02, 0.25))  # fmt: skip

    def painted(self, label: int) -> int:
        """Lacquer, laminate or plastic of one colour."""
        rng = self.rng
        gloss = 0.0 if rng.random() < 0.4 else rng.uniform(0.02, 0.12)
        return self.add("plain", label, self.any_tint(), repeat_m=1.5, gloss=gloss,
                        roughness=rng.uniform(0.02, 0.3))  # fmt: skip

    def hard(self, label: int) -> int:
        """Wood, lacquer, stone or metal: what cabinets and tables are made of."""
        pick = self.rng.random()
        if pick < 0.5:
            return self.wood(label)
        if pick < 0.9:
            return self.painted(label)
        return self.metal(label) if pick < 0.95 else self.stone(label)

    def metal(self, label: int) -> int:
        """Steel legs and frames, chromed to black."""
        rng = self.rng
        value = float(rng.choice([0.08, 0.2, 0.6, 0.85]))
        return self.add("metal", label, hsv(0.6, 0.05, value), repeat_m=0.5,
                        gloss=rng.uniform(0.05, 0.4), roughness=rng.uniform(0.02, 0.3))  # fmt: skip

    def stone(self, label: int) -> int:
        """Counters and hard floors."""
        rng = self.rng
        tint = hsv(rng.random(), rng.uniform(0, 0.2), rng.uniform(0.3, 1))
        gloss, rough = rng.uniform(0, 0.1), rng.uniform(0.02, 0.2)
        return self.add(
            "stone", label, tint, repeat_m=rng.uniform(0.5, 2), gloss=gloss, roughness=rough
        )

    def cloth(self, label: int) -> int:
        """Fabric or leather."""
        rng = self.rng
        if rng.random() < 0.2:
            tint = hsv(rng.uniform(0, 0.1), rng.uniform(0, 0.7), rng.uniform(0.1, 0.9))
            return self.add("leather", label, tint, repeat_m=0.4, gloss=0.03, roughness=0.3)
        kind = "plain" if rng.random() < 0.25 else "fabric"
        return self.add(kind, label, self.any_tint(), repeat_m=rng.uniform(0.15, 1.0))

    def picture(self, kind: str, label: int, *, gloss: float = 0.0, emission: float = 0.0) -> int:
        """A texture shown once over a unit-uv rectangle, in its own colours."""
        return self.add(kind, label, gloss=gloss, roughness=0.02, emission=emission)

    def table(self) -> MaterialTable:
        """Freeze the rows collected so far."""
        texture, tint, repeat, gloss, rough, emission, label = zip(*self.rows, strict=True)
        ids = np.array(texture, np.int64)
        tints = np.array(tint, np.float32)
        return MaterialTable(
            ids,
            tints,
            np.array(repeat, np.float32),
            np.array(gloss, np.float32),
            np.array(rough, np.float32),
            np.array(emission, np.float32),
            np.array(label, np.uint8),
            self.bank.mean[ids] * tints,
        )
