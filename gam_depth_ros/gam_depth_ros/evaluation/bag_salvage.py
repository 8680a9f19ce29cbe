"""What can still be read from a bag without its index: a power cut, a full disk, half a copy.

rosbags reads a bag through the index at its end. Here the file is walked from its start instead,
record by record, up to the place where it breaks off.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Collection, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from rosbags.rosbag1.reader import Header, decompressors, normalize, read_bytes, read_uint32
from rosbags.rosbag2.storage_mcap import read_string
from rosbags.typesys.msg import normalize_msgtype

from gam_depth_ros.evaluation.bag_contents import DAMAGE, BagError, RawMessage, StoredTopic
from gam_depth_ros.evaluation.bag_limits import (
    MAX_MESSAGE_BYTES,
    BagLimitError,
    check_message,
    check_schema,
    unpack_chunk,
)

MCAP_SCHEMA, MCAP_CHANNEL, MCAP_MESSAGE, MCAP_CHUNK = 0x03, 0x04, 0x05, 0x06
BAG1_CHUNK, BAG1_CONNECTION, BAG1_MESSAGE = 0x05, 0x07, 0x02

Walk = Callable[[Path, dict[int, StoredTopic]], Iterator[tuple[int, int, bytes]]]
"""Yields topic number, bag time and data, and fills in the topics as it meets them."""


class SalvagedStorage:
    """One storage file, read from the start up to where it breaks off."""

    def __init__(self, path: Path, walk: Walk, reason: str) -> None:
        self.problem = f"got a truncated or damaged file ({reason}), read what comes before"
        self._path = path
        self._walk = walk
        numbered: dict[int, StoredTopic] = {}
        count = sum(1 for _ in walk(path, numbered))
        if not count:
            raise BagError(
                f"{path}: got a damaged bag without one readable message ({reason}), "
                "expected a recording; record or copy it again"
            )
        self.topics = {topic.name: topic for topic in numbered.values()}

    def messages(self, names: Collection[str]) -> Iterator[RawMessage]:
        """Yield the readable messages of the topics in ``names``, in the order of the file."""
        numbered: dict[int, StoredTopic] = {}
        for number, bag_time_ns, data in self._walk(self._path, numbered):
            topic = numbered.get(number)
            if topic is not None and topic.name in names:
                yield RawMessage(topic.name, topic.msgtype, bag_time_ns, data)


def salvage(path: Path, reason: str) -> SalvagedStorage:
    """Open a file that rosbags refused for ``reason``; raises BagError if nothing is readable."""
    walks: dict[str, Walk] = {".mcap": _walk_mcap, ".db3": _walk_sqlite3, ".bag": _walk_bag1}
    return SalvagedStorage(path, walks[path.suffix], reason)


def _walk_mcap(path: Path, topics: dict[int, StoredTopic]) -> Iterator[tuple[int, int, bytes]]:
    schemas: dict[int, tuple[str, str]] = {}
    with path.open("rb") as file:
        if file.read(8) != b"\x89MCAP0\r\n":
            return
        yield from _walk_mcap_records(file, schemas, topics)


def _walk_mcap_records(
    file: BinaryIO,
    schemas: dict[int, tuple[str, str]],
    topics: dict[int, StoredTopic],
    *,
    in_chunk: bool = False,
) -> Iterator[tuple[int, int, bytes]]:
    while len(head := file.read(9)) == 9:
        kind, size = struct.unpack("<BQ", head)
        here = min(size, _left_of(file))  # less than the size where the file breaks off
        if kind > MCAP_CHUNK:
            file.seek(here, 1)
            continue
        body = file.read(here)
        try:
            if kind == MCAP_CHUNK and in_chunk:
                continue  # chunks do not nest: unpacking would have no end
            if kind == MCAP_CHUNK:
                records = BytesIO(_mcap_chunk(body))
                yield from _walk_mcap_records(records, schemas, topics, in_chunk=True)
            elif len(body) < size:
                return
            elif kind == MCAP_SCHEMA:
                record = BytesIO(body)
                (number,) = struct.unpack("<H", record.read(2))
                name, _, text = read_string(record), read_string(record), read_string(record)
                schemas[number] = (name, text)
            elif kind == MCAP_CHANNEL:
                record = BytesIO(body)
                number, schema = struct.unpack("<HH", record.read(4))
                topics[number] = StoredTopic(read_string(record), *schemas.get(schema, ("", "")))
            elif kind == MCAP_MESSAGE:
                check_message(size)
                number, _, bag_time_ns = struct.unpack_from("<HIQ", body)
                yield number, bag_time_ns, body[22:]
        except DAMAGE:
            continue  # this record is lost, the next one starts at a known place


def _mcap_chunk(body: bytes) -> bytes:
    """Return the records of a chunk; of a chunk that breaks off, those that are whole."""
    record = BytesIO(body)
    _, _, size, _ = struct.unpack("<QQQI", record.read(28))
    compression = read_string(record)
    record.read(8)
    data = record.read()
    return data if compression == "" else unpack_chunk(data, compression, size)


def _left_of(file: BinaryIO) -> int:
    """Return how many bytes stand between here and the end."""
    at = file.tell()
    end = file.seek(0, 2)
    file.seek(at)
    return end - at


def _walk_sqlite3(path: Path, topics: dict[int, StoredTopic]) -> Iterator[tuple[int, int, bytes]]:
    connection = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
    try:
        # Without this SQLite refuses a file that is shorter than its header says.
        connection.execute("PRAGMA writable_schema=ON")
        check_schema(connection)
        for number, name, msgtype in connection.execute("SELECT id, name, type FROM topics"):
            topics[number] = StoredTopic(name, msgtype)
        # SQLite keeps any type in any column: of a damaged row, only the types tell.
        yield from connection.execute(
            "SELECT topic_id, timestamp, data FROM messages WHERE typeof(topic_id) = 'integer' "
            "AND typeof(timestamp) = 'integer' AND typeof(data) = 'blob' "
            f"AND length(data) <= {MAX_MESSAGE_BYTES} ORDER BY id"
        )
    except (sqlite3.DatabaseError, BagLimitError):
        return
    finally:
        connection.close()


def _walk_bag1(path: Path, topics: dict[int, StoredTopic]) -> Iterator[tuple[int, int, bytes]]:
    with path.open("rb") as file:
        if not file.readline().startswith(b"#ROSBAG V2.0"):
            return
        yield from _walk_bag1_records(file, topics)


def _walk_bag1_records(
    file: BinaryIO, topics: dict[int, StoredTopic], *, in_chunk: bool = False
) -> Iterator[tuple[int, int, bytes]]:
    while True:
        try:
            header = Header.read(file)
            kind = header.get_uint8("op")
            size = read_uint32(file)
            if kind == BAG1_CHUNK and in_chunk:
                return  # chunks do not nest: unpacking would have no end
            if kind == BAG1_CHUNK:
                # A chunk that breaks off still has whole messages when it is not compressed.
                data = decompressors[header.get_string("compression")](file.read(size))
                yield from _walk_bag1_records(BytesIO(data), topics, in_chunk=True)
                continue
            data = read_bytes(file, size)
            if kind == BAG1_CONNECTION:
                text = BytesIO(struct.pack("<I", size) + data)
                fields = Header.read(text)
                name = normalize(header.get_string("topic"))
                msgtype = normalize_msgtype(fields.get_string("type"))
                topics[header.get_uint32("conn")] = StoredTopic(
                    name, msgtype, fields.get_string("message_definition")
                )
            elif kind == BAG1_MESSAGE:
                yield header.get_uint32("conn"), header.get_time("time"), data
        except DAMAGE:
            return
