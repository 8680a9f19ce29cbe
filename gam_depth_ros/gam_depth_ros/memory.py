"""Python's collector and the system's memory, both of which have habits that cost a node frames."""

from __future__ import annotations

import ctypes
import gc


def spare_what_is_loaded() -> None:
    """Take every object that there is now out of all later collections.

    A full collection looks at each of them: some 30 ms of processor time where ROS and ONNX Runtime
    are loaded, in which no other thread runs Python. Modules stay for good, so there is nothing to
    find. To be called before there is a node: what is spared in a cycle is never freed.
    """
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Free what nothing refers to, and return free pages to the system.

    Two halves, both needed: an engine's 60 MB hang in a reference cycle until the collector runs,
    and of what ONNX Runtime frees glibc keeps 160 MB for the next allocation. A C library without
    ``malloc_trim`` keeps them.
    """
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except AttributeError:
        return
