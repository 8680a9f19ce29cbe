"""False alarms and detections of frame health on recordings, with limits learnt elsewhere.

    python benchmarks/frame_health_on_recordings.py FOLDERS --shards data/shards

For every room in turn the limits come from the synthetic shards and the other rooms; the room's
frames, as they are, give the false alarms, and some of them made dark, bright, blurred, noisy or
covered the detections. Then: how much wider errors are against sigma, and drift between rooms.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np

from gam_depth_ros.core.drift import DriftMonitor
from gam_depth_ros.core.frame_health import Familiarity, score_of
from gam_depth_ros.core.health_config import DriftConfig
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.core.model_statistics import ModelStatistics
from gam_depth_training.batch import find_shards
from gam_depth_training.model_statistics import QUANTILE, training_statistics, value_of
from gam_depth_training.picture_answers import Answer, measure
from gam_depth_training.reference_pictures import (
    SYNTHETIC,
    recorded_pictures,
    room_of,
    shard_pictures,
)

Answers = dict[str, list[Answer]]


def raised(
    answer: Answer, statistics: ModelStatistics, familiarity: Familiarity | None
) -> set[str]:
    """The conditions that the limits raise on a picture."""
    return {
        name
        for name, limit in statistics.limits.items()
        if score_of(name, value_of(name, answer, familiarity), limit.limit) >= 1.0
    }


def familiarity_of(statistics: ModelStatistics) -> Familiarity | None:
    """The distance that goes with the limits."""
    return None if statistics.features is None else Familiarity(statistics.features)


def by_room(recorded: Answers) -> Answers:
    """Answers of the recordings of one room together."""
    rooms: Answers = defaultdict(list)
    for name, found in recorded.items():
        rooms[room_of(Path(name))] += found
    return dict(rooms)


def held_out_limits(
    synthetic: Answers, rooms: Answers, room: str, quantile: float
) -> ModelStatistics:
    """Limits from everything but one room."""
    others = {name: found for name, found in rooms.items() if name != room}
    return training_statistics({**synthetic, **others}, quantile, tuple(synthetic))


def print_false_alarms(recorded: Answers, limits: Mapping[str, ModelStatistics]) -> None:
    """One line a recording: share of its frames that raise each condition."""
    names = list(next(iter(limits.values())).limits)
    print("\nFalse alarms: % of the frames as they are; limits from the other rooms")
    print(f"{'':26}{'frames':>7}{'any':>7}" + "".join(f"{name[:12]:>14}" for name in names))
    total: list[set[str]] = []
    for name, found in recorded.items():
        statistics = limits[room_of(Path(name))]
        familiarity = familiarity_of(statistics)
        alarms = [raised(a, statistics, familiarity) for a in found if a.fault is None]
        total += alarms
        print(_alarm_line(name, alarms, names))
    print(_alarm_line("all", total, names))


def _alarm_line(name: str, alarms: list[set[str]], names: list[str]) -> str:
    shares = [100 * np.mean([condition in alarm for alarm in alarms]) for condition in names]
    cells = "".join(f"{share:14.2f}" for share in shares)
    return f"{name:26}{len(alarms):7d}{100 * np.mean([bool(a) for a in alarms]):7.2f}{cells}"


def print_detections(rooms: Answers, limits: Mapping[str, ModelStatistics]) -> None:
    """One line a fault and severity: detected by its own condition, by any, error, spread."""
    found: dict[tuple[str, str, float], list[tuple[bool, bool, float, float]]] = defaultdict(list)
    for room, answers in rooms.items():
        statistics, familiarity = limits[room], familiarity_of(limits[room])
        usual = _median([a.spread for a in answers if a.fault is None])
        for a in answers:
            if a.fault is None:
                continue
            alarm = raised(a, statistics, familiarity)
            factor = max([1.0, *(statistics.limits[name].sigma_factor for name in alarm)])
            key = (a.fault.condition, a.fault.unit, a.fault.amount)
            wider = a.spread / usual
            found[key].append((a.fault.condition in alarm, bool(alarm), wider, wider / factor))
    print("\nDetections: % of the pictures made bad; limits from the other rooms")
    print("wider: |error| / sigma against the same room's good frames, median; then with sigma")
    print("multiplied by the factor of what was raised")
    print(f"{'':22}{'severity':>24}{'n':>5}{'itself':>8}{'any':>8}{'wider':>8}{'after':>8}")
    for (condition, unit, amount), rows in found.items():
        itself, anything, wider, after = zip(*rows, strict=True)
        print(
            f"{condition:22}{amount:9g} {unit:14}{len(rows):5d}{100 * np.mean(itself):8.1f}"
            f"{100 * np.mean(anything):8.1f}{_median(wider):8.2f}{_median(after):8.2f}"
        )


def _median(values: Iterable[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.median(known)) if known else float("nan")


def print_limits(synthetic: Answers, rooms: Answers, quantile: float) -> ModelStatistics:
    """The limits learnt from everything, and what they weigh in a model file."""
    statistics = training_statistics({**synthetic, **rooms}, quantile, tuple(synthetic))
    print("\nLimits from everything: value and sigma factor")
    for name, limit in statistics.limits.items():
        print(f"  {name:22}{limit.limit:10.4g}{limit.sigma_factor:8.2f}")
    return statistics


def print_drift(synthetic: Answers, recorded: Answers, quantile: float) -> None:
    """Population stability index of each recording against the synthetic rooms."""
    statistics = training_statistics(synthetic, quantile)
    config = DriftConfig(window_frames=1000, min_frames=1)
    halves = [a for found in synthetic.values() for a in found if a.fault is None]
    runs = {"every 2nd synthetic": halves[::2], **recorded}
    print("\nDrift: PSI against the synthetic rooms at the end of each recording")
    names = [*statistics.distributions, "label_shares"]
    print(f"{'':26}" + "".join(f"{name[:10]:>12}" for name in names) + f"{'outside':>9}")
    for run, found in runs.items():
        monitor = DriftMonitor(statistics, config)
        for answer in found:
            if answer.fault is None:
                state = monitor.update(answer.quantities, answer.shares)
        cells = "".join(f"{state.psi.get(name, float('nan')):12.2f}" for name in names)
        print(f"{run:26}{cells}{max(state.outside.values()):9.2f}")


def gather(options: argparse.Namespace) -> tuple[Answers, Answers]:
    """Ask the model about shards and recordings."""
    shards = find_shards(options.shards)[: options.held_out]
    synthetic = measure(
        options.model, {SYNTHETIC: shard_pictures(shards, options.frames)}, options.faulty_every
    )
    recorded = measure(
        options.model,
        {path.name: recorded_pictures(path, options.frames) for path in options.recordings},
        options.faulty_every,
    )
    return synthetic, recorded


def report(synthetic: Answers, recorded: Answers, quantile: float) -> None:
    """Print every table."""
    rooms = by_room(recorded)
    limits = {room: held_out_limits(synthetic, rooms, room, quantile) for room in rooms}
    print_false_alarms(recorded, limits)
    print_detections(rooms, limits)
    print_limits(synthetic, rooms, quantile)
    print_drift(synthetic, recorded, quantile)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path, nargs="+", help="sequence folders or bags")
    parser.add_argument("--model", type=Path, default=default_model_path())
    parser.add_argument("--shards", type=Path, default=Path("data/shards"))
    parser.add_argument("--held-out", type=int, default=2, help="first shards that are read")
    parser.add_argument("--frames", type=int, default=100_000, help="most pictures of a recording")
    parser.add_argument("--faulty-every", type=int, default=16, help="pictures made bad")
    parser.add_argument("--quantile", type=float, default=QUANTILE)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    report(*gather(options), options.quantile)


if __name__ == "__main__":
    main()
