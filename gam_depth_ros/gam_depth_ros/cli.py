"""The command line: ``gam-depth replay | evaluate | ...``; each command in a file of its own."""

from __future__ import annotations

import logging
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
    cli_performance,
    cli_replay,
    cli_robustness,
)
from gam_depth_ros.cli_common import err_console, out_console

app = typer.Typer(
    help="Metric depth, semantic masks and uncertainty from recorded video.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(cli_replay.replay)
app.command()(cli_evaluate.evaluate)
app.command()(cli_compare.compare)
app.command()(cli_robustness.robustness)
app.command()(cli_explain.explain)
app.command()(cli_mine.mine)
app.command()(cli_performance.performance)
app.command()(cli_demo.demo)


def main() -> None:
    """Run the command line; a user's mistake costs one line, not a traceback."""
    logging.basicConfig(
        level=logging.WARNING, format="%(message)s", handlers=[RichHandler(console=err_console)]
    )
    app()


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        out_console.print(__version__)
        raise typer.Exit


if __name__ == "__main__":
    main()
