"""``gam-depth demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gam_depth_ros.cli_common import check_not_input, one_line_errors
from gam_depth_ros.evaluation.bag import BagError


def demo(
    bag: Annotated[
        Path | None, typer.Option(help="Recording to play; a synthetic one by default.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Directory for the bag and the report.")] = Path(
        "out/demo"
    ),
) -> None:
    """Play a recording to the real node on a live ROS 2 graph, record it, and report."""
    with one_line_errors():
        if bag is not None:
            check_not_input(bag, out)  # an earlier demo's files are removed first
        try:
            # Only this command needs ROS: the others run where there is none.
            from gam_depth_ros.demo import run_demo
        except ImportError as error:
            raise BagError(
                f"demo: got '{error}', expected a ROS 2 environment; source one, or run "
                "`make demo`, which installs it"
            ) from error
        run_demo(bag, out)
