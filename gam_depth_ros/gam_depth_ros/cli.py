"""The command line: ``gam-depth replay | evaluate | demo``."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from gam_depth_ros import __version__
from gam_depth_ros.core.camera import CameraError
from gam_depth_ros.core.config import PipelineConfig, ScaleConfig
from gam_depth_ros.core.engine import EngineError
from gam_depth_ros.core.model_spec import ModelContractError
from gam_depth_ros.core.pipeline import load_pipeline
from gam_depth_ros.evaluation.bag import BagError, Recording, Topics, open_recording
from gam_depth_ros.evaluation.bag_writer import check_replaceable, make_directory
from gam_depth_ros.evaluation.evaluate import evaluate as run_evaluation
from gam_depth_ros.evaluation.evaluate import evaluate_recorded
from gam_depth_ros.evaluation.replay import replay as run_replay
from gam_depth_ros.evaluation.report import COLUMNS, number, table_rows, write_report
from gam_depth_ros.evaluation.verdict import headline

PATIENCE_S = 2.0
"""Seconds of work before a progress bar appears."""
SHOWN_LINES = 10
NOTHING_DONE = 1
"""Exit status when not one frame could be processed."""

app = typer.Typer(
    help="Metric depth, semantic masks and uncertainty from recorded video.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_out, _err = Console(), Console(stderr=True)

Recorded = Annotated[
    Path,
    typer.Argument(
        metavar="IN", help="rosbag2 directory, .mcap, .db3 or .bag file, or sequence folder."
    ),
]
Model = Annotated[
    Path | None, typer.Option("--model", help="ONNX model; the shipped one by default.")
]
ImageTopic = Annotated[
    str | None, typer.Option(help="Colour image topic; found by type and name by default.")
]
InfoTopic = Annotated[str | None, typer.Option(help="Camera info topic of the colour image.")]
DepthTopic = Annotated[
    str | None, typer.Option(help="Reference depth topic, registered to the colour image.")
]
Threads = Annotated[int, typer.Option(help="CPU threads for inference; 0 takes every core.")]


def main() -> None:
    """Run the command line; a user's mistake costs one line, not a traceback."""
    logging.basicConfig(
        level=logging.WARNING, format="%(message)s", handlers=[RichHandler(console=_err)]
    )
    app()


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        _out.print(__version__)
        raise typer.Exit


@app.command()
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
    with _one_line_errors():
        if out.exists():
            check_replaceable(out, force=force)
            _check_not_input(recording, out)
        config = _config(threads, scale, scale_value)
        source = open_recording(
            recording, _topics(image_topic, info_topic, depth_topic), config.pairing_slop_s
        )
        pipeline = load_pipeline(model, config)
        with _progress("replaying", source.frame_count) as advance:
            result = run_replay(
                source,
                pipeline,
                out,
                storage=storage,
                copy_inputs=copy_inputs,
                force=force,
                on_frame=advance,
            )
    _print_remarks(result.notes, result.failures)
    _out.print(
        f"{result.frames_out} of {result.frames_in} frames → {escape(str(out))}"
        f" ({result.frames_without_scale} before a scale was known, {len(result.failures)} failed)",
        soft_wrap=True,
    )
    if not result.frames_out:
        raise typer.Exit(NOTHING_DONE)


@app.command()
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
    with _one_line_errors():
        config = _config(threads)
        source = open_recording(
            recording, _topics(image_topic, info_topic, depth_topic), config.pairing_slop_s
        )
        make_directory(out)  # before the work: what cannot be written is said at once
        with _progress("evaluating", _expected(source, max_frames)) as advance:
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
    _print_remarks(report["notes"], [entry["reason"] for entry in report["failures"]])
    print_report(report, paths)
    if not report["frames"]["evaluated"] + report["frames"]["without_truth"]:
        raise typer.Exit(NOTHING_DONE)


@app.command()
def demo(
    bag: Annotated[
        Path | None, typer.Option(help="Recording to play; a synthetic one by default.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Directory for the bag and the report.")] = Path(
        "out/demo"
    ),
) -> None:
    """Play a recording to the real node on a live ROS 2 graph, record it, and report."""
    with _one_line_errors():
        if bag is not None:
            _check_not_input(bag, out)  # an earlier demo's files are removed first
        try:
            # Only this command needs ROS: the others run where there is none.
            from gam_depth_ros.demo import run_demo
        except ImportError as error:
            raise BagError(
                f"demo: got '{error}', expected a ROS 2 environment; source one, or run "
                "`make demo`, which installs it"
            ) from error
        run_demo(bag, out)


def print_report(report: dict[str, Any], paths: tuple[Path, ...] = ()) -> None:
    """Print the verdict, the depth table, the accounts, and where the files are."""
    _out.print(f"[bold]{escape(headline(report))}[/bold]")
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
        _out.print(table)
    frames, latency = report["frames"], report["latency_ms"]
    _out.print(
        f"frames: {frames['in']} in = {frames['evaluated']} evaluated + {frames['dropped']} dropped"
        f" + {frames['failed']} failed + {frames['without_truth']} without truth"
    )
    if latency["p50"] is not None:
        _out.print(f"latency: p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms")
    for path in paths:
        _out.print(escape(str(path)), soft_wrap=True)


def _config(
    threads: int,
    scale: str = ScaleConfig.source,
    scale_value: float = ScaleConfig.fixed_value,
) -> PipelineConfig:
    try:
        config = PipelineConfig(scale=ScaleConfig(source=scale, fixed_value=scale_value))
        return replace(config, engine=replace(config.engine, threads=threads))
    except ValueError as error:
        raise BagError(f"scale or threads: {error}") from error


def _topics(image: str | None, info: str | None, depth: str | None) -> Topics:
    return Topics(image=image, camera_info=info, reference_depth=depth)


def _check_not_input(recording: Path, out: Path) -> None:
    """Raise BagError if writing ``out`` would replace what is read."""
    if recording.resolve().is_relative_to(out.resolve()):
        raise BagError(
            f"{out}: got the recording itself, or the directory it lies in, expected a new path; "
            "choose another --out"
        )


def _print_remarks(notes: Sequence[str], failures: Sequence[str]) -> None:
    """Say on stderr what was read and what went wrong, the first few lines of each."""
    for lines in (notes, failures):
        for line in lines[:SHOWN_LINES]:
            _err.print(f"[dim]{escape(line)}[/dim]", soft_wrap=True)
        if len(lines) > SHOWN_LINES:
            _err.print(f"[dim]... and {len(lines) - SHOWN_LINES} more[/dim]")


def _expected(recording: Recording, max_frames: int | None) -> int | None:
    known = [count for count in (recording.frame_count, max_frames) if count is not None]
    return min(known) if known else None


@contextmanager
def _progress(what: str, total: int | None) -> Iterator[Callable[[], None]]:
    """Show a bar once the work has taken longer than a moment."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    started = time.monotonic()
    progress = Progress(*columns, console=_err, transient=True)
    task = progress.add_task(what, total=total)

    def advance() -> None:
        progress.advance(task)
        if not progress.live.is_started and time.monotonic() - started > PATIENCE_S:
            progress.start()

    try:
        yield advance
    finally:
        if progress.live.is_started:
            progress.stop()


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Turn what a user can cause into one line on stderr and exit status 2."""
    try:
        yield
    except (BagError, CameraError, EngineError, ModelContractError, OSError) as error:
        _err.print(f"[bold red]error[/bold red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from error


if __name__ == "__main__":
    main()
