"""Procedural rooms, ray-traced to colour, exact depth, NYU-13 labels and poses.

``write_training_shards`` renders independent views in bulk; ``write_sequence`` renders what a robot
or a hand would record. Everything is deterministic by seed, for any number of workers.
"""

from __future__ import annotations

from .shards import TrainingShard, read_shard, render_training_shard, write_training_shards
from .writer import write_sequence, write_sequences

__all__ = [
    "TrainingShard",
    "read_shard",
    "render_training_shard",
    "write_sequence",
    "write_sequences",
    "write_training_shards",
]
