"""The network at half its input's width and height and back: a rung of the ladder."""

from __future__ import annotations

from gam_depth_ros.core.engine import Engine, EngineError, OnnxEngine
from gam_depth_ros.core.pipeline import PerceptionPipeline
from gam_depth_ros.core.resized_engine import ResizedEngine


def is_halved(pipeline: PerceptionPipeline) -> bool:
    """Whether a pipeline runs its network at half the size."""
    return isinstance(pipeline.engine, ResizedEngine)


def halved(pipeline: PerceptionPipeline) -> PerceptionPipeline:
    """Return a pipeline on the same model at half its input; scale and filter start anew.

    Raises:
        EngineError: the model's input has a fixed size, or it does not run at half of it.
    """
    return PerceptionPipeline(_half(pipeline.engine), pipeline.config)


def restored(pipeline: PerceptionPipeline) -> PerceptionPipeline:
    """Return a pipeline on the same model at its own input; scale and filter start anew."""
    engine = pipeline.engine
    return PerceptionPipeline(
        engine.full if isinstance(engine, ResizedEngine) else engine, pipeline.config
    )


def why_not(pipeline: PerceptionPipeline) -> str:
    """Return why a model cannot run at a smaller input; empty where its file leaves that open."""
    engine = pipeline.engine
    if isinstance(engine, ResizedEngine):
        return ""
    if isinstance(engine, OnnxEngine) and engine.takes_any_size:
        return ""
    height, width = engine.spec.input_size_hw
    return f"the model's input is fixed at {height}x{width}"


def _half(engine: Engine) -> ResizedEngine:
    if not isinstance(engine, OnnxEngine):
        raise EngineError(f"got {type(engine).__name__}, expected a model run by ONNX Runtime")
    height, width = engine.spec.input_size_hw
    return ResizedEngine(engine, (height // 2, width // 2))
