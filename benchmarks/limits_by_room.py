"""Judge a condition of frame health by room, with a limit that the room itself did not set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

Values = Mapping[str, Sequence[float]]


def print_rooms(usual: Values, faulty: Mapping[float, Values], shipped: float) -> None:
    """Print a line for each room: frames, largest figure, limit, false alarms, and what is seen.

    A room's limit is twice the largest figure of the other rooms, as the shipped one is twice the
    largest of all; with one room the shipped one stands in. Per cent seen: with either limit.

    Args:
        usual: By room, the figure of each frame as it is; larger is worse.
        faulty: By fault, and by room, the figures of the frames that should be seen.
        shipped: The shipped limit.
    """
    for room, values in usual.items():
        others = (max(found) for name, found in usual.items() if name != room)
        limit = 2 * max(others, default=shipped / 2)
        alarms = sum(value >= limit for value in values)
        cells = (
            "/".join(f"{100 * np.mean(np.array(found[room]) >= x):.0f}" for x in (limit, shipped))
            for found in faulty.values()
        )
        print(
            f"{room:28}{len(values):6d}{max(values):8.3f}{limit:8.3f}{alarms:4d}   "
            + "  ".join(f"{cell:>8}" for cell in cells)
        )
