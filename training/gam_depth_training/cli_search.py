"""`gam-depth-train search`: the front of latency and accuracy over widths and input sizes."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from gam_depth_training.cli_fit import fail

if TYPE_CHECKING:
    from gam_depth_training.search import Point

console = Console()


def search(
    weights: Annotated[Path, typer.Option(help="Trained weights to prune.")],
    shards: Annotated[Path, typer.Option(help="Shards: the first ones judge, the others tune.")],
    out: Annotated[Path, typer.Option(help="Folder for the sweep; run again to go on.")],
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Recording with depth, for each: calibrates 8 bits, and judges."),
    ] = None,
    widths: Annotated[str, typer.Option(help="Shares of the channels.")] = "1,0.75,0.5",
    sizes: Annotated[str, typer.Option(help="HEIGHTxWIDTH of inputs.")] = "288x384,192x256,96x128",
    steps: Annotated[int, typer.Option(min=0, help="Steps of tuning after pruning.")] = 500,
    batch_size: Annotated[int, typer.Option(min=1, help="Frames of a step.")] = 16,
    learning_rate: Annotated[float, typer.Option(help="Peak of the tuning's rate.")] = 5e-4,
    frames: Annotated[int, typer.Option(min=2, help="Frames of each recording.")] = 64,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the measurement.")] = 2,
    rounds: Annotated[int, typer.Option(min=1, help="Times that each point is timed.")] = 30,
) -> None:
    """Prune to several widths, tune at several sizes, and print what is fast for its accuracy."""
    from gam_depth_ros.evaluation.bag import BagError
    from gam_depth_training.cli_data import parse_size
    from gam_depth_training.module import NonFiniteLossError
    from gam_depth_training.reference_pictures import recorded_pictures
    from gam_depth_training.search import SearchOptions
    from gam_depth_training.search import search as run
    from gam_depth_training.search_figure import draw_front

    try:
        options = SearchOptions(
            tuple(float(width) for width in widths.split(",")),
            tuple(parse_size(size) for size in sizes.split(",")),
            steps,
            batch_size,
            learning_rate,
            threads,
            rounds,
        )
        pictures = [one for path in data or () for one in recorded_pictures(path, frames)]
        points = run(weights, shards, pictures, out, options)
        stated = {"machine": platform.processor() or platform.machine(), "threads": threads}
        content = {
            **stated,
            "load": os.getloadavg()[0],
            "points": [dataclasses.asdict(point) for point in points],
        }
        (out / "search.json").write_text(json.dumps(content, indent=1))
        draw_front(points, out / "front.png")
    except (ValueError, OSError, BagError, NonFiniteLossError) as error:
        raise fail(error) from error
    _show(points, threads)
    console.print(f"{out / 'search.json'}, {out / 'front.png'}", soft_wrap=True)


def _show(points: Sequence[Point], threads: int) -> None:
    title = f"{threads} threads, load {os.getloadavg()[0]:.1f}; * no other is faster and better"
    table = Table(
        "", "width", "input", "precision", "ms", "AbsRel", "AbsRel rooms", "mIoU rooms", "MB",
        title=title,
    )
    for point in points:
        table.add_row(
            "*" if point.on_front else "",
            f"{point.width:g}",
            f"{point.size_hw[0]}x{point.size_hw[1]}",
            point.precision,
            f"{point.latency_ms:.1f}",
            f"{point.abs_rel:.3f}",
            f"{point.abs_rel_rooms:.3f}",
            f"{point.miou_rooms:.3f}",
            f"{point.size_bytes / 1e6:.1f}",
        )
    console.print(table)
