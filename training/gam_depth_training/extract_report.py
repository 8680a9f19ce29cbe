"""What extraction is told, and what it says afterwards."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from gam_depth_training.frame_gap import TARGET_PARALLAX, FrameGap

UNREADABLE = "unreadable"
UNCALIBRATED = "without calibration"
BLANK = "blank or dark"
BLURRED = "blurred"
STILL = "still"
LITTLE_PARALLAX = "little parallax"
SHORT = "in too short a stretch"

KEPT_REASONS = 100


class ExtractError(ValueError):
    """A recording gives no sequence. The message is one line: got, expected, remedy."""


@dataclass(frozen=True)
class ExtractOptions:
    """What makes a frame worth keeping; lengths are shares of the picture's width.

    Attributes:
        min_motion: Least displacement since the last kept frame that no rotation explains.
        still_flow: Displacement, rotation included, below which a dropped frame is called still.
        blur_ratio: A frame is blurred where its sharpness is below this share of the median of its
            neighbours in time.
        blur_reach: How many frames on either side are its neighbours.
        min_frames: Sequences shorter than this are dropped: five frames hold one target with two
            neighbours on either side.
        target_parallax: Wished parallax between neighbours, see ``choose_gap``.
        gap: Frame gap to write instead of the measured one; None measures.
        room: Name of the place, so that splits can keep a room on one side; None takes the
            recording's name.
    """

    min_motion: float = 0.001
    still_flow: float = 0.003
    blur_ratio: float = 0.4
    blur_reach: int = 4
    min_frames: int = 9
    target_parallax: float = TARGET_PARALLAX
    gap: int | None = None
    room: str | None = None


@dataclass(frozen=True)
class WrittenSequence:
    """One sequence folder.

    Attributes:
        folder: Where.
        frames: Kept frames.
        depth_frames: Frames with reference depth.
        gap: The frame gap and why.
    """

    folder: Path
    frames: int
    depth_frames: int
    gap: FrameGap


@dataclass
class ExtractReport:
    """What became of a recording.

    Attributes:
        images: Pictures met.
        sequences: What was written.
        dropped: How many frames were dropped, by reason.
        reasons: What was wrong with unreadable or uncalibrated frames, the first hundred.
        notes: Remarks on the recording.
    """

    images: int = 0
    sequences: list[WrittenSequence] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def kept(self) -> int:
        """Frames in the sequences."""
        return sum(sequence.frames for sequence in self.sequences)

    def drop(self, why: str, reason: str = "") -> None:
        """Count a dropped frame."""
        self.dropped[why] += 1
        if reason and len(self.reasons) < KEPT_REASONS:
            self.reasons.append(reason)
