"""The node with an engine that can be made to hang or to be slow: ``python -m hanging_node``.

It hangs on white pictures, deaf to interrupts, until a file named ``release`` stands in the folder
that HANGING_NODE names; while one named ``slow`` stands there, every picture takes 0.25 s longer.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from gam_depth_ros import node
from gam_depth_ros.core import pipeline
from gam_depth_ros.core.engine import OnnxEngine

FOLDER = Path(os.environ["HANGING_NODE"])


class HangingEngine(OnnxEngine):
    """Waits before it answers."""

    def run(self, batch: Any) -> Any:
        """Run the network, some time or other."""
        if (FOLDER / "slow").exists():
            time.sleep(0.25)
        while batch.min() == 255 and not (FOLDER / "release").exists():
            time.sleep(0.01)
        return super().run(batch)

    def interrupt(self) -> None:
        """Do nothing, as an engine that waits for a driver does."""


if __name__ == "__main__":
    pipeline.OnnxEngine = HangingEngine  # type: ignore[misc]
    sys.exit(node.main())
