"""Configuration dataclasses <-> ROS parameters: names, types, ranges, descriptions, live changes.

A nested dataclass becomes a dotted name (``scale.max_age_s``). Each default stands in the
dataclass only. What the pipeline works with is live; what something is built with can be set until
that is built.
"""

from __future__ import annotations

import array
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from gam_depth_ros.core.config import PipelineConfig
from gam_depth_ros.core.setting import setting, validate
from gam_depth_ros.ladder import LadderConfig
from gam_depth_ros.performance_log import PerformanceLogConfig
from gam_depth_ros.reload_terms import ReloadConfig
from gam_depth_ros.watchdog import WatchdogConfig


@dataclass(frozen=True)
class NodeConfig:
    """The node's own settings beside the pipeline's."""

    pipeline: PipelineConfig = field(default_factory=PipelineConfig)
    model_path: str = setting(
        "", "ONNX model file, or a name in models.yaml; empty: the model shipped with the package."
    )
    autostart: bool = setting(
        default=True,
        description="Configure and activate at start, without a lifecycle manager.",
    )
    image_transport: str = setting(
        "raw",
        "How images arrive: raw (topic image) or compressed (topic image/compressed).",
        choices=("raw", "compressed"),
    )
    image_rectified: bool = setting(
        default=False,
        description="Whether images and sensor depth are rectified (image_rect): they follow P of "
        "their camera_info then, and its distortion, which describes the lens, is left aside.",
    )
    depth_encoding: str = setting(
        "32FC1",
        "Encoding of ~/depth/image: 32FC1 metres or 16UC1 millimetres.",
        choices=("32FC1", "16UC1"),
        live=True,
    )
    pairing_wait_s: float = setting(
        0.05,
        "Longest time an image waits for its reference depth, seconds; less once references have "
        "shown how late they come, and nothing while none arrive.",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    reload: ReloadConfig = field(default_factory=ReloadConfig)
    watchdog: WatchdogConfig = field(default_factory=WatchdogConfig)
    ladder: LadderConfig = field(default_factory=LadderConfig)
    performance_log: PerformanceLogConfig = field(default_factory=PerformanceLogConfig)

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class Moment:
    """When a parameter that is not live takes effect: until then it may be set.

    Attributes:
        before: ``configure``, ``activate`` or ``start``.
        why: What it is needed for then.
        remedy: How to change it later.
    """

    before: str
    why: str
    remedy: str


_ANEW = "clean up the node, set it, configure again"
_AGAIN = "deactivate the node, set it, activate again"
_SUBSCRIPTIONS = Moment("activate", "the subscriptions are made with it", _AGAIN)
_MOMENTS = {  # by name, or by the beginning of it
    "engine.": Moment("configure", "the engine is built with it", _ANEW),
    "model_path": Moment(
        "configure", "the model is loaded then", f"call ~/reload_model, or {_ANEW}"
    ),
    "image_transport": _SUBSCRIPTIONS,
    "image_rectified": _SUBSCRIPTIONS,
    "pairing_slop_s": Moment("activate", "images are paired by it from then on", _AGAIN),
    "autostart": Moment("start", "the node has started", "start the node anew"),
}
_OTHERWISE = Moment("configure", "it is built in then", _ANEW)


@dataclass(frozen=True)
class ParameterSpec:
    """One ROS parameter as the configuration dataclasses describe it."""

    name: str
    default: Any
    description: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...] | None
    live: bool

    @property
    def moment(self) -> Moment | None:
        """When it takes effect; None: at once."""
        if self.live:
            return None
        found = (row for name, row in _MOMENTS.items() if self.name.startswith(name))
        return next(found, _OTHERWISE)


def specs(config: Any = None, prefix: str = "") -> list[ParameterSpec]:
    """List every parameter of a configuration; the pipeline's stand at the top level."""
    config = NodeConfig() if config is None else config
    found: list[ParameterSpec] = []
    for entry in fields(config):
        value = getattr(config, entry.name)
        if is_dataclass(value):
            inner = "" if isinstance(value, PipelineConfig) else f"{prefix}{entry.name}."
            found += specs(value, inner)
        else:
            found.append(ParameterSpec(f"{prefix}{entry.name}", value, **entry.metadata))
    return found


def updated(config: Any, values: Mapping[str, Any], prefix: str = "") -> Any:
    """Return ``config`` with the parameters in ``values`` (by dotted name) replaced.

    Raises:
        ValueError: A value has the wrong type or is out of bounds; one line naming it.
    """
    changes: dict[str, Any] = {}
    for entry in fields(config):
        value = getattr(config, entry.name)
        name = f"{prefix}{entry.name}"
        if is_dataclass(value):
            inner = "" if isinstance(value, PipelineConfig) else f"{name}."
            changes[entry.name] = updated(value, values, inner)
        elif name in values:
            changes[entry.name] = _typed(name, values[name], value)
    try:
        return replace(config, **changes)
    except ValueError as error:
        raise ValueError(f"{prefix}{error}") from None


def _typed(name: str, value: Any, default: Any) -> Any:
    if isinstance(default, tuple):  # rclpy hands arrays of numbers over as array.array
        value = tuple(value) if isinstance(value, (list, tuple, array.array)) else value
    elif isinstance(default, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(default):
        raise ValueError(
            f"{name}: got {type(value).__name__} {value!r}, expected {type(default).__name__} "
            f"such as {default!r}"
        )
    return value


def declare(node: Any) -> NodeConfig:
    """Declare every parameter on an rclpy node and return the configuration they give.

    Raises:
        ValueError: A value from the command line or a YAML file was refused; one line.
    """
    from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException

    values: dict[str, Any] = {}
    for spec in specs():
        default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
        try:
            values[spec.name] = node.declare_parameter(spec.name, default, _descriptor(spec)).value
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            got = str(error).removesuffix(f": {spec.name}")
            raise ValueError(
                f"parameter {spec.name}: {got}; expected {type(default).__name__} such as "
                f"{default!r}, {_bounds(spec)}"
            ) from None
    config: NodeConfig = updated(NodeConfig(), values)
    return config


def change(
    config: NodeConfig, values: Mapping[str, Any], *, configured: bool, active: bool = False
) -> NodeConfig:
    """Return the configuration after a parameter change; parameters of others are ignored.

    Args:
        config: The configuration now.
        values: New values by parameter name.
        configured: Whether the node is configured.
        active: Whether it is active.

    Raises:
        ValueError: The change is refused; one line with the reason.
    """
    known = {spec.name: spec for spec in specs(config)}
    wanted = {name: value for name, value in values.items() if name in known}
    states = {"start": "running"}
    states |= {"configure": "configured"} if configured else {}
    states |= {"activate": "active"} if active else {}
    for name, value in wanted.items():
        moment, present = known[name].moment, known[name].default
        # What is set to what it is does not change: a whole file may be loaded again.
        if moment is None or _typed(name, value, present) == present:
            continue
        if moment.before in states:
            raise ValueError(
                f"{name}: got a change while the node is {states[moment.before]}, expected one "
                f"before {moment.before}: {moment.why}; {moment.remedy}"
            )
    result: NodeConfig = updated(config, wanted)
    return result


def _descriptor(spec: ParameterSpec) -> Any:
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    descriptor = ParameterDescriptor(
        description=f"{spec.description} {_when(spec)}",
        additional_constraints=f"one of {', '.join(spec.choices)}" if spec.choices else "",
    )
    if spec.minimum is not None and spec.maximum is not None:
        if isinstance(spec.default, float):
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(spec.minimum), to_value=float(spec.maximum))
            ]
        else:
            descriptor.integer_range = [
                IntegerRange(from_value=int(spec.minimum), to_value=int(spec.maximum), step=1)
            ]
    return descriptor


def _bounds(spec: ParameterSpec) -> str:
    if spec.choices:
        return f"one of {', '.join(spec.choices)}"
    if spec.minimum is not None and spec.maximum is not None:
        return f"{spec.minimum:g} to {spec.maximum:g}"
    return "any value"


def _when(spec: ParameterSpec) -> str:
    moment = spec.moment
    return "Can change at any time." if moment is None else f"Takes effect at {moment.before}."
