"""Recipes as YAML files: read with their bases and overrides, and written whole."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from gam_depth_training.config import build_dataclass, read_yaml
from gam_depth_training.objective import ObjectiveOptions
from gam_depth_training.quirks import OfficialQuirks
from gam_depth_training.recipe import NetworkOptions, Recipe


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    A file may name another as its ``base``, relative to itself, and then says only what differs.

    Args:
        path: YAML file, see config/training/.
        overrides: Changes on top, each ``key=value`` with dots into the parts, as in
            ``objective.smoothness=0.01``; values are YAML.

    Raises:
        ValueError: One line naming the file, the key and what was expected.
    """
    try:
        values = _read(path)
        for override in overrides:
            _merge(values, _parse_override(override))
        return _recipe_from(values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def is_recipe(path: Path) -> bool:
    """Say whether a training config is a recipe: supervised ones have a list of ``stages``.

    Raises:
        ValueError: the file cannot be read.
    """
    return "stages" not in _read_mapping(path)


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write every setting of a recipe, defaults too, so that a run's folder says what it was."""
    plain = json.loads(json.dumps(dataclasses.asdict(recipe)))
    path.write_text(yaml.safe_dump(plain, sort_keys=False))


def _read(path: Path, depth: int = 0) -> dict[str, Any]:
    values = _read_mapping(path)
    base = values.pop("base", None)
    if base is None:
        return values
    if depth > 4:
        raise ValueError("got more than 5 files each based on the next, expected a short chain")
    merged = _read(path.parent / str(base), depth + 1)
    _merge(merged, values)
    return merged


def _read_mapping(path: Path) -> dict[str, Any]:
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ValueError(f"{path}: got no mapping, expected keys and values")
    return values


def _merge(values: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, change in changes.items():
        if isinstance(change, dict) and (key, values.get(key)) == ("quirks", "official"):
            # One changed quirk must leave the others on.
            values[key] = {**dataclasses.asdict(OfficialQuirks.official()), **change}
        elif isinstance(change, dict) and isinstance(values.get(key), dict):
            _merge(values[key], change)
        else:
            values[key] = change


def _parse_override(text: str) -> dict[str, Any]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise ValueError(f"got override '{text}', expected key=value, as in batch_size=4")
    try:
        change: Any = _numbers(yaml.safe_load(value))
    except yaml.YAMLError as error:
        raise ValueError(f"got override '{text}', expected a YAML value after '='") from error
    for part in reversed(key.split(".")):
        change = {part: change}
    assert isinstance(change, dict)
    return change


def _numbers(value: Any) -> Any:
    """Turn "1e-4", text for YAML 1.1, into the number that was meant."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _recipe_from(values: dict[str, Any]) -> Recipe:
    values = {key: _numbers(value) if key != "name" else value for key, value in values.items()}
    network = build_dataclass(NetworkOptions, _part(values, "network"))
    objective = _part(values, "objective")
    quirks = objective.pop("quirks", {})
    if quirks != "official" and not isinstance(quirks, dict):
        raise ValueError(f"got quirks '{quirks}', expected official, or quirks by name")
    objective["quirks"] = (
        OfficialQuirks.official()
        if quirks == "official"
        else build_dataclass(OfficialQuirks, quirks)
    )
    for name in ("offsets", "size_hw", "milestones"):
        if name in values:
            values[name] = tuple(int(value) for value in values[name])
    if "name" not in values:
        raise ValueError("got no 'name', expected one")
    terms = build_dataclass(ObjectiveOptions, objective)
    return build_dataclass(Recipe, {**values, "network": network, "objective": terms})


def _part(values: dict[str, Any], name: str) -> dict[str, Any]:
    part = values.pop(name, {})
    if not isinstance(part, dict):
        raise ValueError(f"got {name} '{part}', expected keys and values under it")
    return {key: _numbers(value) for key, value in part.items()}
