"""Video of a made-up room whose motion is known exactly: a textured wall with boards before it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

HEIGHT, WIDTH, FOCAL = 180, 240, 200.0
WALL_M, BOARD_M = 3.0, 1.5
MATRIX = np.array([[FOCAL, 0, (WIDTH - 1) / 2], [0, FOCAL, (HEIGHT - 1) / 2], [0, 0, 1]])


def _texture(seed: int, height: int = 500, width: int = 900) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 255, (height // 6, width // 6, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


_WALLS = {seed: _texture(seed) for seed in (1, 2)}
_BOARDS = {seed: _texture(seed + 10) for seed in (1, 2)}


def view(x_m: float = 0.0, yaw_rad: float = 0.0, room: int = 1) -> np.ndarray:
    """Return H×W×3 uint8 from a camera moved to the right by ``x_m`` and turned by ``yaw_rad``."""
    rotation = cv2.Rodrigues(np.array([0.0, yaw_rad, 0.0]))[0]
    picture = None
    for texture, depth in ((_WALLS[room], WALL_M), (_BOARDS[room], BOARD_M)):
        # Texture pixels lie on a plane at this depth, one pixel of the resting camera each.
        place = np.array([[1, 0, -450], [0, 1, -250], [0, 0, FOCAL]], np.float64) * (depth / FOCAL)
        place[:, 2] -= (x_m, 0, 0)
        mapping = MATRIX @ rotation @ place
        seen = cv2.warpPerspective(texture, mapping, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
        if picture is None:
            picture = seen
            continue
        mask = np.zeros(texture.shape[:2], np.uint8)
        for column in range(60, 900, 160):
            mask[210:290, column : column + 60] = 255
        board = cv2.warpPerspective(mask, mapping, (WIDTH, HEIGHT), flags=cv2.INTER_NEAREST)
        picture = np.where(board[..., None] > 0, seen, picture)
    return picture


def parallax_of(x_m: float) -> float:
    """Return the median displacement that moving by ``x_m`` gives on the wall, share of width."""
    return FOCAL * x_m / WALL_M / WIDTH


def write_sequence(path: Path, pictures: list[np.ndarray], *, calibrated: bool = True) -> Path:
    """Write pictures as a sequence folder; every second frame has a depth of two metres."""
    (path / "color").mkdir(parents=True)
    (path / "depth").mkdir()
    lines = ["frame,source_file,t_seconds,has_depth,has_pose"]
    for index, picture in enumerate(pictures):
        name = f"{index:06d}"
        cv2.imwrite(str(path / "color" / f"{name}.png"), picture[..., ::-1])
        if index % 2 == 0:
            depth = np.full(picture.shape[:2], 2000 + index, np.uint16)
            depth[:20] = 0
            cv2.imwrite(str(path / "depth" / f"{name}.png"), depth)
        lines.append(f"{name},x,{1000 + index / 10:.6f},{int(index % 2 == 0)},0")
    (path / "frames.csv").write_text("\n".join(lines) + "\n")
    if calibrated:
        values = {"width": WIDTH, "height": HEIGHT, "fx": FOCAL, "fy": FOCAL}
        values.update(cx=(WIDTH - 1) / 2, cy=(HEIGHT - 1) / 2, sensor="made up")
        (path / "intrinsics.json").write_text(json.dumps(values))
    return path


def walk(
    frames: int, step_m: float = 0.05, start_m: float = 0.0, room: int = 1
) -> list[np.ndarray]:
    """Return the pictures of a camera that moves to the right."""
    return [view(start_m + step_m * index, room=room) for index in range(frames)]
