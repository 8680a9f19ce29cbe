"""The command line: ``gam-depth replay | evaluate | ...``; each command in a file of its own."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.logging import RichHandler

from gam_depth_ros import (
    __version__,
    cli_compare,
    cli_demo,
    cli_evaluate,
    cli_explain,
    cli_mine,
    cli_models,
    cli_performance,
    cli_replay,
    cli_robustness,
)
from gam_depth_ros.cli_common import err_console, out_console
from gam_depth_ros.cli_types import command
from gam_depth_ros.model_list import LISTS_ENVIRONMENT_VARIABLE

app = typer.Typer(
    help="Metric depth, semantic masks and uncertainty from recorded video.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(command(cli_replay.replay))
app.command()(command(cli_evaluate.evaluate))
app.command()(command(cli_compare.compare))
app.command()(command(cli_robustness.robustness))
app.command()(command(cli_explain.explain))
app.command()(command(cli_mine.mine))
app.command()(command(cli_performance.performance))
app.command()(command(cli_demo.demo))
app.add_typer(cli_models.app, name="models")


def main() -> None:
    """Run the command line; a user's mistake costs one line, not a traceback."""
    logging.basicConfig(
        level=logging.WARNING, format="%(message)s", handlers=[RichHandler(console=err_console)]
    )
    app()


@app.callback(invoke_without_command=True)
@command
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    models: Annotated[
        list[Path] | None,
        typer.Option(help=f"List of your models, beside those in {LISTS_ENVIRONMENT_VARIABLE}."),
    ] = None,
) -> None:
    if models:  # by the environment, so that processes that are started see it too
        known = os.environ.get(LISTS_ENVIRONMENT_VARIABLE, "")
        added = [str(path.absolute()) for path in models]
        os.environ[LISTS_ENVIRONMENT_VARIABLE] = os.pathsep.join(filter(None, [known, *added]))
    if version:
        out_console.print(__version__)
        raise typer.Exit


if __name__ == "__main__":
    main()
