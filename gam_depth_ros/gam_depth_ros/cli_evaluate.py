"""``gam-depth evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from gam_depth_ros.cli_common import (
    NOTHING_DONE,
    DepthTopic,
    ImageTopic,
    InfoTopic,
    Model,
    Recorded,
    Threads,
    expected_frames,
    one_line_errors,
    out_console,
    pipeline_config,
    print_remarks,
    progress,
    topics_of,
)
from gam_depth_ros.core.pipeline import load_pipeline
from gam_depth_ros.evaluation.bag import open_recording
from gam_depth_ros.evaluation.bag_writer import make_directory
from gam_depth_ros.evaluation.evaluate import evaluate as run_evaluation
from gam_depth_ros.evaluation.evaluate import evaluate_recorded
from gam_depth_ros.evaluation.report import COLUMNS, number, table_rows, write_report
from gam_depth_ros.evaluation.verdict import headline


def evaluate(
    recording: Recorded,
    out: Annotated[Path, typer.Option("--out", help="Directory for report.json and report.html.")],
    model: Model = None,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Score the outputs that lie in the bag.")
    ] = False,
    image_topic: ImageTopic = None,
    info_topic: InfoTopic = None,
    depth_topic: DepthTopic = None,
    max_frames: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many images.")
    ] = None,
    threads: Threads = 0,
    name: Annotated[
        str | None, typer.Option(help="What the report calls the recording; default: its file.")
    ] = None,
) -> None:
    """Score depth, uncertainty, labels and latency; write report.json and report.html."""
    with one_line_errors():
        config = pipeline_config(threads)
        source = open_recording(
            recording, topics_of(image_topic, info_topic, depth_topic), config.pairing_slop_s
        )
        make_directory(out)  # before the work: what cannot be written is said at once
        with progress("evaluating", expected_frames(source, max_frames)) as advance:
            if recorded:
                result = evaluate_recorded(
                    source,
                    model_path=model,
                    config=config,
                    max_frames=max_frames,
                    on_frame=advance,
                )
            else:
                pipeline = load_pipeline(model, config)
                result = run_evaluation(source, pipeline, max_frames=max_frames, on_frame=advance)
        report = result.report
        report["recording"]["name"] = name or report["recording"]["name"]
        paths = write_report(result, out)
    print_remarks(report["notes"], [entry["reason"] for entry in report["failures"]])
    print_report(report, paths)
    if not report["frames"]["evaluated"] + report["frames"]["without_truth"]:
        raise typer.Exit(NOTHING_DONE)


def print_report(report: dict[str, Any], paths: tuple[Path, ...] = ()) -> None:
    """Print the verdict, the depth table, the accounts, and where the files are."""
    out_console.print(f"[bold]{escape(headline(report))}[/bold]")
    rows = table_rows(report)
    if rows:
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("", no_wrap=True)
        for name, _ in COLUMNS:
            table.add_column(name, justify="right")
        table.add_column("n", justify="right")
        for row in rows:
            values = [number(row["scores"][name]) for name, _ in COLUMNS]
            style = "dim" if row["is_floor"] else ""
            table.add_row(row["short"], *values, str(row["scores"]["frames"]), style=style)
        out_console.print(table)
    frames, latency = report["frames"], report["latency_ms"]
    out_console.print(
        f"frames: {frames['in']} in = {frames['evaluated']} evaluated + {frames['dropped']} dropped"
        f" + {frames['failed']} failed + {frames['without_truth']} without truth"
    )
    if latency["p50"] is not None:
        out_console.print(f"latency: p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms")
    for path in paths:
        out_console.print(escape(str(path)), soft_wrap=True)
