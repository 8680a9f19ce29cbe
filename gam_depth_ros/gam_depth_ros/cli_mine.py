"""``gam-depth mine``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from gam_depth_ros.cli_common import (
    NOTHING_DONE,
    Model,
    Recordings,
    Threads,
    check_not_input,
    expected_frames,
    local_model,
    one_line_errors,
    out_console,
    pipeline_config,
    print_remarks,
    progress,
)
from gam_depth_ros.core.pipeline import load_pipeline
from gam_depth_ros.evaluation.bag import BagError, open_recording
from gam_depth_ros.evaluation.bag_writer import make_directory
from gam_depth_ros.evaluation.mine import mine as run_mining
from gam_depth_ros.evaluation.mine import mining_config
from gam_depth_ros.evaluation.mining import MiningRules
from gam_depth_ros.evaluation.mining_page import TITLES, mining_headline, write_mining


def mine(
    recordings: Recordings,
    out: Annotated[
        Path, typer.Option("--out", help="Directory for sequences/, mine.json and mine.html.")
    ],
    model: Model = None,
    frames: Annotated[
        int, typer.Option(min=1, help="At most so many frames over all recordings.")
    ] = MiningRules.frames,
    apart_s: Annotated[
        float, typer.Option(min=0.0, help="Least seconds between two picks of one recording.")
    ] = MiningRules.apart_s,
    frame_gap: Annotated[
        int, typer.Option(min=1, help="Recorded frames between the neighbours of a clip.")
    ] = MiningRules.frame_gap,
    neighbours: Annotated[
        int, typer.Option(min=1, help="Neighbours that training needs on either side.")
    ] = MiningRules.neighbours,
    max_frames: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many images of each recording.")
    ] = None,
    threads: Threads = 0,
) -> None:
    """Pick the frames worth retraining on, write them for training, and say why each."""
    with one_line_errors():
        if (out / "sequences").exists():
            raise BagError(
                f"{out}: got a folder with mined sequences, expected a new one; choose another "
                "--out"
            )
        for path in recordings:
            check_not_input(path, out)
        pipeline = load_pipeline(local_model(model), mining_config(pipeline_config(threads)))
        sources = [
            open_recording(path, pairing_slop_s=pipeline.config.pairing_slop_s)
            for path in recordings
        ]
        counts = [expected_frames(source, max_frames) for source in sources]
        known = [count for count in counts if count is not None]
        total = sum(known) if len(known) == len(counts) else None
        make_directory(out)
        with progress("mining", total) as advance:
            result = run_mining(
                sources,
                pipeline,
                MiningRules(frames, apart_s, frame_gap, neighbours),
                out,
                max_frames=max_frames,
                on_frame=advance,
            )
        paths = write_mining(result.report, result.pictures, pipeline.engine.spec.labels, out)
    print_remarks([note for source in sources for note in source.notes], [])
    _print_mining(result.report, paths)
    if not any(row["frames"] for row in result.report["recordings"]):
        raise typer.Exit(NOTHING_DONE)


def _print_mining(report: dict[str, Any], paths: tuple[Path, ...]) -> None:
    out_console.print(f"[bold]{escape(mining_headline(report))}[/bold]")
    if report["picks"]:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for heading in ("recording", "image", "seconds", "why"):
            table.add_column(heading, no_wrap=heading != "why")
        for pick in report["picks"]:
            why = ", ".join(TITLES[name] for name in pick["reasons"])
            seconds = f"{pick['seconds']:.1f}"
            table.add_row(escape(pick["recording"]), str(pick["index"]), seconds, why)
        out_console.print(table)
    for row in report["recordings"]:
        out_console.print(f"[dim]{escape(row['name'])}: {escape(row['drift_line'])}[/dim]")
    for path in paths:
        out_console.print(escape(str(path)), soft_wrap=True)
