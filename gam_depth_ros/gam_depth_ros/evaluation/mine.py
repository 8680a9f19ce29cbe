"""Recordings through the pipeline, once to judge every frame and once to write the chosen ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from gam_depth_ros.core.config import PipelineConfig
from gam_depth_ros.core.pipeline import PerceptionPipeline
from gam_depth_ros.evaluation.bag_contents import BagError
from gam_depth_ros.evaluation.mining import (
    FrameMark,
    MiningRules,
    Pick,
    choose_frames,
    mark_frame,
    stretches,
)
from gam_depth_ros.evaluation.mining_pictures import PickPicture, draw_pick
from gam_depth_ros.evaluation.observation import Observation, fitting_reference, observe
from gam_depth_ros.evaluation.sample import FrameFailure, Recording, Sample
from gam_depth_ros.evaluation.stretch_writer import StretchInfo, StretchWriter, check_lens

EARLIEST_DATE_S = 946_684_800
"""2000-01-01: stamps before it count from the start of something, and tell no date."""
DRIFT_WINDOW_FRAMES = 1_000_000
DRIFT_MIN_FRAMES = 20


@dataclass(frozen=True)
class RecordingMarks:
    """What one pass over a recording gave.

    Attributes:
        name: What it is called.
        marks: Of its processed frames.
        failures: Frames lost on the way.
        start_ns: Stamp of the first frame, 0 without one.
        drift: Population stability index by quantity over the whole recording.
        drift_line: The same for people.
    """

    name: str
    marks: list[FrameMark]
    failures: int
    start_ns: int
    drift: dict[str, float]
    drift_line: str


@dataclass(frozen=True)
class MiningResult:
    """What was chosen and why.

    Attributes:
        report: The content of ``mine.json``.
        pictures: One for each pick, in the report's order.
    """

    report: dict[str, Any]
    pictures: list[PickPicture]


def mining_config(config: PipelineConfig) -> PipelineConfig:
    """Return the settings with drift counted over a whole recording instead of a recent window."""
    drift = replace(
        config.health.drift, window_frames=DRIFT_WINDOW_FRAMES, min_frames=DRIFT_MIN_FRAMES
    )
    return replace(config, health=replace(config.health, drift=drift))


def judge_recording(
    recording: Recording,
    name: str,
    pipeline: PerceptionPipeline,
    *,
    max_frames: int | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> RecordingMarks:
    """Run a recording and mark every frame; memory grows by some 500 bytes a frame."""
    marks: list[FrameMark] = []
    failures, index, quality = 0, -1, None
    for event in observe(recording, pipeline, time.perf_counter_ns):
        index += 1
        if isinstance(event, Observation):
            marks.append(mark_frame(index, event, pipeline.config.pairing_slop_s))
            quality = event.quality
        else:
            failures += 1
        on_frame()
        if max_frames is not None and index + 1 >= max_frames:
            break
    return RecordingMarks(
        name=name,
        marks=marks,
        failures=failures,
        start_ns=marks[0].stamp_ns if marks else 0,
        drift={} if quality is None else quality.drift,
        drift_line="" if quality is None else quality.drift_line,
    )


def mine(
    recordings: Sequence[Recording],
    pipeline: PerceptionPipeline,
    rules: MiningRules,
    out: Path,
    *,
    max_frames: int | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> MiningResult:
    """Choose frames of several recordings and write them below ``out``/sequences.

    Args:
        recordings: Where the frames come from; read twice.
        pipeline: With :func:`mining_config`; its state is reset for each recording.
        rules: How many, how far apart.
        out: The directory.
        max_frames: Stop after so many images of each recording.
        on_frame: Called after every frame of the first pass.

    Raises:
        BagError: pictures without a calibration that a folder can state, or frames at ``out``.
    """
    names = _names(recordings)
    judged = []
    for recording, name in zip(recordings, names, strict=True):
        check_lens(_first_intrinsics(recording), recording.path)
        judged.append(
            judge_recording(
                recording, name, pipeline, max_frames=max_frames, on_frame=on_frame
            )
        )
    picks = choose_frames([found.marks for found in judged], rules)
    pictures: dict[tuple[int, int], PickPicture] = {}
    written = []
    for place, recording in enumerate(recordings):
        writer = _PickedWriter(recording, names[place], place, picks, rules, out / "sequences")
        written += writer.write(pipeline, pictures)
    pictures_in_order = [pictures[pick.recording, pick.mark.index] for pick in picks]
    return MiningResult(_report(pipeline, rules, judged, picks, written), pictures_in_order)


class _PickedWriter:
    """Writes the stretches of one recording, and draws its picks."""

    def __init__(
        self,
        recording: Recording,
        name: str,
        place: int,
        picks: Sequence[Pick],
        rules: MiningRules,
        out: Path,
    ) -> None:
        self._recording, self._name, self._place, self._out = recording, name, place, out
        self._rules = rules
        self._picks = {pick.mark.index: pick for pick in picks if pick.recording == place}
        self._ranges = stretches(picks, place, rules.reach)

    def write(
        self, pipeline: PerceptionPipeline, pictures: dict[tuple[int, int], PickPicture]
    ) -> list[str]:
        """Return the names of the folders written."""
        folders = []
        samples = enumerate(self._recording.samples())
        for first, last in self._ranges:
            folder = self._out / f"{self._name}_{first:06d}"
            writer: StretchWriter | None = None
            picked: dict[str, str] = {}
            for index, sample in samples:
                if first <= index <= last and isinstance(sample, Sample):
                    writer = writer or StretchWriter(folder, _intrinsics(sample, folder))
                    name = self._add(writer, index, sample, pipeline.config.pairing_slop_s)
                    if index in self._picks:
                        picked[name] = ", ".join(why for why, _ in self._picks[index].reasons)
                        pictures[self._place, index] = draw_pick(sample, pipeline)
                if index >= last:
                    break
            if writer is not None:
                source = str(self._recording.path)
                writer.finish(StretchInfo(self._rules.frame_gap, self._name, source, picked))
                folders.append(folder.name)
        return folders

    def _add(self, writer: StretchWriter, index: int, sample: Sample, slop_s: float) -> str:
        depth_m = fitting_reference(sample, slop_s)
        source = f"{self._name} image {index}"
        return writer.add(sample.frame.rgb, depth_m, sample.frame.stamp_ns, source)


def _report(
    pipeline: PerceptionPipeline,
    rules: MiningRules,
    judged: Sequence[RecordingMarks],
    picks: Sequence[Pick],
    written: Sequence[str],
) -> dict[str, Any]:
    engine = pipeline.engine
    recordings = [
        {
            "name": found.name,
            "date": date_of(found.start_ns),
            "frames": len(found.marks),
            "failed": found.failures,
            "picked": sum(pick.recording == place for pick in picks),
            "drift": dict(sorted(found.drift.items())),
            "drift_line": found.drift_line,
        }
        for place, found in enumerate(judged)
    ]
    return {
        "format_version": 1,
        "model": {"name": engine.spec.name, "sha256": engine.sha256},
        "rules": {
            "frames": rules.frames,
            "apart_s": rules.apart_s,
            "frame_gap": rules.frame_gap,
            "neighbours": rules.neighbours,
        },
        # By date, those that tell none at the end.
        "recordings": sorted(recordings, key=lambda row: (not row["date"], row["date"])),
        "picks": [
            {
                "recording": judged[pick.recording].name,
                "index": pick.mark.index,
                "stamp_ns": pick.mark.stamp_ns,
                "seconds": (pick.mark.stamp_ns - judged[pick.recording].start_ns) / 1e9,
                "reasons": dict(pick.reasons),
                "figures": {
                    name: None if value != value else value
                    for name, value in pick.mark.figures.items()
                },
                "novelty": pick.novelty,
            }
            for pick in picks
        ],
        "folders": list(written),
    }


def date_of(stamp_ns: int) -> str:
    """Return the UTC date and time of a stamp, empty where it is no wall clock's."""
    seconds = stamp_ns // 1_000_000_000
    if seconds < EARLIEST_DATE_S:
        return ""
    return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


def _names(recordings: Sequence[Recording]) -> list[str]:
    names = [recording.path.resolve().stem for recording in recordings]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BagError(
            f"recordings: got two named {twice[0]}, expected different names; rename one"
        )
    return names


def _first_intrinsics(recording: Recording) -> Any:
    """Return the calibration of the first readable frame, before hours of work."""
    frame = next(iter(recording.frames()), None)
    if frame is None:
        raise BagError(f"{recording.path}: got no readable picture, expected some; record again")
    return frame.intrinsics


def _intrinsics(sample: Sample | FrameFailure, folder: Path) -> Any:
    assert isinstance(sample, Sample)
    check_lens(sample.frame.intrinsics, folder)
    return sample.frame.intrinsics
