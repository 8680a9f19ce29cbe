"""Recordings: open a bag or a sequence folder, get frames; write a folder as a bag.

Example:
    >>> for frame in open_recording(Path("office.mcap")).frames(): ...
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gam_depth_ros.core.config import OdometryConfig, RegistrationConfig
from gam_depth_ros.core.frame import Frame
from gam_depth_ros.evaluation.bag_contents import BagError
from gam_depth_ros.evaluation.bag_recording import BagRecording
from gam_depth_ros.evaluation.bag_writer import OutMessage, write_bag
from gam_depth_ros.evaluation.rosbag_reader import is_bag_directory, open_bag
from gam_depth_ros.evaluation.sample import FrameFailure, Recording, RecordingStats, Sample
from gam_depth_ros.evaluation.sequence_folder import FolderRecording, is_sequence_folder
from gam_depth_ros.evaluation.topics import Topics

__all__ = [
    "BagError",
    "FolderRecording",
    "Frame",
    "FrameFailure",
    "OutMessage",
    "Recording",
    "RecordingStats",
    "Sample",
    "Topics",
    "open_recording",
    "sequence_to_bag",
    "write_bag",
]


def open_recording(
    path: Path | str,
    topics: Topics | None = None,
    pairing_slop_s: float = 0.02,
    registration: RegistrationConfig | None = None,
    odometry: OdometryConfig | None = None,
) -> Recording:
    """Open a recording of any kind.

    Args:
        path: A rosbag2 directory, an ``.mcap``, ``.db3`` or ``.bag`` file, or a sequence folder.
        topics: Which topics to read; what is left open is found by type, encoding and name.
        pairing_slop_s: Largest difference of stamps between an image and its reference, seconds.
        registration: What to do with a bag's depth in another frame or of another size.
        odometry: How a bag's poses are told at the time of an image.

    Raises:
        BagError: nothing there that can be read, or a wished topic is absent or of another type.
    """
    path = Path(path)
    if path.is_dir() and is_sequence_folder(path) and not is_bag_directory(path):
        named = () if topics is None else topics.names()
        if named:
            raise BagError(
                f"{path}: got the topic {named[0]} for a sequence folder, expected none; "
                "leave the topic options out"
            )
        return FolderRecording(path)
    bag = open_bag(path)
    return BagRecording(bag, topics or Topics(), pairing_slop_s, registration, odometry)


def sequence_to_bag(sequence_dir: Path, bag_path: Path, storage: str = "mcap") -> dict[str, int]:
    """Write a sequence folder as a rosbag2 recording.

    Returns:
        The number of messages by topic.

    Raises:
        BagError: the folder cannot be read, or ``bag_path`` exists.
    """
    return write_bag(bag_path, _folder_messages(sequence_dir), storage)


def _folder_messages(sequence_dir: Path) -> Iterator[OutMessage]:
    if not is_sequence_folder(sequence_dir):
        raise BagError(f"{sequence_dir}: got no color/ in it, expected a sequence folder")
    yield from FolderRecording(sequence_dir).input_messages()
