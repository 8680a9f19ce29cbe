"""Every default of the pipeline, once.

The node maps these onto ROS parameters, the command line onto options; neither repeats a value.
Each field's metadata carries the description, unit and bounds that the parameter docs print.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


def setting(
    default: Any,
    description: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
    live: bool = False,
) -> Any:
    """Declare a documented dataclass field.

    Args:
        default: The default value; its type is the setting's type.
        description: One line with the unit.
        minimum: Smallest value allowed, inclusive.
        maximum: Largest value allowed, inclusive.
        choices: The values allowed, for strings.
        live: Whether a running node may change it.
    """
    metadata = {
        "description": description,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "live": live,
    }
    if isinstance(default, (list, dict)):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def validate(config: Any) -> None:
    """Check every field of a config dataclass against its metadata.

    Raises:
        ValueError: One line that names the setting, what was got and what was expected.
    """
    for entry in fields(config):
        if not entry.metadata:
            continue
        value = getattr(config, entry.name)
        choices = entry.metadata["choices"]
        if choices is not None and value not in choices:
            raise ValueError(f"{entry.name}: got '{value}', expected one of {', '.join(choices)}")
        low, high = entry.metadata["minimum"], entry.metadata["maximum"]
        if (low is not None and not value >= low) or (high is not None and not value <= high):
            raise ValueError(f"{entry.name}: got {value}, expected {low} to {high}")


def in_order(config: Any, low: str, high: str) -> None:
    """Check that one setting lies below another; raises ValueError with one line."""
    least, most = getattr(config, low), getattr(config, high)
    if not least < most:
        raise ValueError(f"{low}: got {least}, expected less than {high}, which is {most}")


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
class ScaleConfig:
    """Where metres come from."""

    source: str = setting(
        "median_reference",
        "Source of metric scale: median_reference (sensor depth) or fixed (a known factor).",
        choices=("median_reference", "fixed"),
    )
    fixed_value: float = setting(
        1.0,
        "Metres per unit of network depth when the source is fixed.",
        minimum=1e-3,
        maximum=1e3,
        live=True,
    )
    min_reference_depth_m: float = setting(
        0.3, "Nearest reference depth used, metres.", minimum=0.0, maximum=100.0
    )
    max_reference_depth_m: float = setting(
        6.0, "Farthest reference depth used, metres.", minimum=0.1, maximum=100.0
    )
    min_valid_fraction: float = setting(
        0.05,
        "Share of reference pixels that must be valid and in range for the reference to be used.",
        minimum=0.0,
        maximum=1.0,
    )
    smoothing_time_s: float = setting(
        0.5, "Time constant of the scale's low-pass filter, seconds.", minimum=0.0, maximum=60.0
    )
    max_age_s: float = setting(
        10.0,
        "Seconds without an accepted reference after which the scale is unknown again.",
        minimum=0.1,
        maximum=3600.0,
        live=True,
    )

    def __post_init__(self) -> None:
        validate(self)
        in_order(self, "min_reference_depth_m", "max_reference_depth_m")


@dataclass(frozen=True)
class PipelineConfig:
    """Everything between a frame and its perception."""

    engine: EngineConfig = field(default_factory=EngineConfig)
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    pairing_slop_s: float = setting(
        0.02,
        "Largest difference of stamps between an image and its reference depth, seconds.",
        minimum=0.0,
        maximum=1.0,
    )
    min_depth_m: float = setting(
        0.1, "Depths below this are published as this, metres.", minimum=0.01, maximum=10.0
    )
    max_depth_m: float = setting(
        10.0, "Depths above this are published as this, metres.", minimum=0.5, maximum=200.0
    )

    def __post_init__(self) -> None:
        validate(self)
        in_order(self, "min_depth_m", "max_depth_m")
