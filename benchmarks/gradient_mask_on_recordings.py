"""How flat the gradient-aware mask is on real frames: the paper's form and the adaptive one.

Without arguments: a few synthetic rooms. With sequence folders (color/NNNNNN.jpg): a row for each.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gam_depth_training.gradient_mask import (
    adaptive_gradient_mask,
    gradient_aware_mask,
    gradient_magnitude,
)
from gam_depth_training.synthetic.shards import room_frames
from gam_depth_training.synthetic.textures import make_texture_bank

TILE_HW = (180, 240)
Picture = NDArray[np.uint8]
SYNTHETIC = "synthetic rooms"
SYNTHETIC_SEEDS = ((7, 0), (7, 1), (7, 2))
MASKS = {"paper": gradient_aware_mask, "adaptive": adaptive_gradient_mask}


@dataclass(frozen=True)
class MaskFigures:
    """What a mask does to one frame.

    Attributes:
        mean: Mean of M.
        above_half: Share of the pixels with M above 0.5.
        strongest_tenth: Share of M's sum that lies on the tenth of the pixels with the largest
            gradient; 0.1 is what no mask gives.
    """

    mean: float
    above_half: float
    strongest_tenth: float


def mask_figures(mask: NDArray[np.float64], magnitude: NDArray[np.float64]) -> MaskFigures:
    """Measure one frame's mask, 1×H×W."""
    by_gradient = mask.ravel()[np.argsort(magnitude, axis=None, kind="stable")]
    tenth = by_gradient[-(by_gradient.size // 10) :]
    return MaskFigures(
        float(mask.mean()), float((mask > 0.5).mean()), float(tenth.sum() / mask.sum())
    )


def sequence_pictures(folder: Path, count: int, size_hw: tuple[int, int]) -> Iterator[Picture]:
    """At most ``count`` frames of a sequence folder, evenly spaced, RGB of ``size_hw``."""
    paths = sorted((folder / "color").glob("*.jpg"))
    if not paths:
        raise SystemExit(f"{folder}: got no color/*.jpg, expected a sequence folder; name another")
    for i in np.unique(np.linspace(0, len(paths) - 1, count).round().astype(int)):
        bgr = cv2.imread(str(paths[i]), cv2.IMREAD_COLOR)
        if bgr is not None:
            yield resized(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), size_hw)


def resized(rgb: Picture, size_hw: tuple[int, int]) -> Picture:
    """The picture at another size; area averaging, as good as Lanczos for shrinking."""
    return np.asarray(cv2.resize(rgb, size_hw[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def synthetic_pictures(size_hw: tuple[int, int]) -> Iterator[Picture]:
    """Views of procedural rooms."""
    bank = make_texture_bank(0)
    for seed in SYNTHETIC_SEEDS:
        for frame in room_frames(bank, list(seed), 2, size_hw):
            yield frame.rgb


def report(name: str, pictures: list[Picture]) -> str:
    """One line of the table: means over the frames of a sequence."""
    magnitudes = [gradient_magnitude(rgb) for rgb in pictures]
    p50, p90, p99 = np.mean([np.percentile(m, [50, 90, 99]) for m in magnitudes], axis=0)
    cells = [f"{name:26}{len(pictures):5d}{p50:7.0f}{p90:6.0f}{p99:6.0f}"]
    for mask in MASKS.values():
        rows = np.array([list(vars(mask_figures(mask(m), m)).values()) for m in magnitudes])
        mean, above, tenth = rows.mean(axis=0)
        highest = rows[:, 0].max()
        cells.append(f"{mean:9.3f}{highest:7.3f}{100 * above:8.2f}{100 * tenth:8.1f}")
    return "".join(cells)


def draw(pictures: list[Picture], path: Path) -> None:
    """Rows of picture, magnitude (white at 400), the paper's and the adaptive mask (white at 1)."""
    rows = []
    for rgb in pictures:
        magnitude = gradient_magnitude(rgb)
        planes = [magnitude / 400.0, *(mask(magnitude) for mask in MASKS.values())]
        grey = [np.clip(255 * plane[0], 0, 255).astype(np.uint8) for plane in planes]
        shown = [cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)]
        shown += [cv2.cvtColor(plane, cv2.COLOR_GRAY2BGR) for plane in grey]
        rows.append(np.hstack([resized(tile, TILE_HW) for tile in shown]))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 85])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sequences", type=Path, nargs="*", help="sequence folders")
    parser.add_argument("--frames", type=int, default=40, help="frames per sequence")
    parser.add_argument("--size", type=int, nargs=2, default=(288, 384), metavar=("H", "W"))
    parser.add_argument("--picture", type=Path, default=Path("out/gradient_mask.jpg"))
    options = parser.parse_args()

    cv2.setNumThreads(1)
    size_hw = (options.size[0], options.size[1])
    print(f"{size_hw[1]}x{size_hw[0]} pixels. M: mean over frames; max: the highest frame's mean;")
    print("> .5: % of the pixels; tenth: % of the sum of M on the tenth with the largest gradient")
    print(" " * 50 + "".join(f"{name:>32}" for name in MASKS))
    columns = f"{'M':>9}{'max':>7}{'> .5':>8}{'tenth':>8}" * len(MASKS)
    print(f"{'':26}{'n':>5}{'m: p50':>7}{'p90':>6}{'p99':>6}{columns}")
    drawn: list[Picture] = []
    for folder in options.sequences:
        pictures = list(sequence_pictures(folder, options.frames, size_hw))
        print(report(folder.name, pictures))
        drawn.append(pictures[len(pictures) // 2])
    if not options.sequences:
        pictures = list(synthetic_pictures(size_hw))
        print(report(SYNTHETIC, pictures))
        drawn = pictures[1::2]
    draw(drawn, options.picture)
    print(f"pictures, magnitudes and both masks: {options.picture}")


if __name__ == "__main__":
    main()
