"""YAML from outside: bounded before it is read, and nothing but plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

MAX_YAML_BYTES = 2**20


class PlainFileError(ValueError):
    """A file cannot be read. One line: got, expected."""


def read_yaml(path: Path) -> Any:
    """Read a YAML file of numbers, text, lists and mappings; a tag that would make more is refused.

    Raises:
        PlainFileError: unreadable, larger than ``MAX_YAML_BYTES``, nested too deeply, not YAML.
    """
    try:
        size, is_file = path.stat().st_size, path.is_file()
    except OSError as error:
        raise _unreadable(error) from error
    if not is_file:  # reading a pipe would wait for whoever writes into it
        raise PlainFileError("got something other than a file, expected a YAML file")
    if size > MAX_YAML_BYTES:
        raise PlainFileError(f"got {size} bytes, expected at most {MAX_YAML_BYTES} of YAML")
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, RecursionError) as error:
        raise _unreadable(error) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # PyYAML's own for a month 13, `!!bool maybe`, `!!int ''`, `!!timestamp x`.
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> PlainFileError:
    said = " ".join(str(error).split())[:200]
    return PlainFileError(f"got '{said}', expected a YAML file of plain values")
