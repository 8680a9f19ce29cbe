"""Commands start under every typer that setup.cfg allows, of which Ubuntu 24.04 has the oldest."""

from __future__ import annotations

import inspect
import sys
import types
from pathlib import Path
from typing import Annotated, Optional, get_args, get_origin

import pytest

from gam_depth_ros.cli import app
from gam_depth_ros.cli_types import command


def callbacks(group):
    """Return the functions of a group's commands and of those below it."""
    found = [entry.callback for entry in group.registered_commands]
    if group.registered_callback is not None:
        found.append(group.registered_callback.callback)
    for entry in group.registered_groups:
        found += callbacks(entry.typer_instance)
    return found


def test_a_union_with_none_becomes_optional_whatever_is_said_beside_it():
    def walk(
        path: Annotated[Path | None, "said"] = None,
        counts: list[int] | None = None,
        name: str = "",
    ) -> None:
        """Do nothing."""

    kinds = inspect.signature(command(walk), eval_str=True).parameters
    assert kinds["path"].annotation == Annotated[Optional[Path], "said"]  # noqa: UP045
    assert kinds["counts"].annotation == Optional[list[int]]  # noqa: UP045
    assert not isinstance(kinds["counts"].annotation, types.UnionType)
    assert kinds["name"].annotation is str


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="Python 3.10 gives the first way of writing it for both"
)
def test_no_command_has_a_parameter_that_typer_0_9_refuses():
    found = callbacks(app)
    assert len(found) > 8
    for function in found:
        for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
            kind = parameter.annotation
            kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
            assert not isinstance(kind, types.UnionType), f"{function.__name__}: {name}"
