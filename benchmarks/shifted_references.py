"""How many shifted references are believed before one is refused, from many moments on.

    python benchmarks/shifted_references.py FOLDERS

A fault run shows one moment; how soon a shift is noticed depends on what edges the view has. Here
the shift begins at every fourth reference of each recording, for the whole depth and for one from
which a quarter is withheld in blocks, as fusion is scored. Unshifted references that are refused
are counted too. The network does not run.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import cv2
import numpy as np
from faults import BLOCK_PX, BLOCK_SEED, BLOCK_SHARE

from gam_depth_ros.core.reference_check import ReferenceCheck
from gam_depth_ros.core.scale_config import ScaleConfig
from gam_depth_ros.evaluation.bag import open_recording
from gam_depth_ros.evaluation.withholding import withhold_blocks

SHIFTS_PX = (40, -40, 20)
EVERY, SETTLE, WATCHED = 4, 5, 10
Pair = tuple[np.ndarray, np.ndarray]


def shifted(depth_m: np.ndarray, shift_px: int) -> np.ndarray:
    """The depth moved to the right, without readings where it came from."""
    moved = np.full_like(depth_m, np.nan)
    if shift_px > 0:
        moved[:, shift_px:] = depth_m[:, :-shift_px]
    else:
        moved[:, :shift_px] = depth_m[:, -shift_px:]
    return moved


def prepared(depth_m: np.ndarray, withheld: bool) -> np.ndarray:
    """The depth as delivered."""
    return withhold_blocks(depth_m, BLOCK_PX, BLOCK_SHARE, BLOCK_SEED)[0] if withheld else depth_m


def watch(pairs: list[Pair], withheld: bool) -> tuple[int, list[ReferenceCheck]]:
    """Refusals of a recording as it is, and the check's state before each reference."""
    check, before, refused = ReferenceCheck(ScaleConfig()), [], 0
    for rgb, depth_m in pairs:
        before.append(copy.copy(check))
        refused += check.problem(rgb, prepared(depth_m, withheld)) is not None
    return refused, before


def believed(check: ReferenceCheck, pairs: list[Pair], shift_px: int, withheld: bool) -> int:
    """How many shifted references pass before the first is refused."""
    for count, (rgb, depth_m) in enumerate(pairs):
        if check.problem(rgb, prepared(shifted(depth_m, shift_px), withheld)) is not None:
            return count
    return len(pairs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=Path, nargs="+", help="with reference depth")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"mean of shifted references believed, and % of the moments from which {WATCHED} were")
    shifts = "".join(f"{f'{shift} px':>14}" for shift in SHIFTS_PX)
    print(f"{'':22}{'depth':10}{'references':>12}{'refused':>9}{'moments':>9}{shifts}")
    for folder in options.recordings:
        frames = open_recording(folder).frames()
        pairs = [(f.rgb, f.reference.depth_m) for f in frames if f.reference is not None]
        starts = range(SETTLE, len(pairs) - WATCHED, EVERY)
        for withheld in (False, True):
            refused, before = watch(pairs, withheld)
            cells = []
            for shift_px in SHIFTS_PX:
                counts = [
                    believed(copy.copy(before[i]), pairs[i : i + WATCHED], shift_px, withheld)
                    for i in starts
                ]
                never = 100 * np.mean(np.array(counts) == WATCHED)
                cells.append(f"{np.mean(counts):.1f} / {never:.0f} %")
            kind = "3 of 4" if withheld else "whole"
            print(
                f"{folder.name:22}{kind:10}{len(pairs):12d}{refused:9d}{len(starts):9d}"
                + "".join(f"{cell:>14}" for cell in cells),
                flush=True,
            )


if __name__ == "__main__":
    main()
