"""A lens covered in part, on recordings: false alarms, and how often it is seen.

    python benchmarks/partly_covered.py FOLDERS

Something dark lies over a part of every picture's width, with its own noise. A room's limit is
twice the largest figure in the other rooms, as the shipped one is twice the largest in all. Only
the condition ``partly_covered`` is asked; the network does not run.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from limits_by_room import print_rooms

from gam_depth_ros.core.cover_watch import CoverWatch
from gam_depth_ros.core.health_config import LimitConfig
from gam_depth_ros.core.preprocessing import prepare
from gam_depth_ros.evaluation.bag import open_recording
from gam_depth_training.picture_faults import cover
from gam_depth_training.reference_pictures import room_of

SHARES = (0.15, 0.25, 0.5, 0.75)
INPUT_HW = (96, 128)
SETTLED_NS = 1_100_000_000
Found = dict[float, list[float]]


class SameThing:
    """A source of randomness that gives one number once and for all, and noise that is new."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._number = self._rng.uniform()

    def uniform(self, low: float, high: float) -> float:
        """Return the number, from 0 to 1, between the two."""
        return low + (high - low) * self._number

    def standard_normal(self, *arguments: object) -> np.ndarray:
        """Return new noise."""
        return self._rng.standard_normal(*arguments)


def look(folder: Path, seed: int) -> Found:
    """The figure of each frame by covered share: 0 as it is; the others from a second on."""
    watches = {share: CoverWatch() for share in (0.0, *SHARES)}
    things = {share: SameThing(seed) for share in SHARES}
    found: Found = defaultdict(list)
    first_ns = None
    for frame in open_recording(folder).frames():
        small = prepare(frame.rgb, INPUT_HW)[0]
        first_ns = frame.stamp_ns if first_ns is None else first_ns
        for share, watch in watches.items():
            rgb = cover(small, share, things[share]) if share else small
            value = watch.share(rgb, frame.stamp_ns)
            if not share or frame.stamp_ns - first_ns > SETTLED_NS:
                found[share].append(value)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=Path, nargs="+", help="sequence folders or bags")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    rooms: dict[str, list[Found]] = defaultdict(list)
    for seed, folder in enumerate(options.recordings):
        rooms[room_of(folder)].append(look(folder, seed))
    usual = {room: [x for found in runs for x in found[0.0]] for room, runs in rooms.items()}
    faulty = {
        share: {room: [x for found in runs for x in found[share]] for room, runs in rooms.items()}
        for share in SHARES
    }
    print("room: frames, largest figure, limit from the other rooms, false alarms; then frames, a")
    print(f"second after the start, that are seen, %, by covered share {SHARES}, with the limit")
    print("from the other rooms / the shipped one")
    print_rooms(usual, faulty, LimitConfig().partly_covered_share)


if __name__ == "__main__":
    main()
