"""Steps of exposure on recordings: false alarms, and how many steps are seen in their first frame.

    python benchmarks/exposure_steps.py FOLDERS

The light of a recording changes from one frame on (at gamma 2.2, clipped), at twelve places. A
room's limit is twice the largest change in the other rooms, as the shipped one is twice the largest
in all. Only the condition ``exposure_step`` is asked; the network does not run.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from limits_by_room import print_rooms

from gam_depth_ros.core.exposure_watch import ExposureWatch
from gam_depth_ros.core.health_config import LimitConfig
from gam_depth_ros.core.picture_statistics import PictureStatistics, picture_statistics
from gam_depth_ros.core.preprocessing import prepare
from gam_depth_ros.evaluation.bag import open_recording
from gam_depth_training.reference_pictures import room_of

LIGHTS = (0.15, 0.25, 0.4, 0.6, 2.5, 4.0)
PLACES = 12
WARM_UP = 5
INPUT_HW = (96, 128)
Seen = list[tuple[int, dict[float, PictureStatistics]]]


def in_light(rgb: np.ndarray, light: float) -> np.ndarray:
    """The picture as taken with that much light."""
    levels = 255 * np.arange(256) / 255 * light ** (1 / 2.2)
    return np.asarray(cv2.LUT(rgb, np.clip(levels, 0, 255).astype(np.uint8)))


def look(folder: Path) -> Seen:
    """Stamps, and the figures of every picture by light."""
    seen = []
    for frame in open_recording(folder).frames():
        small = prepare(frame.rgb, INPUT_HW)[0]
        figures = {light: picture_statistics(in_light(small, light)) for light in (1.0, *LIGHTS)}
        seen.append((frame.stamp_ns, figures))
    return seen


def changes(seen: Seen, light: float = 1.0, start: int = 0) -> list[float]:
    """The figure of each frame, where the light changes at ``start``."""
    watch, found = ExposureWatch(), []
    for index, (stamp_ns, figures) in enumerate(seen):
        picture = figures[light if index >= start else 1.0]
        found.append(watch.step(picture, stamp_ns))
        watch.follow(picture, stamp_ns)
    return found


def first_frames(seen: Seen, light: float) -> list[float]:
    """The figure in the first frame of the changed light, at several places."""
    starts = range(WARM_UP, len(seen), max(1, len(seen) // PLACES))
    return [changes(seen[: start + 1], light, start)[start] for start in starts]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=Path, nargs="+", help="sequence folders or bags")
    options = parser.parse_args()
    rooms: dict[str, list[Seen]] = defaultdict(list)
    for folder in options.recordings:
        rooms[room_of(folder)].append(look(folder))
    usual = {room: [x for seen in runs for x in changes(seen)] for room, runs in rooms.items()}
    faulty = {
        light: {
            room: [x for seen in runs for x in first_frames(seen, light)]
            for room, runs in rooms.items()
        }
        for light in LIGHTS
    }
    print("room: frames, largest change, limit from the other rooms, false alarms; then steps seen")
    print(f"in their first frame, %, by light {LIGHTS}, and with the shipped limit")
    print_rooms(usual, faulty, LimitConfig().exposure_step)


if __name__ == "__main__":
    main()
