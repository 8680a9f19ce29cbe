"""What a new model may lose against the old one before it is refused: ``config/gate.yaml``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gam_depth_ros.evaluation.bag_contents import BagError
from gam_depth_ros.evaluation.comparison import METRIC_OF
from gam_depth_ros.plain_file import PlainFileError, read_yaml

_LIMITS = ("max_loss", "max_relative_loss")


@dataclass(frozen=True)
class Limit:
    """How much of one metric may be lost.

    Attributes:
        name: The metric's name in the report.
        max_loss: Largest change for the worse, in the metric's unit; infinite for any.
        max_relative_loss: The same as a share of A's value; infinite for any.
    """

    name: str
    max_loss: float = math.inf
    max_relative_loss: float = math.inf


@dataclass(frozen=True)
class Gate:
    """What is asked of B.

    Attributes:
        limits: Each has to be kept.
        min_frames: Fewest frames that a metric is judged by.
    """

    limits: tuple[Limit, ...]
    min_frames: int = 1


def load_gate(path: Path) -> Gate:
    """Read a gate.

    Raises:
        BagError: unreadable, not YAML, an unknown metric or key, or a limit that is no number.
    """
    try:
        data = read_yaml(path)
    except PlainFileError as error:
        raise BagError(f"{path}: {error} with `metrics`; see config/gate.yaml") from error
    if not isinstance(data, dict) or not isinstance(data.get("metrics"), dict):
        raise _wrong(path, f"{type(data).__name__} without `metrics`", "a mapping that has it")
    unknown = set(data) - {"metrics", "min_frames"}
    if unknown:
        raise _wrong(path, f"the key '{sorted(map(str, unknown))[0]}'", "metrics and min_frames")
    frames = data.get("min_frames", Gate.min_frames)
    if type(frames) is not int or frames < 1:
        raise _wrong(path, f"min_frames {frames!r}", "a whole number from 1")
    if not data["metrics"]:
        raise _wrong(path, "no metric", "one or more under `metrics`")
    limits = tuple(_limit(path, name, values) for name, values in data["metrics"].items())
    return Gate(limits, frames)


def _limit(path: Path, name: Any, values: Any) -> Limit:
    if name not in METRIC_OF:
        raise _wrong(path, f"the metric '{name}'", f"one of {', '.join(METRIC_OF)}")
    if not isinstance(values, dict) or not values or set(values) - set(_LIMITS):
        raise _wrong(path, f"{name}: {values!r}", f"{' or '.join(_LIMITS)} under it")
    for key, value in values.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not 0.0 <= value < math.inf:
            raise _wrong(path, f"{name}.{key}: {value!r}", "a number from 0")
    return Limit(name, **{key: float(value) for key, value in values.items()})


def judge(gate: Gate, metrics: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Hold a comparison against a gate.

    Args:
        gate: What is asked.
        metrics: The ``metrics`` of a comparison.

    Returns:
        ``passed``, and for each limit its name, whether it was kept and why in one line.
    """
    rows = {row["name"]: row for row in metrics}
    checks = [_check(limit, rows.get(limit.name), gate.min_frames) for limit in gate.limits]
    return {"passed": all(check["passed"] for check in checks), "checks": checks}


def _check(limit: Limit, row: dict[str, Any] | None, min_frames: int) -> dict[str, Any]:
    title = METRIC_OF[limit.name].title
    if row is None:
        return _checked(limit, False, f"{title}: got no frame scored in both, expected some")
    if row["frames"] < min_frames:
        text = f"{title}: got {row['frames']} frames, expected {min_frames} or more"
        return _checked(limit, False, text)
    loss = -row["difference"] if row["higher_is_better"] else row["difference"]
    relative = limit.max_relative_loss * abs(row["a"]) if row["a"] else math.inf
    allowed = min(limit.max_loss, relative)
    unit = f" {row['unit']}" if row["unit"] else ""
    direction = "worse" if loss > 0 else "better"
    text = (
        f"{title}: {row['a']:.4g} to {row['b']:.4g}{unit}, {abs(loss):.4g}{unit} {direction}; "
        f"allowed: {allowed:.4g}{unit} worse"
    )
    return _checked(limit, loss <= allowed, text)


def _checked(limit: Limit, passed: bool, text: str) -> dict[str, Any]:
    return {"name": limit.name, "passed": passed, "text": text}


def _wrong(path: Path, got: str, expected: str) -> BagError:
    return BagError(f"{path}: got {got}, expected {expected}; see config/gate.yaml")
