"""Frames out of a bag: images in the order of their stamps, each with the reference that fits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.camera import CameraError, Intrinsics
from gam_depth_ros.core.config import OdometryConfig, RegistrationConfig
from gam_depth_ros.core.frame import Frame, ReferenceDepth
from gam_depth_ros.core.image_codec import ImageError
from gam_depth_ros.core.pairing import StampPairer
from gam_depth_ros.evaluation.bag_contents import BagError, RawMessage
from gam_depth_ros.evaluation.bag_placement import Placement
from gam_depth_ros.evaluation.bag_writer import OutMessage
from gam_depth_ros.evaluation.message_decoding import color_of, depth_of, ids_of, intrinsics_of
from gam_depth_ros.evaluation.ros_types import NANOSECONDS, stamp_ns
from gam_depth_ros.evaluation.rosbag_reader import Bag, open_bag
from gam_depth_ros.evaluation.sample import FrameFailure, RecordingStats, Sample
from gam_depth_ros.evaluation.topics import Topics, choose_topics, describe

HOLD_NS = NANOSECONDS // 2
"""How long an image waits for its reference and for its elders, in bag time."""
HOLD_IMAGES = 32
"""How many images wait at most: memory stays flat even where all bag times are equal."""
HOLD_COMPANIONS = 128
LOOP_NS = NANOSECONDS
"""A stamp that falls back by more than this starts a new pass over the same recording."""

Scalar = TypeVar("Scalar", np.float32, np.uint8)


def _chosen(bag: Bag, wished: Topics) -> Topics:
    """Choose topics; where none will do, what is wrong with the bag may be why."""
    try:
        return choose_topics(bag, wished)
    except BagError as error:
        raise BagError("; ".join((str(error), *bag.problems))) from error


@dataclass(frozen=True)
class _Held:
    """A message that waits: the image itself, or something that may belong to one."""

    stamp_ns: int
    bag_time_ns: int
    message: Any


class BagRecording:
    """The frames of a bag, streamed.

    Args:
        bag: The bag.
        wished: The topics asked for.
        pairing_slop_s: Largest difference of stamps between an image and its companions, seconds.
        registration: What to do with depth in another frame or of another size than the image.
        odometry: How poses are told at the time of an image.

    Raises:
        BagError: as :func:`choose_topics`.
    """

    kind = "bag"

    def __init__(
        self,
        bag: Bag,
        wished: Topics,
        pairing_slop_s: float,
        registration: RegistrationConfig | None = None,
        odometry: OdometryConfig | None = None,
    ) -> None:
        self.bag = bag
        self.path = bag.path
        self.chosen = _chosen(bag, wished)
        self.topics = self.chosen.as_dict()
        self.stats = RecordingStats()
        self.frame_count = bag.topics[self.chosen.image or ""].count
        self._remarks: list[str] = []
        self._references_paired = 0
        self._slop_ns = round(pairing_slop_s * NANOSECONDS)
        self._configs = registration or RegistrationConfig(), odometry or OdometryConfig()
        self._placement = Placement(*self._configs, self._remark)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was chosen, what could not be read, and remarks of the latest pass."""
        return (describe(self.bag, self.chosen), *self.bag.problems, *self._remarks)

    def frames(self) -> Iterator[Frame]:
        """Yield the readable frames in the order of their stamps."""
        for sample in self.samples():
            if isinstance(sample, Sample):
                yield sample.frame

    def input_messages(self) -> Iterator[OutMessage]:
        """Yield the messages of the chosen topics as they are, in ROS 2 serialisation."""
        # A second handle: rosbags' readers keep one position in the file.
        bag = open_bag(self.path)
        for raw in bag.messages(self.chosen.names()):
            try:
                data = bag.to_cdr(raw)
            except BagError:
                continue  # samples() counts it, with the reason
            yield OutMessage(raw.topic, raw.msgtype, raw.bag_time_ns, data)

    def samples(self) -> Iterator[Sample | FrameFailure]:
        """Yield every frame in the order of the stamps, and a failure for each unreadable one."""
        self.stats = RecordingStats()
        self._remarks = []
        self._references_paired = references = 0
        waiting = _Waiting(self.chosen, self._slop_ns)
        self._placement = Placement(*self._configs, self._remark)
        self._placement.read_transforms(self.bag, self.chosen.tf_static)
        for raw in self.bag.messages(set(self.chosen.names()) - {self.chosen.tf_static}):
            is_image = raw.topic == self.chosen.image
            self.stats.images += is_image
            references += raw.topic == self.chosen.reference_depth
            try:
                held = self._hold(raw)
            except BagError as error:
                if is_image:
                    yield self._fail(raw.bag_time_ns, raw.bag_time_ns, str(error))
                else:
                    self._remark(str(error))
                continue
            if raw.topic == self.chosen.odometry:
                self._placement.add_odometry(held.message, held.stamp_ns)
                continue
            if waiting.begins_again(raw.topic, held):
                yield from (self._assemble(image, waiting) for image in waiting.drain())
                waiting.restart()
            waiting.add(raw.topic, held)
            yield from (self._assemble(image, waiting) for image in waiting.due(raw.bag_time_ns))
        yield from (self._assemble(image, waiting) for image in waiting.drain())
        readable = self.stats.images > self.stats.failed
        if references and readable and not self._references_paired:
            self._remark(
                f"{self.chosen.reference_depth}: got {references} images, none stamped within "
                f"{self._slop_ns / NANOSECONDS:g} s of a colour image, expected stamps of one "
                "clock; synchronise the cameras' clocks, or choose another topic"
            )

    def _hold(self, raw: RawMessage) -> _Held:
        message = self.bag.decode(raw)
        stamp = stamp_ns(message)
        if stamp == 0:
            self._remark(f"{raw.topic}: got stamps of zero, used the bag's receive time instead")
            stamp = raw.bag_time_ns
        return _Held(stamp, raw.bag_time_ns, message)

    def _remark(self, line: str) -> None:
        """Keep a remark, once, and not without end."""
        if line not in self._remarks and len(self._remarks) < 20:
            self._remarks.append(line)

    def _fail(self, stamp: int, bag_time_ns: int, reason: str) -> FrameFailure:
        self.stats.fail(reason)
        return FrameFailure(stamp, bag_time_ns, reason)

    def _assemble(self, held: _Held, waiting: _Waiting) -> Sample | FrameFailure:
        """Decode an image and what belongs to it."""
        topics, message = self.chosen, held.message
        try:
            rgb = color_of(message)
        except ImageError as error:
            reason = f"{topics.image}: {error}"
            return self._fail(held.stamp_ns, held.bag_time_ns, reason)
        notes: list[str] = []
        info = waiting.info(topics.camera_info)
        frame = Frame(
            rgb=rgb,
            stamp_ns=held.stamp_ns,
            # Some drivers name the frame in the calibration alone.
            frame_id=str(message.header.frame_id or (info.header.frame_id if info else "")),
            intrinsics=_intrinsics(waiting, topics.camera_info, rgb.shape, notes),
            reference=self._reference(held, waiting, notes),
        )
        return Sample(
            frame=self._placement.place(frame, notes),
            bag_time_ns=held.bag_time_ns,
            labels=_decoded(waiting.take(topics.labels, held), ids_of, topics.labels, notes),
            exact_depth_m=_decoded(
                waiting.take(topics.exact_depth, held), depth_of, topics.exact_depth, notes
            ),
            camera_info=info if frame.intrinsics else None,
            notes=tuple(notes),
        )

    def _reference(
        self, image: _Held, waiting: _Waiting, notes: list[str]
    ) -> ReferenceDepth | None:
        topic = self.chosen.reference_depth
        held = waiting.take(topic, image)
        self._references_paired += held is not None
        depth_m = _decoded(held, depth_of, topic, notes)
        if held is None or depth_m is None:
            return None
        return ReferenceDepth(
            depth_m=depth_m,
            stamp_ns=held.stamp_ns,
            frame_id=str(held.message.header.frame_id),
            intrinsics=_intrinsics(
                waiting, self.chosen.reference_camera_info, depth_m.shape, notes
            ),
        )


class _Waiting:
    """Images that wait for their reference and their elders, and what may belong to them."""

    def __init__(self, topics: Topics, slop_ns: int) -> None:
        self._topics = topics
        self._images: deque[_Held] = deque()
        self._infos: dict[str, Any] = {}
        self._newest_ns: dict[str, int] = {}
        companions = (topics.reference_depth, topics.labels, topics.exact_depth)
        self._pairers: dict[str, StampPairer[_Held]] = {
            name: StampPairer(slop_ns, HOLD_COMPANIONS) for name in companions if name
        }

    def begins_again(self, topic: str, held: _Held) -> bool:
        """Whether a stamp is so far behind its topic's that the recording must be a loop.

        A calibration's stamps tell nothing: some drivers stamp it once, when they start.
        """
        timed = topic == self._topics.image or topic in self._pairers
        return timed and held.stamp_ns < self._newest_ns.get(topic, 0) - LOOP_NS

    def restart(self) -> None:
        """Forget the stamps of the loop before."""
        self._newest_ns = {}
        for pairer in self._pairers.values():
            pairer.clear()

    def add(self, topic: str, held: _Held) -> None:
        """Take in a message; images are kept in the order of their stamps."""
        self._newest_ns[topic] = max(self._newest_ns.get(topic, 0), held.stamp_ns)
        if topic == self._topics.image:
            position = len(self._images)
            while position and self._images[position - 1].stamp_ns > held.stamp_ns:
                position -= 1
            self._images.insert(position, held)
        elif topic in self._pairers:
            self._pairers[topic].add(held.stamp_ns, held)
        else:
            self._infos[topic] = held.message

    def due(self, now_ns: int) -> Iterator[_Held]:
        """Hand out the images that have waited long enough by bag time, or are too many."""
        images = self._images
        while images and (now_ns - images[0].bag_time_ns > HOLD_NS or len(images) > HOLD_IMAGES):
            yield images.popleft()

    def drain(self) -> Iterator[_Held]:
        """Hand out all images."""
        while self._images:
            yield self._images.popleft()

    def take(self, topic: str | None, image: _Held) -> _Held | None:
        """Return the companion nearest to an image, None where none is within the slop."""
        pairer = self._pairers.get(topic or "")
        return pairer.take(image.stamp_ns) if pairer else None

    def info(self, topic: str | None) -> Any:
        """Return the latest calibration of a topic, None where there is none."""
        return self._infos.get(topic or "")


def _decoded(
    held: _Held | None,
    decode: Callable[[Any], npt.NDArray[Scalar]],
    topic: str | None,
    notes: list[str],
) -> npt.NDArray[Scalar] | None:
    """Decode a companion; one that is broken costs a note."""
    try:
        return None if held is None else decode(held.message)
    except ImageError as error:
        notes.append(f"{topic}: {error}")
        return None


def _intrinsics(
    waiting: _Waiting, topic: str | None, shape: tuple[int, ...], notes: list[str]
) -> Intrinsics | None:
    """Read the latest calibration; one that is broken, or for another size, costs a note."""
    info = waiting.info(topic)
    try:
        return None if info is None else intrinsics_of(info, (shape[0], shape[1]))
    except CameraError as error:
        notes.append(f"{topic}: {error}")
        return None
