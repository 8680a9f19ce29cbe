"""Types of a command's parameters, written so that every typer understands them."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

Command = TypeVar("Command", bound=Callable[..., Any])


def command(function: Command) -> Command:
    """Return a command with ``X | None`` as ``Optional[X]`` in what its parameters are said to be.

    Ubuntu 24.04 brings typer 0.9, which knows no other way of writing it and refuses to start.
    """
    for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
        function.__annotations__[name] = _optional(parameter.annotation)
    return function


def _optional(kind: Any) -> Any:
    if get_origin(kind) is Annotated:
        inner, *said = get_args(kind)
        return Annotated[(_optional(inner), *said)]
    # The other way of writing it is what this is about.
    return Union[get_args(kind)] if isinstance(kind, types.UnionType) else kind  # noqa: UP007
