"""A pipeline for drawn pictures, which are no rooms: unjudged, and each frame for itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from gam_depth_ros.core.config import EngineConfig, HealthConfig, PipelineConfig, TemporalConfig
from gam_depth_ros.core.pipeline import PerceptionPipeline, load_pipeline

PLAIN = PipelineConfig(
    engine=EngineConfig(threads=1),
    health=HealthConfig(enabled=False),
    temporal=TemporalConfig(mode="off"),
)
# The same as parameters of the node. A test sends a picture when it likes: none is missed; and on a
# busy machine, where an inference may wait for seconds, no engine is taken for hung.
PLAIN_PARAMETERS = {
    "health.enabled": False,
    "temporal.mode": "off",
    "watchdog.stale_s": 0.0,
    "watchdog.hang_s": 0.0,
}


def plain_pipeline(model: Path, **changes: Any) -> PerceptionPipeline:
    """Return a pipeline with that model, and other settings changed."""
    return load_pipeline(model, replace(PLAIN, **changes))
