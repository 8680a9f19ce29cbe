"""Tiny pictures, depths and lists for the tests of public data sets."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def write_picture(path: Path, width: int = 64, height: int = 48, level: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.full((height, width, 3), level, np.uint8)
    picture[:, : width // 2] = level // 2
    assert cv2.imwrite(str(path), picture)
    return path


def write_depth(path: Path, value: int, width: int = 64, height: int = 48) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    depth = np.full((height, width), value, np.uint16)
    depth[0] = 0
    assert cv2.imwrite(str(path), depth)
    return path


def write_list(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def nyu_line(root: Path, scene: str) -> str:
    names = [f"{scene}/r-{n:02d}.ppm" for n in (40, 0, 10, 20, 30, 50, 60, 70, 80)]
    for name in names:
        write_picture(root / name, 640, 480, level=100 + int(name[-6:-4]))
    return " ".join(names)
