"""``gam-depth explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from gam_depth_ros.cli_common import (
    Model,
    Threads,
    local_model,
    one_line_errors,
    out_console,
    pipeline_config,
    progress,
)
from gam_depth_ros.core.labels import LabelSet
from gam_depth_ros.core.pipeline import load_pipeline
from gam_depth_ros.evaluation.bag import BagError
from gam_depth_ros.evaluation.bag_writer import make_directory
from gam_depth_ros.evaluation.explain import explain as run_explanation
from gam_depth_ros.evaluation.explain import run_count
from gam_depth_ros.evaluation.explain_page import (
    explanation_headline,
    explanation_rows,
    hidden_wording,
    write_explanation,
)
from gam_depth_ros.evaluation.explain_source import load_picture, read_region


def explain(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="A picture (.jpg, .png) or a recording.")
    ],
    at: Annotated[
        str, typer.Option(help="Where: X,Y or X,Y,WIDTH,HEIGHT in pixels of the picture.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Directory for explain.json and .html.")],
    quantity: Annotated[str, typer.Option("--of", help="depth or label.")] = "depth",
    frame: Annotated[int, typer.Option(min=0, help="Which image of a recording.")] = 0,
    model: Model = None,
    patch: Annotated[
        int, typer.Option(help="Side of the patch, pixels of the network's input.")
    ] = 16,
    stride: Annotated[int, typer.Option(help="Its step; half of it takes four times as long.")] = 8,
    fill: Annotated[
        str, typer.Option(help="What hides: the picture's mean colour, or a blur of the place.")
    ] = "mean",
    threads: Threads = 0,
) -> None:
    """Show which parts of a picture drive the depth, or the label, at a place."""
    with one_line_errors():
        make_directory(out)
        rgb = load_picture(source, frame)
        pipeline = load_pipeline(local_model(model), pipeline_config(threads))
        engine = pipeline.engine
        try:
            region = read_region(at, (rgb.shape[0], rgb.shape[1]))
            total = 1 + run_count(engine.spec.input_size_hw, max(1, patch), max(1, stride))
            with progress("hiding", total) as advance:
                found = run_explanation(
                    rgb,
                    engine,
                    region,
                    quantity=quantity,
                    patch_px=patch,
                    stride_px=stride,
                    fill=fill,
                    on_run=advance,
                )
        except ValueError as error:
            raise BagError(f"explain: {error}") from error
        about = {
            "source": {"path": str(source), "name": source.resolve().stem, "index": frame},
            "model": {
                "name": engine.spec.name,
                "path": engine.info.get("path", ""),
                "sha256": engine.sha256,
            },
            "fill": fill,
        }
        report, paths = write_explanation(
            found, rgb, engine.spec.labels, about, out, hidden_wording(found, fill)
        )
    _print(report, engine.spec.labels)
    for path in paths:
        out_console.print(escape(str(path)), soft_wrap=True)


def _print(report: dict[str, Any], labels: LabelSet) -> None:
    out_console.print(f"[bold]{escape(explanation_headline(report))}[/bold]")
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("label", no_wrap=True)
    for heading in ("influence", "area", "when hidden"):
        table.add_column(heading, justify="right")
    for row in explanation_rows(report, labels):
        table.add_row(row["name"], row["influence"], row["area"], row["signed"])
    out_console.print(table)
