"""Compute once per target what every epoch needs: directions, magnitude, key points, labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from gam_depth_training.clip import Clip, read_picture
from gam_depth_training.file_digest import file_digest
from gam_depth_training.gradient_mask import gradient_magnitude
from gam_depth_training.keypoints import dso_keypoints, keypoint_map
from gam_depth_training.label_sources import LabelSource, short_digest
from gam_depth_training.manhattan import manhattan_directions
from gam_depth_training.prepared import (
    INDEX_FILE,
    PreparedIndex,
    grey_weights,
    labels_file,
    read_target,
    target_file,
    write_labels,
    write_target,
)

# Raise it when directions, magnitude or key points are computed differently: caches then renew.
TARGET_VERSION = 1
KEPT_REASONS = 100

Advance = Callable[[str], None]


@dataclass
class PrepareReport:
    """What became of the clips.

    Attributes:
        clips: Clips asked for.
        computed: Targets computed in this run.
        reused: Targets found finished.
        without_directions: Targets with too few lines for Manhattan directions.
        labelled: Targets with proxy labels.
        failed: Targets that are left out, or left without labels.
        reasons: Why, the first hundred: clip and reason.
    """

    clips: int = 0
    computed: int = 0
    reused: int = 0
    without_directions: int = 0
    labelled: int = 0
    failed: int = 0
    reasons: list[str] = field(default_factory=list)

    def fail(self, key: str, reason: str) -> None:
        """Count a failure."""
        self.failed += 1
        if len(self.reasons) < KEPT_REASONS:
            self.reasons.append(f"{key}: {reason}")


@dataclass(frozen=True)
class _Task:
    """A target to compute, small enough to be sent to a process."""

    clip: Clip
    size_hw: tuple[int, int]
    out: Path
    swapped_grey_weights: bool


@dataclass(frozen=True)
class _Outcome:
    """What became of a task: a digest, or an error."""

    picture: str = ""
    digest: str = ""
    reused: bool = False
    has_directions: bool = False
    error: str = ""


def prepare(
    clips: Sequence[Clip],
    size_hw: tuple[int, int],
    out: Path,
    labels: LabelSource | None = None,
    workers: int = 1,
    advance: Advance = lambda stage: None,
    swapped_grey_weights: bool = False,
) -> PrepareReport:
    """Compute what is missing; what is finished and still right is kept.

    Args:
        clips: Their targets are prepared.
        size_hw: Height and width of the network's input.
        out: Folder of the cache; several data sets of one size may share it.
        labels: Where proxy labels come from; None leaves them out.
        workers: Processes for directions, magnitude and key points; labels are made in this one.
        advance: Called with "targets" or "labels" after each clip.
        swapped_grey_weights: See OfficialQuirks.

    Raises:
        ValueError: ``out`` holds another size or magnitudes of another grey, or every single
            target or label failed.
        OSError: Disk full or not writable.
    """
    out.mkdir(parents=True, exist_ok=True)
    index = _open_index(out, size_hw, swapped_grey_weights)
    # What this run is asked for and fails at must not keep an older picture's files.
    asked = {clip.key for clip in clips}
    others = {key: entry for key, entry in index.targets.items() if key not in asked}
    if labels and index.classes not in (0, labels.classes) and any(e[1] for e in others.values()):
        raise ValueError(
            f"{out}: got other targets with labels of {index.classes} classes, expected "
            f"{labels.classes} as {labels.name} has; choose another --out"
        )
    report = PrepareReport(clips=len(clips))
    entries: dict[str, tuple[str, str | None]] = {}
    pictures: dict[str, str] = {}
    tasks = [_Task(clip, size_hw, out, swapped_grey_weights) for clip in clips]
    for clip, outcome in zip(clips, _outcomes(tasks, workers), strict=True):
        advance("targets")
        if outcome.error:
            report.fail(clip.key, outcome.error)
            continue
        report.reused += outcome.reused
        report.computed += not outcome.reused
        report.without_directions += not outcome.has_directions
        entries[clip.key] = (outcome.digest, None)
        pictures[clip.key] = outcome.picture
    if clips and not entries:
        raise ValueError(f"prepare: got {len(clips)} targets, none usable; {report.reasons[0]}")
    if labels is not None:
        _label([clip for clip in clips if clip.key in entries], labels, size_hw, out,
               pictures, entries, report, advance)  # fmt: skip
    name, classes = (labels.name, labels.classes) if labels else (index.labels, index.classes)
    targets = {**others, **entries}
    PreparedIndex(size_hw, classes, name, targets, swapped_grey_weights).write(out)
    return report


def _open_index(out: Path, size_hw: tuple[int, int], swapped_grey_weights: bool) -> PreparedIndex:
    """Return what is already there; refuse another size or another grey."""
    if not (out / INDEX_FILE).exists():
        return PreparedIndex(size_hw, 0, "", {}, swapped_grey_weights)
    index = PreparedIndex.read(out)
    if index.size_hw != tuple(size_hw):
        raise ValueError(
            f"{out}: got a folder prepared for {index.size_hw[0]}x{index.size_hw[1]}, expected "
            f"{size_hw[0]}x{size_hw[1]}; choose another --out"
        )
    if index.swapped_grey_weights != swapped_grey_weights:
        raise ValueError(
            f"{out}: got gradient magnitudes with {grey_weights(index.swapped_grey_weights)} grey "
            f"weights, expected {grey_weights(swapped_grey_weights)} ones; choose another --out"
        )
    return index


def _outcomes(tasks: list[_Task], workers: int) -> Iterator[_Outcome]:
    """Carry out the tasks in order, here or in a pool."""
    if workers <= 1:
        yield from map(_compute, tasks)
        return
    # Spawned, not forked: a parent that already runs threads (torch) must not be copied.
    with ProcessPoolExecutor(workers, get_context("spawn"), _start_worker) as pool:
        yield from pool.map(_compute, tasks, chunksize=4)


def _start_worker() -> None:
    cv2.setNumThreads(1)


def _compute(task: _Task) -> _Outcome:
    """Compute a target's file unless it is there."""
    clip, geometry = task.clip, task.clip.geometry
    try:
        picture = file_digest(clip.target)
        digest = short_digest(
            TARGET_VERSION, picture, geometry, task.size_hw, task.swapped_grey_weights
        )
        file = target_file(task.out, digest)
        if file.exists():
            try:
                directions, _, _ = read_target(file)
                return _Outcome(picture, digest, True, bool(np.isfinite(directions).all()))
            except ValueError:
                file.unlink()  # broken: computed again
        rgb = read_picture(clip.target)
        window = geometry.rectify(rgb)
        own_size = (window.shape[0], window.shape[1])
        # Lines and key points are found at the picture's own resolution: directions do not depend
        # on it, and a small network input would leave few lines.
        found = manhattan_directions(
            np.ascontiguousarray(window), geometry.resized(own_size).matrix()
        )
        directions = np.full((6, 3), np.nan, np.float32) if found is None else found
        magnitude = gradient_magnitude(
            np.ascontiguousarray(geometry.resized(task.size_hw).apply(rgb)),
            task.swapped_grey_weights,
        )
        points = keypoint_map(dso_keypoints(window), own_size, task.size_hw)
        write_target(file, directions.astype(np.float32), magnitude, points.astype(np.uint8))
    except (ValueError, FileNotFoundError) as error:
        return _Outcome(error=str(error))
    return _Outcome(picture, digest, False, found is not None)


def _label(
    clips: Sequence[Clip],
    source: LabelSource,
    size_hw: tuple[int, int],
    out: Path,
    pictures: dict[str, str],
    entries: dict[str, tuple[str, str | None]],
    report: PrepareReport,
    advance: Advance,
) -> None:
    """Add labels to the entries."""
    for clip in clips:
        try:
            digest = short_digest(pictures[clip.key], clip.geometry, size_hw, source.digest(clip))
            file = labels_file(out, digest)
            if not file.exists():
                write_labels(file, source.labels(clip, size_hw))
            entries[clip.key] = (entries[clip.key][0], digest)
            report.labelled += 1
        except ValueError as error:
            report.fail(clip.key, str(error))
        advance("labels")
    if clips and not report.labelled:
        raise ValueError(
            f"prepare: got no labels for any of {len(clips)} targets from {source.name}; "
            f"{report.reasons[-1]}"
        )
