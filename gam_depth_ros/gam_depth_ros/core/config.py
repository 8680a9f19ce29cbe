"""Every default of the pipeline, once; a stage with many settings has them in a file beside this.

The node maps these onto ROS parameters, the command line onto options; neither repeats a value.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gam_depth_ros.core.fusion_config import FusionConfig
from gam_depth_ros.core.health_config import HealthConfig
from gam_depth_ros.core.odometry_config import OdometryConfig
from gam_depth_ros.core.registration_config import RegistrationConfig
from gam_depth_ros.core.scale_config import ScaleConfig
from gam_depth_ros.core.setting import in_order, setting, validate
from gam_depth_ros.core.temporal_config import TemporalConfig
from gam_depth_ros.core.uncertainty_config import UncertaintyConfig

__all__ = [
    "EngineConfig",
    "FusionConfig",
    "HealthConfig",
    "OdometryConfig",
    "PipelineConfig",
    "RegistrationConfig",
    "ScaleConfig",
    "TemporalConfig",
    "UncertaintyConfig",
]


@dataclass(frozen=True)
class EngineConfig:
    """How the network is run."""

    providers: tuple[str, ...] = setting(
        ("cpu",),
        "ONNX Runtime execution providers in order of preference: tensorrt, cuda, openvino, cpu.",
    )
    threads: int = setting(
        0, "CPU threads for inference; 0 takes every core.", minimum=0, maximum=256
    )
    warmup_runs: int = setting(
        2, "Inferences run at configure time, before the first frame.", minimum=0, maximum=100
    )

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class PipelineConfig:
    """Everything between a frame and its perception."""

    engine: EngineConfig = field(default_factory=EngineConfig)
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    uncertainty: UncertaintyConfig = field(default_factory=UncertaintyConfig)
    health: HealthConfig = field(default_factory=HealthConfig)
    registration: RegistrationConfig = field(default_factory=RegistrationConfig)
    odometry: OdometryConfig = field(default_factory=OdometryConfig)
    pairing_slop_s: float = setting(
        0.02,
        "Largest difference of stamps between an image and its reference depth, seconds.",
        minimum=0.0,
        maximum=1.0,
    )
    min_depth_m: float = setting(
        0.1,
        "Depths below this are published as this, metres.",
        minimum=0.01,
        maximum=10.0,
        live=True,
    )
    max_depth_m: float = setting(
        10.0,
        "Depths above this are published as this, metres.",
        minimum=0.5,
        maximum=200.0,
        live=True,
    )

    def __post_init__(self) -> None:
        validate(self)
        in_order(self, "min_depth_m", "max_depth_m")
