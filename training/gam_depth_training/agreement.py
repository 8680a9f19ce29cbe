"""What the processes that train together must find alike, so that none waits for another."""

from __future__ import annotations

import torch
from torch import Tensor, distributed


def good_in_all(good: Tensor) -> bool:
    """Say whether something is good in every process that trains; all must ask at the same place.

    One process alone asks nobody. Several exchange one number; waiting for it is the only wait.

    Args:
        good: This process's answer, a bool without dimensions on the device it trains on.
    """
    if _several():
        least = good.to(torch.int32)
        distributed.all_reduce(least, distributed.ReduceOp.MIN)
        return bool(least)
    return bool(good)


def said_by_all(own: str | None) -> str:
    """Return what the processes have to say, in the order of their numbers, without repetition.

    Args:
        own: This process's part, None for nothing; all must call, with or without.
    """
    said: list[str | None] = [own]
    if _several():
        said *= distributed.get_world_size()
        distributed.all_gather_object(said, own)
    return "; ".join(dict.fromkeys(part for part in said if part is not None))


def _several() -> bool:
    return (
        distributed.is_available()
        and distributed.is_initialized()
        and distributed.get_world_size() > 1
    )
