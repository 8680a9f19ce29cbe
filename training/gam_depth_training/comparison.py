"""What the variants of an ablation see, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import torch

from gam_depth_training.ablate import run_folder
from gam_depth_training.pictures import Picture, contact_sheet, depth_picture
from gam_depth_training.recipe import Recipe
from gam_depth_training.release import load_network
from gam_depth_training.video_fit import WEIGHTS
from gam_depth_training.video_validation import ReferenceFrames, network_input

FRAMES = 5
_CELL_HW = (144, 192)
_BAND = 22


def draw_comparison(
    out: Path, rows: Sequence[tuple[str, Recipe]], seed: int, frames: ReferenceFrames
) -> Path:
    """Draw colour, reference and each row's depth for a few validation frames.

    Colours run over each picture's own depths.

    Args:
        out: Folder of the ablation.
        rows: Names and recipes.
        seed: Of the runs to show.
        frames: Validation frames.

    Returns:
        The file, ``depths.jpg``.
    """
    networks = [load_network(run_folder(out, name, seed) / WEIGHTS) for name, _ in rows]
    lines: list[list[Picture]] = []
    for frame in frames.thinned(FRAMES):
        cells = [frame.rgb, depth_picture(frame.depth_m)]
        for network, (_, recipe) in zip(networks, rows, strict=True):
            with torch.no_grad():
                depth = network(network_input(frame.rgb, recipe.size_hw)).depth
            cells.append(depth_picture(depth[0, 0].numpy()))
        lines.append(cells)
    sheet = contact_sheet(lines, _CELL_HW)
    captions = ["picture", "sensor", *(name for name, _ in rows)]
    path = out / "depths.jpg"
    cv2.imwrite(str(path), cv2.cvtColor(_captioned(sheet, captions), cv2.COLOR_RGB2BGR))
    return path


def _captioned(sheet: Picture, captions: list[str]) -> Picture:
    """Put a line of words above the columns."""
    framed = cv2.copyMakeBorder(sheet, _BAND, 0, 0, 0, cv2.BORDER_CONSTANT, value=(255,) * 3)
    width = sheet.shape[1] // len(captions)
    for column, caption in enumerate(captions):
        at = (column * width + 4, _BAND - 7)
        cv2.putText(framed, caption, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return framed
