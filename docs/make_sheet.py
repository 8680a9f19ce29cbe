"""A sheet of pictures of what models say about recordings, for their cards.

    python docs/make_sheet.py --model models/gam-depth-r18.onnx RECORDING... --out pictures.jpg

A row is a frame: colour, sensor depth, then depth, sigma and mask of each model. Depth stands under
the frame's median where the sensor reads, in the colours of the report pages: near warm, far cool.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.preprocessing import prepare
from gam_depth_ros.evaluation.pictures import UNKNOWN_RGB, paint, paint_depth
from gam_depth_training.picture_answers import ReferencePicture
from gam_depth_training.reference_pictures import recorded_pictures

Rgb = npt.NDArray[np.uint8]
TILE_HW = (120, 160)
SIGMA_LIMITS = (0.0, 0.6)
NEAR_FAR_SHARES = (0.02, 0.98)
LOOKED_AT = 64


def main() -> None:
    """Read the command line and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--model", action="append", required=True, type=Path)
    parser.add_argument("--frames", type=int, default=2, help="frames of each recording")
    parser.add_argument("--hide-colour", action="append", default=[], help="a recording's name")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    engines = [OnnxEngine(path, EngineConfig(threads=1, warmup_runs=0)) for path in options.model]
    names = [path.stem for path in options.model]
    rows, titles = [], []
    for recording in options.recordings:
        hidden = recording.stem in options.hide_colour
        for picture in with_depth(recording, options.frames):
            rows.append(list(tiles(picture, engines, hidden)))
            titles.append(recording.stem)
    columns = ["colour", "sensor depth"]
    columns += [f"{name}\n{what}" for name in names for what in ("depth", "sigma", "mask")]
    draw(rows, columns, titles, options.out)


def with_depth(recording: Path, count: int) -> list[ReferencePicture]:
    """Return ``count`` frames that have sensor depth, evenly spread, without the two ends."""
    found = [one for one in recorded_pictures(recording, LOOKED_AT) if one.depth_m is not None]
    chosen = np.linspace(0, len(found) - 1, count + 2).round().astype(int)[1:-1]
    return [found[index] for index in np.unique(chosen)]


def tiles(picture: ReferencePicture, engines: Sequence[OnnxEngine], hidden: bool) -> Iterator[Rgb]:
    """Yield a row's pictures, H×W×3 uint8 RGB of one size."""
    unknown = np.full((*TILE_HW, 3), UNKNOWN_RGB, np.uint8)
    small = cv2.resize(picture.rgb, TILE_HW[::-1], interpolation=cv2.INTER_AREA)
    answers = [engine.run(prepare(picture.rgb, engine.spec.input_size_hw)) for engine in engines]
    depths = [cv2.resize(one.depth, TILE_HW[::-1]) for one in answers]
    truth_m = None
    if picture.depth_m is not None:
        truth_m = np.asarray(picture.depth_m, np.float32)
        truth_m = cv2.resize(truth_m, TILE_HW[::-1], interpolation=cv2.INTER_NEAREST)
        truth_m = np.where(truth_m > 0, truth_m, np.nan)
        depths = [depth * np.nanmedian(truth_m / depth) for depth in depths]
    near, far = np.quantile(np.stack(depths), NEAR_FAR_SHARES)
    yield unknown if hidden else small
    yield unknown if truth_m is None else paint_depth(truth_m, (near, far))
    for answer, depth, engine in zip(answers, depths, engines, strict=True):
        yield paint_depth(depth, (near, far))
        yield paint(cv2.resize(answer.sigma, TILE_HW[::-1]), "magma", *SIGMA_LIMITS)
        mask = engine.spec.labels.colorize(answer.label)
        yield cv2.resize(mask, TILE_HW[::-1], interpolation=cv2.INTER_NEAREST)


def draw(
    rows: Sequence[Sequence[Rgb]], columns: Sequence[str], titles: Sequence[str], out: Path
) -> None:
    """Write the sheet, with a title over each column and beside each recording's first row."""
    height, width = 1.25 * len(rows) + 0.5, 1.6 * len(columns) + 0.4
    figure, axes = plt.subplots(
        len(rows), len(columns), figsize=(width, height), squeeze=False, layout="constrained"
    )
    for index, row in enumerate(rows):
        for axis, tile in zip(axes[index], row, strict=True):
            axis.imshow(tile)
            axis.set_xticks([])
            axis.set_yticks([])
        if index == 0 or titles[index] != titles[index - 1]:
            axes[index][0].set_ylabel(titles[index], fontsize=6)
    for axis, title in zip(axes[0], columns, strict=True):
        axis.set_title(title, fontsize=7)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    main()
