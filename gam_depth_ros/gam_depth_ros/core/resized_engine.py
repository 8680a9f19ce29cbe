"""A network run at another input size than its contract names, where its file leaves that open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.engine import EngineError, OnnxEngine, check_batch
from gam_depth_ros.core.engine_wrapper import EngineWrapper
from gam_depth_ros.core.model_contract import check_outputs
from gam_depth_ros.core.model_spec import ModelContractError, ModelSpec, NetworkOutput


class ResizedEngine(EngineWrapper):
    """Runs another engine's network at a size of its own; both share the one session.

    What the model learnt of scale and sigma it learnt at its own size: metres have to be learnt
    anew, and a calibrated sigma may not keep its promise here.

    Args:
        engine: The engine; not to be run at the same time.
        size_hw: Height and width of the input, pixels.

    Raises:
        EngineError: the model's input has a fixed size, or it does not run at this one.
    """

    def __init__(self, engine: OnnxEngine, size_hw: tuple[int, int]) -> None:
        if not engine.takes_any_size:
            height, width = engine.spec.input_size_hw
            raise EngineError(f"the model's input is fixed at {height}x{width}")
        super().__init__(engine)
        self._onnx = engine
        self._spec = replace(engine.spec, input_size_hw=size_hw)
        try:
            check_outputs(self.run(np.zeros((1, *size_hw, 3), np.uint8)), self._spec)
        except ModelContractError as error:
            raise EngineError(f"at {size_hw[0]}x{size_hw[1]}: {error}") from error

    @property
    def full(self) -> OnnxEngine:
        """The engine at the size its contract names."""
        return self._onnx

    @property
    def spec(self) -> ModelSpec:
        """The model's contract, at this input size."""
        return self._spec

    @property
    def info(self) -> dict[str, str]:
        """What diagnostics say about the engine, in words."""
        height, width = self._spec.input_size_hw
        return {**super().info, "input": f"{height}x{width}"}

    def run(self, batch: npt.NDArray[np.uint8]) -> NetworkOutput:
        """Run the network; raises EngineError for another shape, or where it fails."""
        check_batch(batch, self._spec.input_size_hw)
        return self._onnx.infer(batch)
