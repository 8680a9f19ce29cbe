"""Sort the frames of a recording into stretches of video in which neighbours overlap."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_ros.core.frame import Frame
from gam_depth_training.extract_report import (
    BLANK,
    LITTLE_PARALLAX,
    SHORT,
    STILL,
    ExtractOptions,
    ExtractReport,
)
from gam_depth_training.frame_geometry import FrameGeometry
from gam_depth_training.parallax import (
    FEWEST_TRACKS,
    Grey,
    corner_count,
    measure_motion,
    working_picture,
)
from gam_depth_training.sequence_writer import SequenceWriter


@dataclass(frozen=True)
class Candidate:
    """A readable, calibrated frame on its way."""

    index: int
    frame: Frame
    intrinsics: Intrinsics
    grey: Grey
    sharpness: float


class Stretches:
    """Sorts sharp frames: kept, dropped, or the first of a new stretch."""

    def __init__(self, work: Path, options: ExtractOptions, report: ExtractReport) -> None:
        self.done: list[SequenceWriter] = []
        self._work = work
        self._options = options
        self._report = report
        self._geometry: FrameGeometry | None = None
        self._writer: SequenceWriter | None = None
        self._last: Grey | None = None
        self._begun = 0

    def take(self, candidate: Candidate) -> None:
        """Keep or drop a frame."""
        geometry = self._geometry
        if geometry is None or geometry.camera != candidate.intrinsics:
            self.close()
            geometry = self._geometry = FrameGeometry.whole(candidate.intrinsics)
        rgb = geometry.rectify(candidate.frame.rgb)
        grey = working_picture(rgb)
        if corner_count(grey) < FEWEST_TRACKS:
            self._report.drop(BLANK)
            return
        motion = float("nan")
        if self._last is not None:
            measured = measure_motion(self._last, grey, geometry.intrinsics)
            motion = measured.residual
            if not measured.followed:
                self.close()
                motion = float("nan")
            elif motion < self._options.min_motion:
                still = measured.flow < self._options.still_flow
                self._report.drop(STILL if still else LITTLE_PARALLAX)
                return
        if self._writer is None:
            self._writer = SequenceWriter(self._work / f"{self._begun:04d}", geometry.intrinsics)
            self._begun += 1
        self._write(self._writer, geometry, candidate, rgb, motion)
        self._last = grey

    def _write(
        self,
        writer: SequenceWriter,
        geometry: FrameGeometry,
        candidate: Candidate,
        rgb: npt.NDArray[np.uint8],
        motion: float,
    ) -> None:
        frame = candidate.frame
        reference = frame.reference
        depth_m = None
        if reference is not None and reference.frame_id != frame.frame_id:
            note = (
                f"reference depth in {reference.frame_id}, pictures in {frame.frame_id}: not "
                "registered, left out"
            )
            if note not in self._report.notes:
                self._report.notes.append(note)
        elif reference is not None:
            depth_m = geometry.rectify_depth(reference.depth_m)
        writer.add(rgb, depth_m, frame.stamp_ns, f"picture {candidate.index}", motion)

    def close(self) -> None:
        """End the stretch; one that is too short is dropped."""
        writer, self._writer, self._last = self._writer, None, None
        if writer is None:
            return
        if len(writer) >= self._options.min_frames:
            self.done.append(writer)
            return
        # A lone first frame, after which nothing moved, is a still frame like the ones after it.
        lone_still = len(writer) == 1 and self._report.dropped[STILL] > 0
        for _ in range(len(writer)):
            self._report.drop(STILL if lone_still else SHORT)
        writer.discard()
