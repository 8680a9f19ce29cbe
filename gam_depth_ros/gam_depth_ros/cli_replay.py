"""``gam-depth replay``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from gam_depth_ros.cli_common import (
    NOTHING_DONE,
    DepthTopic,
    ImageTopic,
    InfoTopic,
    Model,
    Recorded,
    Threads,
    check_not_input,
    local_model,
    one_line_errors,
    out_console,
    pipeline_config,
    print_remarks,
    progress,
    topics_of,
)
from gam_depth_ros.core.config import ScaleConfig
from gam_depth_ros.core.pipeline import load_pipeline
from gam_depth_ros.evaluation.bag import open_recording
from gam_depth_ros.evaluation.bag_writer import check_replaceable
from gam_depth_ros.evaluation.replay import replay as run_replay


def replay(
    recording: Recorded,
    out: Annotated[Path, typer.Option("--out", help="rosbag2 directory to be made.")],
    model: Model = None,
    scale: Annotated[
        str, typer.Option(help="Source of metres: median_reference or fixed.")
    ] = ScaleConfig.source,
    scale_value: Annotated[
        float, typer.Option(help="Metres per unit of network depth when the scale is fixed.")
    ] = ScaleConfig.fixed_value,
    storage: Annotated[str, typer.Option(help="mcap or sqlite3.")] = "mcap",
    copy_inputs: Annotated[bool, typer.Option(help="Write the inputs as well.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing bag.")] = False,
    image_topic: ImageTopic = None,
    info_topic: InfoTopic = None,
    depth_topic: DepthTopic = None,
    threads: Threads = 0,
) -> None:
    """Run a recording through the node's pipeline, offline, and write what it would publish."""
    with one_line_errors():
        if out.exists():
            check_replaceable(out, force=force)
            check_not_input(recording, out)
        config = pipeline_config(threads, scale, scale_value)
        source = open_recording(
            recording, topics_of(image_topic, info_topic, depth_topic), config.pairing_slop_s
        )
        pipeline = load_pipeline(local_model(model), config)
        with progress("replaying", source.frame_count) as advance:
            result = run_replay(
                source,
                pipeline,
                out,
                storage=storage,
                copy_inputs=copy_inputs,
                force=force,
                on_frame=advance,
            )
    print_remarks(result.notes, result.failures)
    out_console.print(
        f"{result.frames_out} of {result.frames_in} frames → {escape(str(out))}"
        f" ({result.frames_without_scale} before a scale was known, {len(result.failures)} failed)",
        soft_wrap=True,
    )
    if not result.frames_out:
        raise typer.Exit(NOTHING_DONE)
