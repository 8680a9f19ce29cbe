"""A tiny sequence folder for the tests of what reads one."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

CAMERA = {"width": 64, "height": 48, "fx": 60.0, "fy": 60.0, "cx": 31.5, "cy": 23.5}


def picture(level: int) -> np.ndarray:
    rng = np.random.default_rng(level)
    return cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (64, 48))


def write_sequence(folder: Path, frames: int = 9, depth: bool = False) -> Path:
    (folder / "color").mkdir(parents=True)
    (folder / "depth").mkdir()
    rows = ["frame,t_seconds,has_depth"]
    for index in range(frames):
        cv2.imwrite(str(folder / "color" / f"{index:06d}.jpg"), picture(index))
        stored = np.full((48, 64), 1000 * (index + 1), np.uint16)
        stored[:5] = 0
        cv2.imwrite(str(folder / "depth" / f"{index:06d}.png"), stored)
        rows.append(f"{index:06d},{index * 0.1:.3f},{int(depth and index % 2 == 0)}")
    (folder / "frames.csv").write_text("\n".join(rows) + "\n")
    (folder / "intrinsics.json").write_text(json.dumps(CAMERA))
    return folder
