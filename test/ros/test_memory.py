"""What a full collection looks at once the node has started, and what it still frees."""

from __future__ import annotations

import subprocess
import sys

SPARED = """
import gc, weakref
import numpy, onnxruntime, rclpy.node
from gam_depth_ros import memory

loaded = len(gc.get_objects())
memory.spare_what_is_loaded()
print(loaded, len(gc.get_objects()))

class Model:
    pass

model = Model()
model.itself = model
there = weakref.ref(model)
del model
memory.give_back()
print(there() is None)
"""


def test_what_is_loaded_is_never_looked_at_again_and_a_later_cycle_is_freed():
    found = subprocess.run(
        [sys.executable, "-c", SPARED], check=True, capture_output=True, text=True
    ).stdout.split()
    assert int(found[0]) > 10_000
    assert int(found[1]) < 1000
    assert found[2] == "True"
