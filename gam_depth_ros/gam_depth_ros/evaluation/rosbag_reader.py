"""Raw messages out of a bag: rosbag2 (mcap, sqlite3) and rosbag1, intact or truncated."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from rosbags.interfaces import Connection
from rosbags.rosbag1 import Reader as Reader1
from rosbags.rosbag2 import Reader as Reader2
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from gam_depth_ros.evaluation.bag_contents import DAMAGE, BagError, RawMessage, StoredTopic
from gam_depth_ros.evaluation.bag_definitions import types_of
from gam_depth_ros.evaluation.bag_limits import check_message
from gam_depth_ros.evaluation.bag_salvage import salvage
from gam_depth_ros.evaluation.ros_types import CUSTOM_DEFINITIONS, ros2_types

STORAGE_SUFFIXES = (".mcap", ".db3")
BAG_KINDS = "a rosbag2 directory, an .mcap, .db3 or .bag file, or a sequence folder"


class StorageFile(Protocol):
    """One file, or one directory of files, that messages can be read from."""

    @property
    def topics(self) -> dict[str, StoredTopic]:
        """The topics by name."""

    @property
    def problem(self) -> str:
        """One line on what could not be read; empty while all is well."""

    def messages(self, names: Collection[str]) -> Iterator[RawMessage]:
        """Yield the messages of the topics in ``names``, in the order of their bag time."""


class IntactStorage:
    """A bag that rosbags can open."""

    def __init__(self, reader: Reader1 | Reader2) -> None:
        reader.open()
        self._reader = reader
        self.problem = ""
        self.topics = {
            connection.topic: StoredTopic(
                connection.topic, connection.msgtype, connection.msgdef.data, connection.msgcount
            )
            for connection in reader.connections
        }

    def messages(self, names: Collection[str]) -> Iterator[RawMessage]:
        """Yield messages until the end, or until the storage turns out to be damaged."""
        wanted: list[Connection] = [c for c in self._reader.connections if c.topic in names]
        if not wanted:
            return
        try:
            # Of a damaged sqlite3 row any value may be of any type.
            stored: Iterable[tuple[Connection, Any, Any]] = self._reader.messages(wanted)
            for connection, bag_time_ns, data in stored:
                if not isinstance(bag_time_ns, int):
                    self.problem = "got rows with a receive time that is no number, left them out"
                    continue
                check_message(len(data))
                yield RawMessage(connection.topic, connection.msgtype, bag_time_ns, bytes(data))
        except DAMAGE as error:
            self.problem = f"got a damaged bag ({_one_line(error)}), read it up to there"


class Bag:
    """A bag of any kind, opened for reading.

    Attributes:
        path: Where it lies.
        is_ros1: Whether its messages are in ROS 1 serialisation.
        topics: The topics by name.
    """

    def __init__(self, path: Path, parts: list[StorageFile], *, is_ros1: bool, note: str) -> None:
        self.path = path
        self.is_ros1 = is_ros1
        self._parts = parts
        self._notes = [note, *_unmoved(path)]
        self._own_types: dict[str, Typestore] = {}
        self.topics: dict[str, StoredTopic] = {}
        for part in parts:
            self.topics.update(part.topics)

    @property
    def problems(self) -> tuple[str, ...]:
        """One line for each thing that could not be read."""
        lines = [*self._notes, *(part.problem for part in self._parts)]
        return tuple(f"{self.path}: {line}" for line in lines if line)

    def messages(self, names: Collection[str]) -> Iterator[RawMessage]:
        """Yield the messages of the topics in ``names``, in the order of their bag time."""
        for part in self._parts:
            yield from part.messages(names)

    def decode(self, raw: RawMessage) -> Any:
        """Turn a raw message into rosbags' object for its ROS 2 type, from a ROS 1 bag too.

        Raises:
            BagError: the bytes are not a message of that type, or the type is unknown.
        """
        self._learn_type(raw.topic, raw.msgtype)
        data = self.to_cdr(raw)
        store = self._own_types.get(raw.msgtype) or ros2_types()
        try:
            return store.deserialize_cdr(data, raw.msgtype)
        except DAMAGE as error:
            raise _not_a_message(raw, error) from error

    def to_cdr(self, raw: RawMessage) -> bytes:
        """Return the message in ROS 2 serialisation; raises BagError as :meth:`decode`."""
        if not self.is_ros1:
            return raw.data
        try:
            return bytes(ros2_types().ros1_to_cdr(raw.data, raw.msgtype))
        except DAMAGE as error:
            raise _not_a_message(raw, error) from error

    def _learn_type(self, topic: str, msgtype: str) -> None:
        """Register a type that only the bag itself defines."""
        if msgtype in self._own_types:
            return
        store = ros2_types()
        definition = self.topics[topic].definition
        if msgtype in CUSTOM_DEFINITIONS and definition:
            self._own_types[msgtype] = _types_of(topic, msgtype, definition)
        if msgtype in store.fielddefs:
            return
        if not definition:
            raise BagError(
                f"{topic}: got the unknown type {msgtype} without a definition in the bag, "
                "expected a known type; choose another topic or record with definitions"
            )
        _register(store, topic, msgtype, definition)


def _types_of(topic: str, msgtype: str, definition: str) -> Typestore:
    """Return the types of a bag whose messages of ours may be those of another version."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    _register(store, topic, msgtype, definition)
    return store


def _register(store: Typestore, topic: str, msgtype: str, definition: str) -> None:
    """Add what a definition defines to the types that are known; raises BagError."""
    types = types_of(topic, msgtype, definition, store.fielddefs)
    try:
        store.register(types)
    except DAMAGE as error:
        raise BagError(
            f"{topic}: got the unknown type {msgtype} with an unusable definition "
            f"({_one_line(error)}), expected a known type; choose another topic"
        ) from error


def open_bag(path: Path) -> Bag:
    """Open a bag, and as much as there is of a truncated one.

    Raises:
        BagError: there is no such path, it is no bag, or nothing in it can be read.
    """
    if not path.exists():
        raise BagError(f"{path}: got no such file or directory, expected {BAG_KINDS}")
    if path.is_dir():
        return _open_directory(path)
    if path.suffix == ".bag":
        return Bag(path, [_open_file(path)], is_ros1=True, note="")
    if path.suffix in STORAGE_SUFFIXES:
        return Bag(path, [_open_file(path)], is_ros1=False, note="")
    raise BagError(f"{path}: got a file of another kind, expected {BAG_KINDS}")


def is_bag_directory(path: Path) -> bool:
    """Whether a directory holds a rosbag2 recording."""
    return (path / "metadata.yaml").exists() or bool(_storage_files(path))


def _open_directory(path: Path) -> Bag:
    note = "got no metadata.yaml (the recorder was killed?), read the storage files themselves"
    if (path / "metadata.yaml").exists():
        try:
            return Bag(path, [IntactStorage(Reader2(path))], is_ros1=False, note="")
        except DAMAGE as error:
            note = f"got a bag that does not open whole ({_one_line(error)}), read file by file"
    files = _storage_files(path)
    if not files:
        if (path / "metadata.yaml").exists():
            raise BagError(f"{path}: {note}, but there are no .mcap or .db3 files in it")
        raise BagError(f"{path}: got a directory without .mcap or .db3 files, expected {BAG_KINDS}")
    return Bag(path, [_open_file(file) for file in files], is_ros1=False, note=note)


def _storage_files(path: Path) -> list[Path]:
    files = (file for suffix in STORAGE_SUFFIXES for file in path.glob(f"*{suffix}"))
    # Split bags are numbered: name_2 comes before name_10.
    return sorted(files, key=lambda file: (len(file.name), file.name))


def _unmoved(path: Path) -> list[str]:
    """Return a line for each sqlite3 file with a write-ahead log, which no reader here reads.

    A recorder in that mode (rosbag2's resilient preset) writes there first, and moves the
    messages into the file from time to time; a power cut leaves them where they are.
    """
    files = _storage_files(path) if path.is_dir() else [path]
    return [
        f"got {file.name}-wal beside the bag: what the recorder has not yet moved into "
        f"{file.name} is not read; `sqlite3 {file.name} 'PRAGMA wal_checkpoint'` moves it"
        for file in files
        if file.suffix == ".db3" and _size_of(Path(f"{file}-wal"))
    ]


def _size_of(path: Path) -> int:
    """Return the bytes of a file; 0 of one that is not there, or no longer."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _open_file(path: Path) -> StorageFile:
    try:
        return IntactStorage(Reader1(path) if path.suffix == ".bag" else Reader2(path))
    except DAMAGE as error:
        return salvage(path, _one_line(error))


def _not_a_message(raw: RawMessage, error: BaseException) -> BagError:
    return BagError(
        f"{raw.topic}: got {len(raw.data)} bytes that are no {raw.msgtype} ({_one_line(error)}), "
        "expected a whole message; it is skipped"
    )


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else text[:157] + "..."
