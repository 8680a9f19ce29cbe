"""How memory is asked for while a recording is worked through."""

from __future__ import annotations

import ctypes

LARGEST_KEPT_BYTES = 32 << 20
"""Glibc's own limit for what may come from its heap."""
KEPT_BYTES = 128 << 20

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3)


def keep_freed() -> None:
    """Let freed arrays be used again instead of returning their pages to the system.

    By default glibc fetches each array of a picture's size from the system and returns it at once:
    the page faults are a sixth of what scoring a frame costs. Up to ``KEPT_BYTES`` are kept, for
    the rest of the process. A C library without ``mallopt`` does as it does.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
    mallopt(_TRIM_THRESHOLD, KEPT_BYTES)
