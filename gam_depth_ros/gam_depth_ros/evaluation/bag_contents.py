"""What lies in a bag, whatever its format: topics, raw messages, and the errors of reading them."""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from typing import NamedTuple

import apsw
from rosbags.rosbag1 import ReaderError as ReaderError1
from rosbags.rosbag2 import ReaderError as ReaderError2
from rosbags.serde import SerdeError
from rosbags.typesys import TypesysError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DAMAGE = (
    ReaderError1,
    ReaderError2,
    SerdeError,
    TypesysError,
    apsw.Error,
    zstd.ZstdError,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What rosbags, its storages and its decompressors raise on broken bytes: no single family."""


class BagError(ValueError):
    """A recording cannot be used. The message is one line: got, expected, remedy."""


class RawMessage(NamedTuple):
    """One message as it lies in the bag.

    Attributes:
        topic: Topic name with a leading slash.
        msgtype: Type in ROS 2 spelling, for example ``sensor_msgs/msg/Image``.
        bag_time_ns: When the recorder received it, nanoseconds.
        data: Serialised message: CDR from rosbag2, ROS 1 serialisation from rosbag1.
    """

    topic: str
    msgtype: str
    bag_time_ns: int
    data: bytes


@dataclass(frozen=True)
class StoredTopic:
    """A topic of a bag.

    Attributes:
        name: Topic name.
        msgtype: Its type.
        definition: The definition stored in the bag; empty where there is none.
        count: Number of messages; None where only reading the bag would tell.
    """

    name: str
    msgtype: str
    definition: str = ""
    count: int | None = None
