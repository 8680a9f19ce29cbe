"""The node with a fault where BROKEN_NODE says: ``python -m broken_node``."""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import Any

from gam_depth_ros import node, reload

WHERE = os.environ["BROKEN_NODE"]


class BrokenNode(node.GamDepthNode):
    """Raises in a callback, once it is active, and says when it is destroyed."""

    def _look(self) -> None:
        if WHERE == "timer" and self._perceiver is not None and self._perceiver.active:
            raise RuntimeError("out of luck")
        super()._look()

    def _on_reset_scale(self, request: Any, response: Any) -> Any:
        if WHERE == "service":
            raise RuntimeError("out of luck")
        return super()._on_reset_scale(request, response)

    def destroy_node(self) -> None:
        """Say so."""
        logging.getLogger("gam_depth_ros.node").info("broken node: destroyed")
        super().destroy_node()


def _endless(*_: Any) -> Any:
    time.sleep(60.0)


if __name__ == "__main__":
    node.GamDepthNode = BrokenNode  # type: ignore[misc]
    if WHERE == "load":
        reload.load_pipeline = _endless
    sys.exit(node.main())
