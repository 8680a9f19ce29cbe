"""An engine that answers on a finer grid than its network, as a network of that size would."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gam_depth_ros.core.engine import Engine
from gam_depth_ros.core.engine_wrapper import EngineWrapper
from gam_depth_ros.core.model_spec import ModelSpec, NetworkOutput
from gam_depth_ros.core.preprocessing import prepare, to_image_size


class FinerEngine(EngineWrapper):
    """Shrinks its input and enlarges the answers.

    What the other stages cost at a size shows on sensible depths and labels, which a network with
    random weights does not give.

    Args:
        engine: Runs the network.
        size_hw: Height and width of input and answers, pixels.
    """

    def __init__(self, engine: Engine, size_hw: tuple[int, int]) -> None:
        super().__init__(engine)
        self._spec = replace(engine.spec, input_size_hw=size_hw)

    @property
    def spec(self) -> ModelSpec:
        """The model's contract, at this size."""
        return self._spec

    def run(self, batch: np.ndarray) -> NetworkOutput:
        """Return the answer to a 1×h×w×3 uint8 RGB batch, on its grid."""
        answer = super().run(prepare(batch[0], self._engine.spec.input_size_hw))
        size_hw = self._spec.input_size_hw
        return replace(
            answer,
            depth=to_image_size(answer.depth, size_hw),
            sigma=to_image_size(answer.sigma, size_hw),
            label=to_image_size(answer.label, size_hw, nearest=True),
            label_confidence=to_image_size(answer.label_confidence, size_hw),
        )
