"""An engine in front of another: what it does not change is the other's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.engine import Engine
from gam_depth_ros.core.model_spec import ModelSpec, NetworkOutput


class EngineWrapper:
    """Hands everything on; a subclass overrides what it is there for.

    Args:
        engine: The engine behind; not to be run at the same time.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def spec(self) -> ModelSpec:
        """The model's contract."""
        return self._engine.spec

    @property
    def provider(self) -> str:
        """The execution provider in use."""
        return self._engine.provider

    @property
    def precision(self) -> str:
        """The arithmetic in use."""
        return self._engine.precision

    @property
    def sha256(self) -> str:
        """SHA-256 of the model file."""
        return self._engine.sha256

    @property
    def info(self) -> dict[str, str]:
        """What diagnostics say about the engine, in words."""
        return self._engine.info

    def run(self, batch: npt.NDArray[np.uint8]) -> NetworkOutput:
        """Run the network on a 1×h×w×3 uint8 RGB batch; raises EngineError where it fails."""
        return self._engine.run(batch)

    def interrupt(self) -> None:
        """Make the inference that runs, if any, fail."""
        self._engine.interrupt()
