"""What a recording yields: a frame with its truth, or the reason why a frame was lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.frame import Frame
from gam_depth_ros.evaluation.bag_writer import OutMessage

KEPT_REASONS = 100


@dataclass(frozen=True)
class Sample:
    """One readable frame of a recording.

    Attributes:
        frame: The frame, with the paired reference depth where there is one.
        bag_time_ns: When the recorder received the image, nanoseconds; its stamp in a folder.
        labels: H×W uint8 true label ids (255 unlabelled), None where there are none.
        exact_depth_m: H×W float32 exact depth in metres (NaN unknown), None where there is none.
        camera_info: The image's CameraInfo as rosbags decoded it; None where there is none.
        notes: One-line remarks, for example on an unreadable reference.
    """

    frame: Frame
    bag_time_ns: int
    labels: npt.NDArray[np.uint8] | None = None
    exact_depth_m: npt.NDArray[np.float32] | None = None
    camera_info: Any = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FrameFailure:
    """A frame that could not be read.

    Attributes:
        stamp_ns: Its stamp, or the receive time where the stamp is unreadable too.
        bag_time_ns: When the recorder received it, nanoseconds.
        reason: One line: got, expected.
    """

    stamp_ns: int
    bag_time_ns: int
    reason: str


@dataclass
class RecordingStats:
    """Counts of one pass over a recording.

    Attributes:
        images: Images met, readable or not.
        failed: Images that could not be read.
        reasons: Why, the first hundred.
    """

    images: int = 0
    failed: int = 0
    reasons: list[str] = field(default_factory=list)

    def fail(self, reason: str) -> None:
        """Count one unreadable image."""
        self.failed += 1
        if len(self.reasons) < KEPT_REASONS:
            self.reasons.append(reason)


class Recording(Protocol):
    """A bag or a sequence folder.

    Attributes:
        kind: What it is, in words.
        path: Where it lies.
        topics: Which topic plays which part; empty for a folder.
        stats: Counts of the latest pass.
        frame_count: Number of images where it is known beforehand.
    """

    kind: str
    path: Path
    topics: dict[str, str | None]
    stats: RecordingStats
    frame_count: int | None

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on the recording as a whole, complete after a pass."""

    def samples(self) -> Iterator[Sample | FrameFailure]:
        """Yield every frame in the order of the stamps, and a failure for each unreadable one."""

    def frames(self) -> Iterator[Frame]:
        """Yield the readable frames in the order of the stamps."""

    def input_messages(self) -> Iterator[OutMessage]:
        """Yield the recording's inputs as ROS 2 messages, in the order of their bag times."""
