"""Message definitions that a bag brings along: names and types are taken from them, nothing else.

rosbags turns a definition into Python code and runs it. What comes from a file passes here
first: it is short, its names are plain, and its constants, which no reader needs, are left out.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.interfaces.typing import Typesdict
from rosbags.typesys import get_types_from_msg

from gam_depth_ros.evaluation.bag_contents import DAMAGE, BagError

MAX_DEFINITION_CHARACTERS = 100_000
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*){2}")
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def types_of(topic: str, msgtype: str, definition: str, known: Collection[str]) -> Typesdict:
    """Read a definition.

    Args:
        topic: Whose it is, for the error text.
        msgtype: The type it defines.
        definition: The text in the bag.
        known: Types that need no definition; they are left out of the result.

    Returns:
        The types it defines, without constants.

    Raises:
        BagError: it cannot be read, is too long, or has names that no message type has.
    """
    if len(definition) > MAX_DEFINITION_CHARACTERS:
        raise _unreadable(topic, msgtype, f"{len(definition)} characters")
    try:
        types = get_types_from_msg(definition, msgtype)
        odd = [name for name, (_, fields) in types.items() if not _is_plain(name, fields)]
    except DAMAGE as error:
        raise _unreadable(topic, msgtype, " ".join(str(error).split())[:160]) from error
    if odd:
        raise _unreadable(topic, msgtype, f"odd names in {odd[0][:60]!r}")
    return {name: ([], fields) for name, (_, fields) in types.items() if name not in known}


def _is_plain(name: str, fields: list[tuple[str, Any]]) -> bool:
    """Whether a type's name, its fields' names and the types they name are plain and single."""
    names = [field for field, _ in fields]
    plain = all(_FIELD.fullmatch(field) and not keyword.iskeyword(field) for field in names)
    referred = [_referred(kind) for _, kind in fields]
    types = all(_TYPE.fullmatch(one) for one in (name, *filter(None, referred)))
    return bool(plain and types and len(set(names)) == len(names))


def _referred(kind: Any) -> str:
    """Return the message type that a field's type names, empty for a number or a string."""
    while kind[0] in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        kind = kind[1][0]
    return str(kind[1]) if kind[0] == Nodetype.NAME else ""


def _unreadable(topic: str, msgtype: str, reason: str) -> BagError:
    return BagError(
        f"{topic}: got the unknown type {msgtype[:60]} with an unreadable definition ({reason}), "
        "expected a known type; choose another topic"
    )
