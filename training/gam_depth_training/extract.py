"""Recordings → sequences that depth can be learned from: undistorted, moving, sharp.

A frame is kept when it shows something new: points followed from the last kept frame have moved by
more than a rotation explains. What is dropped is counted by reason. Where too few points can be
followed from one frame to the next (a cut, a sweep over a blank wall), a new sequence begins, since
its frames are no neighbours of the ones before.
"""

from __future__ import annotations

import json
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_ros.evaluation.bag import FrameFailure, Recording
from gam_depth_training.extract_report import (
    BLURRED,
    UNCALIBRATED,
    UNREADABLE,
    ExtractError,
    ExtractOptions,
    ExtractReport,
    WrittenSequence,
)
from gam_depth_training.frame_gap import FrameGap, choose_gap
from gam_depth_training.parallax import sharpness, working_picture
from gam_depth_training.sequence_writer import SequenceWriter
from gam_depth_training.stretches import Candidate, Stretches

_UNCALIBRATED_LIMIT = 50


def extract(
    recording: Recording,
    out: Path,
    options: ExtractOptions | None = None,
    camera: Intrinsics | None = None,
    advance: Callable[[], None] = lambda: None,
) -> ExtractReport:
    """Write the useful parts of a recording as sequence folders.

    Args:
        recording: A bag or a sequence folder.
        out: Folder for ``NAME``, or ``NAME_00``, ``NAME_01``... where the recording falls apart;
            NAME is the recording's.
        options: See ExtractOptions.
        camera: Calibration of the pictures; None takes the recording's own.
        advance: Called once for every picture.

    Raises:
        ExtractError: No calibration, nothing worth keeping, or the output exists.
        CameraError: The calibration cannot be used.
        OSError: Disk full or not writable.
    """
    options = options or ExtractOptions()
    name = recording.path.resolve().stem
    if any(out.glob(f"{name}_[0-9][0-9]")) or (out / name).exists():
        raise ExtractError(
            f"{out / name}: got a sequence of that name already, expected none; remove it or "
            "choose another folder"
        )
    _check_temporal(recording)
    work = out / f".{name}.partial"
    shutil.rmtree(work, ignore_errors=True)
    report = ExtractReport()
    stretches = Stretches(work, options, report)
    try:
        for candidate, typical in _beside_neighbours(
            _candidates(recording, camera, report, advance), options.blur_reach
        ):
            if candidate.sharpness < options.blur_ratio * typical:
                report.drop(BLURRED)
            else:
                stretches.take(candidate)
        stretches.close()
        if not stretches.done:
            raise _nothing_left(recording, report, options)
        _finish(recording, out, name, stretches.done, options, report, camera is not None)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.notes += recording.notes
    return report


def _candidates(
    recording: Recording,
    camera: Intrinsics | None,
    report: ExtractReport,
    advance: Callable[[], None],
) -> Iterator[Candidate]:
    """Yield the frames that can be read and have a calibration; count the others."""
    calibrated = False
    for index, sample in enumerate(recording.samples()):
        report.images += 1
        advance()
        if isinstance(sample, FrameFailure):
            report.drop(UNREADABLE, sample.reason)
            continue
        frame = sample.frame
        intrinsics = camera or frame.intrinsics
        if intrinsics is None:
            report.drop(UNCALIBRATED, "; ".join(sample.notes))
            if not calibrated and report.dropped[UNCALIBRATED] >= _UNCALIBRATED_LIMIT:
                raise _uncalibrated(recording, report)
            continue
        calibrated = True
        intrinsics.require_size((frame.rgb.shape[0], frame.rgb.shape[1]))
        grey = working_picture(frame.rgb)
        yield Candidate(index, frame, intrinsics, grey, sharpness(grey))


def _beside_neighbours(
    candidates: Iterator[Candidate], reach: int
) -> Iterator[tuple[Candidate, float]]:
    """Yield each frame with the median sharpness of its neighbours before and after."""
    window: deque[Candidate] = deque()
    position = 0
    for candidate in candidates:
        window.append(candidate)
        if len(window) - position > reach:
            yield window[position], _typical(window, position)
            position += 1
        if position > reach:
            window.popleft()
            position -= 1
    for rest in range(position, len(window)):
        yield window[rest], _typical(window, rest)


def _typical(window: deque[Candidate], position: int) -> float:
    others = [one.sharpness for index, one in enumerate(window) if index != position]
    return float(np.median(others)) if others else 0.0


def _finish(
    recording: Recording,
    out: Path,
    name: str,
    writers: list[SequenceWriter],
    options: ExtractOptions,
    report: ExtractReport,
    from_file: bool,
) -> None:
    """Choose each sequence's gap, write its tables and move it to its place."""
    known = _known_of(recording)
    for number, writer in enumerate(writers):
        gap = choose_gap(writer.read_grey, len(writer), writer.intrinsics, options.target_parallax)
        if options.gap is not None:
            gap = FrameGap(options.gap, gap.parallax, gap.flow, "as asked for")
        sequence = {
            "frame_gap": gap.gap,
            "gap_reason": gap.reason,
            "room": options.room or name,
            "recording": recording.path.name,
            "sensor": known.get("sensor"),
            "parallax_per_frame": _or_none(gap.parallax),
            "flow_per_frame": _or_none(gap.flow),
            "topics": {part: topic for part, topic in recording.topics.items() if topic},
            "calibration": "file" if from_file else "recording",
            "stretch": [number, len(writers)],
            "recording_images": report.images,
            "recording_dropped": dict(report.dropped),
            "options": asdict(options),
        }
        writer.finish(known, sequence)
        target = out / (name if len(writers) == 1 else f"{name}_{number:02d}")
        writer.folder.rename(target)
        report.sequences.append(WrittenSequence(target, len(writer), writer.depth_frames, gap))


def _or_none(value: float) -> float | None:
    """JSON knows no NaN."""
    return round(value, 5) if np.isfinite(value) else None


def _known_of(recording: Recording) -> dict[str, Any]:
    """Return what a recording says about its sensor, source and terms."""
    data = _facts(recording)
    if data:
        known = {key: data[key] for key in ("sensor", "dataset", "source_repo", "licence")
                 if data.get(key)}  # fmt: skip
    else:
        names = [recording.topics.get(part) for part in ("image", "reference_depth")]
        known = {"sensor": ", ".join(name for name in names if name)}
    return {**known, "intrinsics_note": "undistorted and cropped to what the lens saw"}


def _facts(recording: Recording) -> dict[str, Any]:
    """Return intrinsics.json of a sequence folder; empty for a bag."""
    file = recording.path / "intrinsics.json"
    return json.loads(file.read_text()) if not recording.topics and file.exists() else {}


def _check_temporal(recording: Recording) -> None:
    """Refuse a key frame with neighbours of unknown order, as in demo clips of NYUv2 methods."""
    about = str(_facts(recording).get("fps", ""))
    if about.startswith("unknown"):
        raise ExtractError(
            f"{recording.path}: got frames of unknown order ('{about}'), expected temporal order; "
            "put the frames in order and give fps in intrinsics.json"
        )


def _uncalibrated(recording: Recording, report: ExtractReport) -> ExtractError:
    why = f" ({report.reasons[0]})" if report.reasons else ""
    return ExtractError(
        f"{recording.path}: got {report.dropped[UNCALIBRATED]} pictures without a camera_info"
        f"{why}, expected a calibration; give one with --camera FILE, or name its topic with "
        "--camera-info-topic"
    )


def _nothing_left(
    recording: Recording, report: ExtractReport, options: ExtractOptions
) -> ExtractError:
    if report.dropped[UNCALIBRATED] and report.dropped[UNCALIBRATED] >= 0.5 * report.images:
        return _uncalibrated(recording, report)
    lost = ", ".join(f"{count} {why}" for why, count in report.dropped.most_common()) or "none"
    return ExtractError(
        f"{recording.path}: got {report.images} pictures of which no sequence remains ({lost}), "
        f"expected at least {options.min_frames} in a row from a camera that moves; record while "
        "driving or walking, not turning on the spot, or lower --min-motion"
    )
