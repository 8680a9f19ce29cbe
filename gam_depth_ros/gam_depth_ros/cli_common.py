"""What the commands of ``gam-depth`` share: options, consoles, a progress bar, one-line errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from gam_depth_ros.core.camera import CameraError
from gam_depth_ros.core.config import PipelineConfig, ScaleConfig
from gam_depth_ros.core.engine import EngineError
from gam_depth_ros.core.model_spec import ModelContractError
from gam_depth_ros.evaluation.bag import BagError, Recording, Topics
from gam_depth_ros.model_fetch import fetch_model
from gam_depth_ros.model_list import ModelEntry, ModelListError, NotFetchedError
from gam_depth_ros.model_names import find_model

PATIENCE_S = 2.0
"""Seconds of work before a progress bar appears."""
SHOWN_LINES = 10
NOTHING_DONE = 1
"""Exit status when not one frame could be processed."""

out_console, err_console = Console(), Console(stderr=True)

Recorded = Annotated[
    Path,
    typer.Argument(
        metavar="IN", help="rosbag2 directory, .mcap, .db3 or .bag file, or sequence folder."
    ),
]
Recordings = Annotated[
    list[Path], typer.Argument(metavar="IN...", help="Recordings, of the kinds that open.")
]
Model = Annotated[
    Path | None,
    typer.Option("--model", help="ONNX model, or a listed name; the shipped one by default."),
]
ImageTopic = Annotated[
    str | None, typer.Option(help="Colour image topic; found by type and name by default.")
]
InfoTopic = Annotated[str | None, typer.Option(help="Camera info topic of the colour image.")]
DepthTopic = Annotated[
    str | None, typer.Option(help="Reference depth topic, registered to the colour image.")
]
Threads = Annotated[int, typer.Option(help="CPU threads for inference; 0 takes every core.")]


def pipeline_config(
    threads: int,
    scale: str = ScaleConfig.source,
    scale_value: float = ScaleConfig.fixed_value,
) -> PipelineConfig:
    """Return the pipeline's settings; raises BagError for a value that does not fit."""
    try:
        config = PipelineConfig(scale=ScaleConfig(source=scale, fixed_value=scale_value))
        return replace(config, engine=replace(config.engine, threads=threads))
    except ValueError as error:
        raise BagError(f"scale or threads: {error}") from error


def topics_of(image: str | None, info: str | None, depth: str | None) -> Topics:
    """Return the topics that were named on the command line."""
    return Topics(image=image, camera_info=info, reference_depth=depth)


def local_model(model: Path | None) -> Path | None:
    """Return the file of a model that is named by path or by name; fetches it where it must.

    Returns:
        The file; None for the shipped one.

    Raises:
        ModelListError: an unknown name, a broken list, a file that is missing or another one.
    """
    try:
        return find_model(model)
    except NotFetchedError as missing:
        return fetch_with_progress(missing.entry)


def fetch_with_progress(entry: ModelEntry) -> Path:
    """Fetch a listed model under a bar; raises ModelListError."""
    columns = (TextColumn(f"fetching {entry.name}"), BarColumn(), DownloadColumn())
    started = time.monotonic()
    bar = Progress(*columns, TimeRemainingColumn(), console=err_console, transient=True)
    task = bar.add_task("", total=entry.size_bytes)

    def on_bytes(done: int, total: int | None) -> None:
        bar.update(task, completed=done, total=total)
        _start_late(bar, started)

    try:
        return fetch_model(entry, on_bytes)
    finally:
        if bar.live.is_started:
            bar.stop()


def _start_late(bar: Progress, started_s: float) -> None:
    if not bar.live.is_started and time.monotonic() - started_s > PATIENCE_S:
        bar.start()


def check_not_input(recording: Path, out: Path, option: str = "--out") -> None:
    """Raise BagError if writing ``out``, which ``option`` named, would replace what is read."""
    if recording.resolve().is_relative_to(out.resolve()):
        raise BagError(
            f"{out}: got the recording itself, or the directory it lies in, expected a new path; "
            f"choose another {option}"
        )


def check_new_bag(recording: Path, bag: Path, out: Path) -> None:
    """Raise BagError if ``--bag`` would replace something, or is where ``--out`` is to be."""
    check_not_input(recording, bag, "--bag")
    if bag.exists():
        raise BagError(
            f"--bag {bag}: got a path that exists, expected a new one; choose another --bag"
        )
    if out.resolve().is_relative_to(bag.resolve()):
        raise BagError(
            f"--bag {bag}: got the directory of --out, expected one of its own; "
            "choose another --bag"
        )


def print_remarks(notes: Sequence[str], failures: Sequence[str]) -> None:
    """Say on stderr what was read and what went wrong, the first few lines of each."""
    for lines in (notes, failures):
        for line in lines[:SHOWN_LINES]:
            err_console.print(f"[dim]{escape(line)}[/dim]", soft_wrap=True)
        if len(lines) > SHOWN_LINES:
            err_console.print(f"[dim]... and {len(lines) - SHOWN_LINES} more[/dim]")


def expected_frames(recording: Recording, max_frames: int | None) -> int | None:
    """Return how many images there will be; None where nobody knows."""
    known = [count for count in (recording.frame_count, max_frames) if count is not None]
    return min(known) if known else None


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[], None]]:
    """Show a bar once the work has taken longer than a moment."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    started = time.monotonic()
    bar = Progress(*columns, console=err_console, transient=True)
    task = bar.add_task(what, total=total)

    def advance() -> None:
        bar.advance(task)
        _start_late(bar, started)

    try:
        yield advance
    finally:
        if bar.live.is_started:
            bar.stop()


@contextmanager
def batch_progress(
    jobs: int, frames: int | None
) -> Iterator[tuple[Callable[[], None], Callable[[int], None]]]:
    """Show how many of many evaluations are done, and frames where they are counted here.

    Yields:
        What is to be called after each evaluation, and with the number of frames done so far.
    """
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=err_console, transient=True) as bar:
        done = bar.add_task("evaluations", total=jobs)
        counted = bar.add_task("frames", total=frames, visible=frames is not None)
        yield lambda: bar.advance(done), lambda count: bar.update(counted, completed=count)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn what a user can cause into one line on stderr and exit status 2."""
    try:
        yield
    except (
        BagError, CameraError, EngineError, ModelContractError, ModelListError, OSError,
    ) as error:  # fmt: skip
        err_console.print(f"[bold red]error[/bold red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from error
