"""``gam-depth compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from gam_depth_ros.cli_common import (
    Threads,
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
from gam_depth_ros.evaluation.comparison import (
    BETTER,
    WORSE,
    Report,
    load_results,
    pair_results,
)
from gam_depth_ros.evaluation.comparison import (
    compare as compare_results,
)
from gam_depth_ros.evaluation.comparison_page import (
    comparison_headline,
    comparison_rows,
    write_comparison,
)
from gam_depth_ros.evaluation.evaluate import evaluate as run_evaluation
from gam_depth_ros.evaluation.gate import Gate, judge, load_gate
from gam_depth_ros.evaluation.report import write_report
from gam_depth_ros.model_list import MODEL_SUFFIX
from gam_depth_ros.model_names import is_name, listed_name

GATE_REFUSES = 1
"""Exit status when B loses more than the gate allows."""
STYLES = {BETTER: "green", WORSE: "red"}


def compare(
    a: Annotated[
        Path, typer.Argument(metavar="A", help="The old: report.json, folder, .onnx or name.")
    ],
    b: Annotated[Path, typer.Argument(metavar="B", help="The new: the same kind as A.")],
    recordings: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[IN...]", help="Recordings for two models to be evaluated on."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Directory for compare.json and compare.html.")
    ] = None,
    gate: Annotated[
        Path | None, typer.Option(help="YAML of what B may lose; exit status 1 if it loses more.")
    ] = None,
    max_frames: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many images of each recording.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same intervals.")] = 0,
    threads: Threads = 0,
) -> None:
    """Say whether B is better than A, frame by frame on the same recordings; hold it to a gate."""
    with one_line_errors():
        asked = None if gate is None else load_gate(gate)  # before the work
        if out is not None:
            make_directory(out)
        pairs = _pairs(a, b, recordings or [], out, max_frames, threads)
        comparison = compare_results(pairs, seed=seed)
        comparison["gate"] = None if asked is None else judge(asked, comparison["metrics"])
        paths = () if out is None else write_comparison(comparison, out)
    print_remarks(comparison["notes"], [])
    _print_comparison(comparison, asked)
    for path in paths:
        out_console.print(escape(str(path)), soft_wrap=True)
    if comparison["gate"] is not None and not comparison["gate"]["passed"]:
        raise typer.Exit(GATE_REFUSES)


def _pairs(
    a: Path,
    b: Path,
    recordings: list[Path],
    out: Path | None,
    max_frames: int | None,
    threads: int,
) -> list[tuple[Report, Report]]:
    """Read both results, or make them from two models."""
    asked = (a, b)
    a, b = (
        path if path.exists() or not is_name(path) else local_model(path) or path for path in asked
    )
    names = [listed_name(*pair) for pair in zip(asked, (a, b), strict=True)]
    models = [path.suffix == MODEL_SUFFIX for path in (a, b)]
    if not any(models):
        if recordings:
            raise BagError(
                f"compare: got results and the recording {recordings[0]}, expected recordings for "
                "models only; leave them out"
            )
        return pair_results(load_results(a), load_results(b))
    if not all(models):
        raise BagError(
            f"compare: got {a} and {b}, expected two results or two {MODEL_SUFFIX} files; evaluate "
            "the model first"
        )
    if not recordings:
        raise BagError(
            "compare: got two models and no recording, expected one or more; name them after the "
            "models"
        )
    sides = [
        _evaluated(path, name, recordings, out and out / side, max_frames, threads)
        for side, path, name in zip("ab", (a, b), names, strict=True)
    ]
    return list(zip(*sides, strict=True))


def _evaluated(
    model: Path,
    listed: str,
    recordings: list[Path],
    out: Path | None,
    max_frames: int | None,
    threads: int,
) -> list[Report]:
    """Evaluate a model on every recording; the reports are kept where ``out`` says.

    A model that was asked for by its listed name bears it in the reports.
    """
    pipeline = load_pipeline(model, pipeline_config(threads))
    name = listed or pipeline.engine.spec.name
    reports = []
    for path in recordings:
        source = open_recording(path, pairing_slop_s=pipeline.config.pairing_slop_s)
        what = f"{escape(listed or model.name)} on {escape(path.name)}"
        with progress(what, expected_frames(source, max_frames)) as advance:
            result = run_evaluation(source, pipeline, max_frames=max_frames, on_frame=advance)
        result.report["model"]["name"] = name
        if out is not None:
            write_report(result, out / path.resolve().stem)
        reports.append(result.report)
    return reports


def _print_comparison(comparison: dict[str, Any], gate: Gate | None) -> None:
    """Print the verdict, a row for each metric, and what the gate says."""
    out_console.print(f"[bold]{escape(comparison_headline(comparison))}[/bold]")
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True)
    for heading in ("A", "B", "B − A", "95 % interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("B is", no_wrap=True)
    for row in comparison_rows(comparison["metrics"]):
        cells = (row["a"], row["b"], row["difference"], row["interval"])
        style = STYLES.get(row["verdict"], "dim")
        table.add_row(
            f"{row['short']} {row['arrow']}", *cells, f"[{style}]{row['verdict']}[/{style}]"
        )
    out_console.print(table)
    frames = comparison["metrics"][0]["frames"]
    out_console.print(
        f"median: aligned per image; online: scale learnt before the frame; {frames} frames of "
        f"{len(comparison['recordings'])} recordings",
        soft_wrap=True,
    )
    if gate is not None:
        verdict = comparison["gate"]
        for check in verdict["checks"]:
            mark = "[green]kept[/green]" if check["passed"] else "[red]broken[/red]"
            out_console.print(f"{mark} {escape(check['text'])}", soft_wrap=True)
        out_console.print("gate passed" if verdict["passed"] else "the gate refuses B")
