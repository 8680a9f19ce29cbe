"""``gam-depth evaluate``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
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
    Recordings,
    Threads,
    batch_progress,
    check_new_bag,
    expected_frames,
    local_model,
    one_line_errors,
    out_console,
    pipeline_config,
    print_remarks,
    progress,
    topics_of,
)
from gam_depth_ros.core.config import PipelineConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.core.pipeline import load_pipeline
from gam_depth_ros.evaluation.annotated import AnnotatedBag
from gam_depth_ros.evaluation.bag import BagError, Recording, open_recording
from gam_depth_ros.evaluation.bag_writer import BagWriter, make_directory
from gam_depth_ros.evaluation.batch import make_jobs, run_batch
from gam_depth_ros.evaluation.evaluate import evaluate as run_evaluation
from gam_depth_ros.evaluation.evaluate import evaluate_recorded, evaluate_test_set
from gam_depth_ros.evaluation.jobs import Job
from gam_depth_ros.evaluation.page import number
from gam_depth_ros.evaluation.protocols import PROTOCOLS
from gam_depth_ros.evaluation.public_sets import TestSet, open_test_set
from gam_depth_ros.evaluation.report import COLUMNS, table_rows, write_report
from gam_depth_ros.evaluation.runners import Finished, run_here, run_in_processes, run_on_dask
from gam_depth_ros.evaluation.summary import (
    shown_columns,
    summarise_batch,
    summary_headline,
    write_summary,
)
from gam_depth_ros.evaluation.verdict import headline
from gam_depth_ros.model_names import listed_name


def evaluate(
    recordings: Recordings,
    out: Annotated[Path, typer.Option("--out", help="Directory for report.json and report.html.")],
    model: Annotated[
        list[Path] | None,
        typer.Option(
            "--model",
            help="ONNX model, or a listed name; the shipped one by default; may be repeated.",
        ),
    ] = None,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Score the outputs that lie in the bag.")
    ] = False,
    image_topic: ImageTopic = None,
    info_topic: InfoTopic = None,
    depth_topic: DepthTopic = None,
    max_frames: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many images of each recording.")
    ] = None,
    threads: Threads = 0,
    name: Annotated[
        str | None, typer.Option(help="What the report calls the recording; default: its file.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Worker processes, for several at once.")] = 1,
    dask: Annotated[
        str | None, typer.Option(help="Run on a Dask cluster: address of its scheduler.")
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help=f"IN is a public test set: {', '.join(PROTOCOLS)}. Needs --split."),
    ] = None,
    split: Annotated[
        Path | None, typer.Option(help="With --protocol: splits.mat, or a list of the pictures.")
    ] = None,
    flip: Annotated[
        bool, typer.Option("--flip", help="With --protocol: average with the mirrored picture.")
    ] = False,
    bag: Annotated[
        Path | None,
        typer.Option("--bag", help="Also write a bag for RViz or Foxglove: in, out, and errors."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Evaluate anew what was evaluated already.")
    ] = False,
) -> None:
    """Score depth, uncertainty, labels and latency; write report.json and report.html.

    Several recordings or models give a report each, in OUT/MODEL/RECORDING, and one table over
    all, summary.html. What is there already and still holds is not evaluated again.
    """
    topics = topics_of(image_topic, info_topic, depth_topic)
    with one_line_errors():
        asked: Sequence[Path | None] = model or [None]
        found = [(entry, local_model(entry)) for entry in asked]
        models = [path for _, path in found if path is not None]
        names = [listed_name(entry, path) for entry, path in found if path is not None]
        first = models[0] if models else None
        several = len(recordings) > 1 or len(models) > 1
        if bag is not None and (several or recorded or protocol is not None or dask is not None):
            raise BagError(
                "--bag: got several evaluations, --recorded, --protocol or --dask, expected one "
                "recording and one model; evaluate it alone"
            )
        if protocol is not None:
            test = _test_set(recordings[0], None if several else split, protocol)
            print_report(*_evaluate_test_set(test, protocol, first, out, flip, max_frames, threads))
        elif several or dask is not None:
            if recorded or name is not None:
                raise BagError(
                    "evaluate: got --recorded or --name with several evaluations, expected one "
                    "recording; evaluate one by one"
                )
            settings = _config(threads, jobs)
            wanted = make_jobs(recordings, models, settings, topics, max_frames, names)
            _evaluate_many(wanted, out, jobs, dask, again)
        else:
            config = pipeline_config(threads)
            source = open_recording(recordings[0], topics, config.pairing_slop_s)
            called = names[0] if names else ""
            _evaluate_one(source, first, called, config, out, recorded, name, max_frames, bag)


def _evaluate_one(
    source: Recording,
    model: Path | None,
    listed: str,
    config: PipelineConfig,
    out: Path,
    recorded: bool,
    name: str | None,
    max_frames: int | None,
    bag: Path | None,
) -> None:
    if bag is not None:
        check_new_bag(source.path, bag, out)
    make_directory(out)  # before the work: what cannot be written is said at once
    with progress("evaluating", expected_frames(source, max_frames)) as advance:
        if recorded:
            result = evaluate_recorded(
                source, model_path=model, config=config, max_frames=max_frames, on_frame=advance
            )
        else:
            pipeline = load_pipeline(model, config)
            with contextlib.ExitStack() as open_bags:
                kept: dict[str, Any] = {}
                if bag is not None:
                    labels = pipeline.engine.spec.labels
                    writer = open_bags.enter_context(BagWriter(bag))
                    annotated = AnnotatedBag(writer, labels, config.pairing_slop_s)
                    kept = {"on_perception": annotated.add}
                result = run_evaluation(
                    source, pipeline, max_frames=max_frames, on_frame=advance, **kept
                )
    report = result.report
    report["recording"]["name"] = name or report["recording"]["name"]
    if not recorded:  # there the bag tells which model it was
        report["model"]["name"] = listed or report["model"]["name"]
    paths = write_report(result, out)
    print_remarks(report["notes"], [entry["reason"] for entry in report["failures"]])
    print_report(report, (*paths, *([] if bag is None else [bag])))
    if not report["frames"]["evaluated"] + report["frames"]["without_truth"]:
        raise typer.Exit(NOTHING_DONE)


def _test_set(path: Path, split: Path | None, protocol: str) -> TestSet:
    if split is None:
        raise BagError(
            "--protocol: got several inputs or models, or no --split, expected one test set, one "
            "model and the list of its pictures"
        )
    if protocol not in PROTOCOLS:
        raise BagError(f"--protocol: got '{protocol}', expected one of {', '.join(PROTOCOLS)}")
    return open_test_set(path, split, f"{PROTOCOLS[protocol].name} test set")


def _evaluate_test_set(
    test: TestSet,
    protocol: str,
    model: Path | None,
    out: Path,
    flip: bool,
    max_frames: int | None,
    threads: int,
) -> tuple[dict[str, Any], tuple[Path, ...]]:
    make_directory(out)
    engine = OnnxEngine(model or default_model_path(), pipeline_config(threads).engine)
    total = min(test.frame_count, max_frames or test.frame_count)
    with progress("evaluating", total) as advance:
        result = evaluate_test_set(
            test, PROTOCOLS[protocol], engine, flip=flip, max_frames=max_frames, on_frame=advance
        )
    return result.report, write_report(result, out)


def _config(threads: int, workers: int) -> PipelineConfig:
    if workers > 1 and not threads:
        threads = max(1, (os.cpu_count() or 1) // workers)  # else each would take every core
    return pipeline_config(threads)


def _evaluate_many(
    wanted: list[Job], out: Path, workers: int, dask: str | None, again: bool
) -> None:
    counts = {
        job.recording: expected_frames(open_recording(job.recording, job.topics), job.max_frames)
        for job in wanted
    }
    known = [counts[job.recording] or 0 for job in wanted]
    frames = None if None in counts.values() else sum(known)
    with batch_progress(len(wanted), None if dask else frames) as (done, on_frames):

        def run(missing: Sequence[Job]) -> Finished:
            if dask is not None:
                return run_on_dask(missing, dask)
            if workers > 1 and len(missing) > 1:
                return run_in_processes(missing, min(workers, len(missing)), on_frames)
            return run_here(missing, on_frames)

        entries = run_batch(wanted, out, run, again=again, on_done=lambda entry: done())
    summary = summarise_batch(entries)
    paths = write_summary(summary, out)
    out_console.print(f"[bold]{escape(summary_headline(summary))}[/bold]")
    _print_summary(summary)
    kept = sum(entry.cached for entry in entries)
    out_console.print(f"{len(entries)} evaluations: {kept} were there, {len(entries) - kept} new")
    print_remarks([], [f"{e.job.name}: {e.error}" for e in entries if e.error])
    for path in paths:
        out_console.print(escape(str(path)), soft_wrap=True)
    if any(entry.error for entry in entries):
        raise typer.Exit(NOTHING_DONE)


def _print_summary(summary: dict[str, Any]) -> None:
    shown = shown_columns(summary)[:5]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("recording", no_wrap=True)
    table.add_column("model", no_wrap=True)
    for column in shown:
        table.add_column(column.title, justify="right")
    table.add_column("n", justify="right")
    for row in [*summary["rows"], *summary["models"]]:
        values = [number(row["figures"][column.name], column.digits) for column in shown]
        table.add_row(
            escape(row["recording"]),
            escape(row["model"]),
            *values,
            str(row["frames"]),
            style="dim" if row["error"] else "",
        )
    out_console.print(table)


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
