"""``gam-depth performance``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from gam_depth_ros.cli_common import err_console, one_line_errors, out_console
from gam_depth_ros.evaluation.page import duration
from gam_depth_ros.evaluation.performance import read_performance_log
from gam_depth_ros.evaluation.performance_page import performance_headline, write_performance


def performance(
    log: Annotated[
        Path,
        typer.Argument(metavar="LOG", help="What the node's performance_log.path names; the older "
                                           "files beside it (LOG.1, ...) are read too."),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Directory for performance.html and performance.json.")
    ] = Path("out/performance"),
) -> None:  # fmt: skip
    """Draw a node's performance log: latency by stage, rates, drops, scale and health over time."""
    with one_line_errors():
        read = read_performance_log(log)
        summary, paths = write_performance(read, out)
    if read.refused:
        err_console.print(f"[dim]{read.refused} lines were torn or foreign, left out[/dim]")
    _print_summary(summary)
    for path in paths:
        out_console.print(escape(str(path)), soft_wrap=True)


def _print_summary(summary: dict[str, Any]) -> None:
    """Print the headline, a row for each stage, and where images and time went."""
    out_console.print(f"[bold]{escape(performance_headline(summary))}[/bold]")
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("ms", no_wrap=True)
    for heading in ("median", "99th", "worst"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, stage in summary["stages"].items():
        table.add_row(name, *(f"{stage[key]:.1f}" for key in ("median_ms", "p99_ms", "max_ms")))
    out_console.print(table)
    dropped = ", ".join(f"{name} {count}" for name, count in summary["dropped"].items() if count)
    rows = (
        ("covers", f"{duration(summary['seconds'])} in {summary['runs']} run(s)"),
        ("dropped", dropped or "none"),
        ("levels", _spans(summary["level_s"])),
        ("scale", _spans(summary["scale_s"])),
        ("given up", _spans(summary["given_up_s"]) or "nothing"),
        ("engines replaced", str(summary["engines_replaced"])),
    )
    for name, value in rows:
        out_console.print(f"[dim]{name}[/dim] {escape(value)}", soft_wrap=True)


def _spans(seconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {duration(value)}" for name, value in seconds.items())
