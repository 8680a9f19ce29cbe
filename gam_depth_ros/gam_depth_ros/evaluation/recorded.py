"""Outputs that a node published and a recorder kept, put beside the images they belong to."""

from __future__ import annotations

import struct
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from gam_depth_ros.core.config import PipelineConfig
from gam_depth_ros.core.frame import (
    ACQUIRING,
    HOLDING,
    LOCKED,
    LOST,
    SOURCE_FUSED,
    SOURCE_SENSOR,
    UNKNOWN,
    ScaleState,
)
from gam_depth_ros.core.image_codec import ImageError
from gam_depth_ros.evaluation.bag_contents import BagError, RawMessage
from gam_depth_ros.evaluation.bag_recording import BagRecording
from gam_depth_ros.evaluation.message_decoding import depth_of, ids_of
from gam_depth_ros.evaluation.observation import ConstantFloor, Dropped, Event, Float, Observation
from gam_depth_ros.evaluation.perception_messages import (
    DEPTH,
    MASK,
    SCALE,
    SOURCE,
    STATUS,
    UNCERTAINTY,
)
from gam_depth_ros.evaluation.ros_types import NANOSECONDS, SCALE_STATUS, message_class
from gam_depth_ros.evaluation.rosbag_reader import Bag, open_bag
from gam_depth_ros.evaluation.sample import FrameFailure, Sample

STATES = (UNKNOWN, ACQUIRING, LOCKED, HOLDING, LOST)
PER_FRAME = (DEPTH, UNCERTAINTY, SOURCE, MASK, SCALE)


class RecordedOutputs:
    """The outputs of a bag, handed out by the stamp of their image, in one forward pass.

    A first look at the headers tells which stamps have outputs at all. So the second, which
    decodes, needs no time-out: it reads on exactly until everything of a stamp is there.

    Args:
        bag: A handle of its own on the bag.

    Raises:
        BagError: the bag has no recorded depth.
    """

    def __init__(self, bag: Bag) -> None:
        if DEPTH not in bag.topics:
            raise BagError(
                f"{bag.path}: got no topic {DEPTH}, expected a recording of the node's outputs; "
                "record it too, or evaluate without --recorded"
            )
        self._bag = bag
        self._expected = Counter((raw.topic, _stamp_ns(raw)) for raw in bag.messages(PER_FRAME))
        self._stream = bag.messages(PER_FRAME)
        self._read: defaultdict[tuple[str, int], deque[RawMessage]] = defaultdict(deque)

    def take(self, topic: str, stamp_ns: int) -> RawMessage | None:
        """Return the next output of a topic for an image, None where none was published."""
        key = (topic, stamp_ns)
        if not self._expected[key]:
            return None
        self._expected[key] -= 1
        while not self._read[key]:
            raw = next(self._stream, None)
            if raw is None:
                return None
            self._read[(raw.topic, _stamp_ns(raw))].append(raw)
        found = self._read[key].popleft()
        if not self._read[key]:
            del self._read[key]
        return found

    def status(self) -> Any:
        """Return the node's last PerceptionStatus, None where there is none."""
        last = None
        for raw in self._bag.messages({STATUS}):
            last = raw
        try:
            return None if last is None else self._bag.decode(last)
        except BagError:
            return None

    def decode(self, raw: RawMessage) -> Any:
        """Decode a message; raises BagError."""
        return self._bag.decode(raw)


def observe_recorded(
    recording: BagRecording, outputs: RecordedOutputs, config: PipelineConfig
) -> Iterator[Event]:
    """Yield every image of a recording with the outputs that were recorded for it."""
    floor = ConstantFloor(config)
    for sample in recording.samples():
        if isinstance(sample, FrameFailure):
            yield sample
            continue
        stamp_ns = sample.frame.stamp_ns
        floor_scale = floor.step(sample)
        found = {topic: outputs.take(topic, stamp_ns) for topic in PER_FRAME}
        if found[DEPTH] is None:
            yield Dropped(sample)
            continue
        try:
            yield _observation(sample, found, outputs, floor_scale)
        except (BagError, ImageError) as error:
            yield FrameFailure(stamp_ns, sample.bag_time_ns, str(error))


def open_recorded(recording: BagRecording) -> RecordedOutputs:
    """Open the outputs that lie in the same bag; raises BagError where there are none."""
    return RecordedOutputs(open_bag(recording.path))


def _observation(
    sample: Sample,
    found: dict[str, RawMessage | None],
    outputs: RecordedOutputs,
    floor_scale: float,
) -> Observation:
    size_hw = sample.frame.rgb.shape[:2]
    depth_raw = found[DEPTH]
    assert depth_raw is not None
    depth_m = _image(outputs, depth_raw, depth_of, size_hw)
    sigma_m = _optional(outputs, found[UNCERTAINTY], depth_of, size_hw)
    labels = _optional(outputs, found[MASK], ids_of, size_hw)
    scale_raw = found[SCALE]
    scale = None if scale_raw is None else outputs.decode(scale_raw)
    source = _optional(outputs, found[SOURCE], ids_of, size_hw)
    if source is not None:
        # Fusion puts this frame's own sensor depth into what is published: never scored by it.
        unseen = np.where((source == SOURCE_SENSOR) | (source == SOURCE_FUSED), np.nan, 1.0)
        depth_m = depth_m * unseen.astype(np.float32)
    known = bool(np.isfinite(depth_m).any())
    latency_ns = depth_raw.bag_time_ns - sample.bag_time_ns
    return Observation(
        sample=sample,
        depth=depth_m if known else None,
        metric_depth_m=depth_m if known else None,
        sigma_log=_sigma_log(depth_m, sigma_m, scale) if known else None,
        metric_sigma_m=sigma_m if known else None,
        labels=labels,
        scale=float("nan") if scale is None else float(scale.value),
        scale_source="" if scale is None else str(scale.source),
        floor_scale=floor_scale,
        # Equal times come from an offline replay, which has no latency to tell.
        latency_ms=latency_ns / 1e6 if latency_ns > 0 else float("nan"),
        notes=sample.notes,
        interval_90=_interval(scale, "interval_90"),
        interval_95=_interval(scale, "interval_95"),
        source=source,
        scale_state=_state(scale),
    )


def _sigma_log(depth_m: Float, sigma_m: Float | None, scale: Any) -> Float | None:
    """Return the network's own sigma of log depth: the published one without the scale's part."""
    if sigma_m is None:
        return None
    of_scale = 0.0 if scale is None or not np.isfinite(scale.sigma_log) else float(scale.sigma_log)
    return np.asarray(
        np.sqrt(np.maximum((sigma_m / depth_m) ** 2 - np.float32(of_scale**2), 0.0)), np.float32
    )


def _interval(scale: Any, name: str) -> float:
    """Return a factor on sigma; NaN without a ScaleStatus, or from a node that told none yet."""
    value = float(getattr(scale, name, float("nan")))
    return value if value > 0.0 else float("nan")


def _state(scale: Any) -> ScaleState | None:
    """Return the scale that a ScaleStatus tells, None where it tells none that makes sense."""
    # Our own numbers: of a definition that a bag brings along, no constants are taken.
    names = {getattr(message_class(SCALE_STATUS), name): name for name in STATES}
    if scale is None or scale.state not in names:
        return None
    spread, age_s = float(scale.sigma_log), float(scale.age_s)
    try:
        return ScaleState(
            state=names[scale.state],
            source=str(scale.source),
            value=float(scale.value),
            sigma_log=spread if np.isfinite(spread) else float("inf"),
            age_s=age_s if np.isfinite(age_s) else float("inf"),
            reason=str(scale.reason),
        )
    except ValueError:
        return None


def _optional(
    outputs: RecordedOutputs, raw: RawMessage | None, decode: Any, size_hw: tuple[int, ...]
) -> Any:
    return None if raw is None else _image(outputs, raw, decode, size_hw)


def _image(outputs: RecordedOutputs, raw: RawMessage, decode: Any, size_hw: tuple[int, ...]) -> Any:
    pixels = decode(outputs.decode(raw))
    if pixels.shape != tuple(size_hw):
        raise BagError(
            f"{raw.topic}: got {pixels.shape[1]}x{pixels.shape[0]}, expected "
            f"{size_hw[1]}x{size_hw[0]} like the image"
        )
    return pixels


def _stamp_ns(raw: RawMessage) -> int:
    """Read the stamp that every stamped CDR message starts with; -1 where it is cut off."""
    if len(raw.data) < 12:
        return -1
    seconds, nanoseconds = struct.unpack_from("<iI" if raw.data[1] else ">iI", raw.data, 4)
    return int(seconds) * NANOSECONDS + int(nanoseconds)
