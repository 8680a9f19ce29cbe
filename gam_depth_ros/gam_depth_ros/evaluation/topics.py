"""Find the colour image, the reference depth and their calibration among a bag's topics."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from gam_depth_ros.core.image_codec import COLOR_ENCODINGS, DEPTH_ENCODINGS, MONO_ENCODINGS
from gam_depth_ros.evaluation.bag_contents import BagError
from gam_depth_ros.evaluation.bag_writer import TF_STATIC
from gam_depth_ros.evaluation.ros_types import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    IMAGE,
    ODOMETRY,
    TRANSFORMS,
)
from gam_depth_ros.evaluation.rosbag_reader import Bag

OUTPUT_NAMESPACE = "/gam_depth"

COLOR_IMAGE_TOPIC = "/camera/color/image_raw"
COLOR_INFO_TOPIC = "/camera/color/camera_info"
DEPTH_IMAGE_TOPIC = "/camera/depth/image_raw"
DEPTH_INFO_TOPIC = "/camera/depth/camera_info"
LABELS_TOPIC = "/camera/labels/image_raw"
EXACT_DEPTH_TOPIC = "/camera/depth_exact/image_raw"

_ODOMETRY_NAMES = ("/odometry", "/odom")
_EXPECTED_TYPES = {
    "camera_info": (CAMERA_INFO,),
    "reference_camera_info": (CAMERA_INFO,),
    "odometry": (ODOMETRY,),
    "tf_static": (TRANSFORMS,),
}
_NOT_DEPTH = ("infra", "/ir/", "confidence", "amplitude", "intensity", "disparity")


@dataclass(frozen=True)
class Topics:
    """Which topic of a bag plays which part; None where there is none, or where it is to be found.

    Attributes:
        image: Colour image, raw or compressed.
        camera_info: Calibration of ``image``.
        reference_depth: Sensor depth; where it is not registered to ``image``, that is done.
        reference_camera_info: Calibration of ``reference_depth``.
        labels: True labels, mono8 ids of the label set ``nyu13``.
        exact_depth: Exact depth, known for synthetic recordings.
        odometry: Pose of the robot or of the camera.
        tf_static: Where the cameras stand.
    """

    image: str | None = None
    camera_info: str | None = None
    reference_depth: str | None = None
    reference_camera_info: str | None = None
    labels: str | None = None
    exact_depth: str | None = None
    odometry: str | None = None
    tf_static: str | None = None

    def names(self) -> tuple[str, ...]:
        """Return the topics that are set."""
        return tuple(name for name in self.as_dict().values() if name)

    def as_dict(self) -> dict[str, str | None]:
        """Return part and topic."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}


WRITTEN_TOPICS = Topics(
    image=COLOR_IMAGE_TOPIC,
    camera_info=COLOR_INFO_TOPIC,
    reference_depth=DEPTH_IMAGE_TOPIC,
    reference_camera_info=DEPTH_INFO_TOPIC,
    labels=LABELS_TOPIC,
    exact_depth=EXACT_DEPTH_TOPIC,
)
"""The topics that a bag gets when it is written from a sequence folder."""


@dataclass(frozen=True)
class _Candidate:
    """An image topic: what it shows (color, depth, labels, exact or other), and in which frame."""

    name: str
    kind: str
    frame_id: str


def choose_topics(bag: Bag, wished: Topics) -> Topics:
    """Fill in what ``wished`` leaves open, by type, encoding and name.

    Returns:
        The topics to read. Depth, calibration and labels stay None where nothing fits.

    Raises:
        BagError: a wished topic is absent or of the wrong type, or there is no colour image.
    """
    _check_wishes(bag, wished)
    found = [_candidate(bag, name) for name in _image_topics(bag)]
    depths = [one for one in found if one.kind == "depth"]
    depth_frames = {one.frame_id for one in depths}
    image = wished.image or _best(found, "color", lambda one: _color_rank(one, depth_frames))
    if image is None:
        raise BagError(
            f"{bag.path}: got {_listing(bag)}, expected a colour image "
            f"({IMAGE} or {COMPRESSED_IMAGE}); name it with --image-topic"
        )
    seen_from = next((one.frame_id for one in found if one.name == image), "")
    chosen = replace(
        wished,
        image=image,
        camera_info=wished.camera_info or _info_beside(bag, image),
        reference_depth=wished.reference_depth
        or _best(depths, "depth", lambda one: _depth_rank(one, image, seen_from)),
        labels=wished.labels or _best(found, "labels", _shortest),
        exact_depth=wished.exact_depth or _best(found, "exact", _shortest),
        odometry=wished.odometry or _odometry(bag),
        tf_static=wished.tf_static or _of_type(bag, TF_STATIC, TRANSFORMS),
    )
    if chosen.reference_depth and not wished.reference_camera_info:
        chosen = replace(chosen, reference_camera_info=_info_beside(bag, chosen.reference_depth))
    return chosen


def describe(bag: Bag, topics: Topics) -> str:
    """Say in one line what was chosen, and which other images the bag has."""
    parts = [
        f"{part.replace('_', ' ')} {name} ({bag.topics[name].msgtype})"
        for part, name in topics.as_dict().items()
        if name
    ]
    others = sorted(set(_image_topics(bag)) - set(topics.names()))
    rest = f"; other images, not read: {', '.join(others)}" if others else ""
    return "reading " + ", ".join(parts) + rest


def _check_wishes(bag: Bag, wished: Topics) -> None:
    for part, name in wished.as_dict().items():
        if name is None:
            continue
        if name not in bag.topics:
            raise BagError(
                f"{bag.path}: got no topic {name}, expected it for the {part.replace('_', ' ')}; "
                f"the bag has {_listing(bag)}"
            )
        expected = _EXPECTED_TYPES.get(part, (IMAGE, COMPRESSED_IMAGE))
        got = bag.topics[name].msgtype
        if got not in expected:
            raise BagError(
                f"{bag.path}: got {name} of type {got}, expected {' or '.join(expected)} for the "
                f"{part.replace('_', ' ')}; choose another topic"
            )


def _image_topics(bag: Bag) -> list[str]:
    """Return the topics with images in them, the node's own outputs left out."""
    kinds = (IMAGE, COMPRESSED_IMAGE)
    return [n for n, topic in bag.topics.items() if topic.msgtype in kinds and not _is_output(n)]


def _candidate(bag: Bag, name: str) -> _Candidate:
    """Judge a topic by its name and its first whole message."""
    message = _first(bag, name)
    if message is None:
        return _Candidate(name, "other", "")
    return _Candidate(name, _kind(bag, name, message), str(message.header.frame_id))


def _kind(bag: Bag, name: str, message: Any) -> str:
    encoding = str(getattr(message, "encoding", "") or getattr(message, "format", ""))
    if "labels" in name:
        return "labels" if encoding in MONO_ENCODINGS else "other"
    if "depth_exact" in name:
        return "exact"
    # mono16 is a grey picture or, from some drivers, depth: then the name says so.
    looks_like_depth = _base(encoding) in DEPTH_ENCODINGS and (
        encoding not in COLOR_ENCODINGS or "depth" in name
    )
    if "compressedDepth" in encoding or looks_like_depth:
        # Sixteen bits may also be light that a depth camera measured, or how sure it is.
        return "other" if any(word in name for word in _NOT_DEPTH) else "depth"
    compressed = bag.topics[name].msgtype == COMPRESSED_IMAGE
    return "color" if compressed or encoding in COLOR_ENCODINGS else "other"


def _base(encoding: str) -> str:
    """Return the pixel encoding in a compressed format such as ``16UC1; png compressed``."""
    return encoding.split(";")[0].strip()


def _first(bag: Bag, name: str, attempts: int = 5) -> Any:
    """Return the first message that decodes, None where the first few do not."""
    for count, raw in enumerate(bag.messages({name})):
        try:
            return bag.decode(raw)
        except BagError:
            if count + 1 >= attempts:
                break
    return None


def _color_rank(topic: _Candidate, depth_frames: set[str]) -> tuple[int, ...]:
    """Order colour topics: no infrared, a camera with depth, colour by name, raw, shorter name."""
    name = topic.name
    return (
        not any(word in name for word in ("infra", "ir/", "mono", "debug", "mask", "depth")),
        topic.frame_id in depth_frames,
        any(word in name for word in ("color", "colour", "rgb")),
        not name.endswith("/compressed"),
        "rect" not in name,
        -len(name),
    )


def _depth_rank(topic: _Candidate, image: str, image_frame: str) -> tuple[int, ...]:
    """Order depth topics: the image's frame, its camera, registered by name, raw, shorter name."""
    name = topic.name
    words = ("aligned_depth_to_color", "depth_to_rgb", "registered", "aligned")
    return (
        topic.frame_id == image_frame,
        _shared_namespaces(name, image),
        any(word in name for word in words),
        "compressed" not in name,
        -len(name),
    )


def _shortest(topic: _Candidate) -> tuple[int, ...]:
    return (-len(topic.name),)


def _shared_namespaces(one: str, other: str) -> int:
    """Return how many leading parts two topic names share: ``/camera/a`` and ``/camera/b``, 1."""
    pairs = zip(one.split("/")[1:-1], other.split("/")[1:-1], strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _best(
    topics: Iterable[_Candidate], kind: str, rank: Callable[[_Candidate], tuple[int, ...]]
) -> str | None:
    ordered = sorted((one for one in topics if one.kind == kind), key=lambda one: one.name)
    return max(ordered, key=rank).name if ordered else None


def _info_beside(bag: Bag, image: str) -> str | None:
    """Return the camera_info in the namespace of an image topic, None where there is none."""
    for suffix in ("/compressedDepth", "/compressed"):
        image = image.removesuffix(suffix)
    name = image.rsplit("/", 1)[0] + "/camera_info"
    topic = bag.topics.get(name)
    return name if topic is not None and topic.msgtype == CAMERA_INFO else None


def _of_type(bag: Bag, name: str, msgtype: str) -> str | None:
    """Return a topic's name if the bag has it and it is of that type."""
    topic = bag.topics.get(name)
    return name if topic is not None and topic.msgtype == msgtype else None


def _odometry(bag: Bag) -> str | None:
    """Return the bag's only odometry, or of several the one with a usual name."""
    found = [name for name, topic in bag.topics.items() if topic.msgtype == ODOMETRY]
    if len(found) == 1:
        return found[0]
    return next((name for name in _ODOMETRY_NAMES if name in found), None)


def _is_output(name: str) -> bool:
    return name.startswith(OUTPUT_NAMESPACE + "/")


def _listing(bag: Bag, limit: int = 8) -> str:
    entries = [f"{topic.name} ({topic.msgtype})" for topic in bag.topics.values()]
    if not entries:
        return "no topics"
    more = f" and {len(entries) - limit} more" if len(entries) > limit else ""
    return "the topics " + ", ".join(sorted(entries)[:limit]) + more
