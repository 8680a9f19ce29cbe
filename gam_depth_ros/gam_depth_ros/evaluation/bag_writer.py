"""Write a rosbag2 recording (mcap or sqlite3) that any ROS 2 reads, without ROS."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer

from gam_depth_ros.evaluation.bag_contents import BagError
from gam_depth_ros.evaluation.ros_types import ros2_types

STORAGES = ("mcap", "sqlite3")
TF_STATIC = "/tf_static"
_NEVER = QosTime(2147483647, 4294967295)
# What a player has to offer, or nobody who wants static transforms hears them.
LATCHED = (
    Qos(
        QosHistory.KEEP_LAST,
        100,
        QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL,
        _NEVER,
        _NEVER,
        QosLiveliness.AUTOMATIC,
        _NEVER,
        avoid_ros_namespace_conventions=False,
    ),
)


class OutMessage(NamedTuple):
    """One message to be written.

    Attributes:
        topic: Topic name with a leading slash.
        msgtype: Type, for example ``sensor_msgs/msg/Image``.
        bag_time_ns: Receive time to be written, nanoseconds.
        data: The message in ROS 2 serialisation (CDR), read-only.
    """

    topic: str
    msgtype: str
    bag_time_ns: int
    data: bytes | memoryview


def serialise(topic: str, bag_time_ns: int, message: Any) -> OutMessage:
    """Turn one of rosbags' message objects into an :class:`OutMessage`."""
    msgtype = str(message.__msgtype__)
    data = ros2_types().serialize_cdr(message, msgtype)
    return OutMessage(topic, msgtype, bag_time_ns, data)


class BagWriter:
    """A rosbag2 directory under construction; use it as a context manager.

    It grows under a temporary name beside its destination and is moved there at the end, so that
    a broken run leaves no half bag behind, and with ``force`` the old bag stays until the new one
    is whole.

    Args:
        path: The directory to be made.
        storage: ``mcap`` or ``sqlite3``.
        force: Replace an existing bag.
        keep_unfinished: Where the disk is full, deliver what there is: the reader salvages it.

    Raises:
        BagError: the directory exists and ``force`` is off, cannot be made, or the storage is
            unknown; at the end, where an unfinished bag was delivered.
    """

    def __init__(
        self,
        path: Path,
        storage: str = "mcap",
        *,
        force: bool = False,
        keep_unfinished: bool = False,
    ) -> None:
        if storage not in STORAGES:
            raise BagError(f"storage: got '{storage}', expected one of {', '.join(STORAGES)}")
        if path.exists():
            check_replaceable(path, force=force)
        self.path = path
        self._keep_unfinished = keep_unfinished
        self.counts: dict[str, int] = {}
        # The storage file is named after the directory, hence a directory of the same name.
        self._workshop = path.parent / f".{path.name}.partial"
        shutil.rmtree(self._workshop, ignore_errors=True)
        make_directory(self._workshop)
        self._writer = Writer(
            self._workshop / path.name,
            version=8,
            storage_plugin=StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3,
        )
        self._connections: dict[str, Connection] = {}

    def write(self, message: OutMessage) -> None:
        """Append one message; the topic is announced at its first message."""
        connection = self._connections.get(message.topic)
        if connection is None:
            connection = self._writer.add_connection(
                message.topic,
                message.msgtype,
                typestore=ros2_types(),
                offered_qos_profiles=LATCHED if message.topic == TF_STATIC else (),
            )
            self._connections[message.topic] = connection
        self._writer.write(connection, message.bag_time_ns, message.data)
        self.counts[message.topic] = self.counts.get(message.topic, 0) + 1

    def __enter__(self) -> BagWriter:
        self._writer.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            unwritten = self._close(kind, error, trace)
            if kind is None or (unwritten and self._keep_unfinished):
                self._deliver()
            if unwritten and self._keep_unfinished:
                raise BagError(
                    f"{self.path}: got '{unwritten.strerror or unwritten}', expected room for the "
                    "recording; it breaks off there, and what comes before can be read"
                ) from unwritten
        finally:
            shutil.rmtree(self._workshop, ignore_errors=True)

    def _close(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> OSError | None:
        """Close the storage; returns what the disk refused, now or before."""
        try:
            self._writer.__exit__(kind, error, trace)
        except OSError as refused:
            if not self._keep_unfinished:
                raise
            return refused
        return error if isinstance(error, OSError) else None

    def _deliver(self) -> None:
        """Move the bag to where it belongs."""
        if self.path.exists():
            shutil.rmtree(self.path)
        (self._workshop / self.path.name).rename(self.path)


def write_bag(
    path: Path, messages: Iterable[OutMessage], storage: str = "mcap", *, force: bool = False
) -> dict[str, int]:
    """Write a bag and return the number of messages by topic; raises as :class:`BagWriter`."""
    with BagWriter(path, storage, force=force) as writer:
        for message in messages:
            writer.write(message)
    return writer.counts


def make_directory(path: Path) -> None:
    """Make a directory and its parents; raises BagError where that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BagError(
            f"{path}: got '{error.strerror}', expected a directory that can be made and written; "
            "choose another --out"
        ) from error


def check_replaceable(path: Path, *, force: bool) -> None:
    """Make sure that ``path`` may be replaced by a new bag.

    Raises:
        BagError: ``force`` is off, or what lies there is no bag.
    """
    if not force:
        raise BagError(
            f"{path}: got a path that exists, expected a new one; choose another or use --force"
        )
    if not (path / "metadata.yaml").exists() and (path.is_file() or any(path.iterdir())):
        raise BagError(
            f"{path}: got something that is no bag, expected a bag to replace; "
            "move it away or choose another path"
        )
