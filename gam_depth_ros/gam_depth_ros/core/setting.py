"""How a setting of a configuration dataclass is declared and checked.

Each field's metadata carries the description, unit and bounds that the parameter docs print.
"""

from __future__ import annotations

from dataclasses import field, fields
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
