"""`gam-depth-train calibrate`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from gam_depth_training.cli_fit import ShowProgress, fail

if TYPE_CHECKING:
    from gam_depth_ros.core.engine import Engine
    from gam_depth_ros.core.model_spec import ModelSpec
    from gam_depth_training.calibration_report import Scores
    from gam_depth_training.label_confidence import ConfidenceReport
    from gam_depth_training.recorded_errors import FrameErrors

console = Console()


def calibrate(
    model: Annotated[Path, typer.Option(help="ONNX file to calibrate.")],
    data: Annotated[
        list[Path],
        typer.Option(help="Bag or sequence folder with registered depth, that did not train."),
    ],
    shards: Annotated[
        Path | None,
        typer.Option(help="Synthetic shards: those that `fit` held out calibrate confidence."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="ONNX file to write: the same graph and weights.")
    ] = None,
    leave_one_room_out: Annotated[
        bool,
        typer.Option(
            "--leave-one-room-out", help="Report coverage in each room, fitted in the others."
        ),
    ] = False,
    json_out: Annotated[
        Path | None, typer.Option("--json", help="File for the figures of that report.")
    ] = None,
    progress: ShowProgress = True,
) -> None:
    """Fit what a model's sigma and confidence are worth, on recordings with depth."""
    from gam_depth_ros.core.config import EngineConfig
    from gam_depth_ros.core.engine import EngineError, OnnxEngine
    from gam_depth_training.calibration_report import leave_one_room_out as report_rooms

    try:
        if out is None and not leave_one_room_out:
            raise ValueError(
                "calibrate: got neither --out nor --leave-one-room-out, expected a file to write, "
                "or to be asked for the report"
            )
        engine = OnnxEngine(model, EngineConfig(threads=1, warmup_runs=1))
        frames = _read(engine, data, leave_one_room_out, progress)
        if leave_one_room_out:
            with _bar("leave one room out", None, progress) as step:
                scores = report_rooms(frames, on_fit=step)
            _show_rooms(scores)
            if json_out is not None:
                _write_json(json_out, engine, frames, scores)
        if out is not None:
            _calibrate(engine, frames, shards, model, out, progress)
    except (ValueError, OSError, EngineError) as error:
        raise fail(error) from error


def _read(engine: Engine, paths: Sequence[Path], flip: bool, progress: bool) -> list[FrameErrors]:
    from gam_depth_training.recorded_errors import open_recordings, read_errors

    recordings = open_recordings(paths)
    counts = [recording.frame_count for _, recording in recordings]
    total = None if None in counts else sum(count or 0 for count in counts)
    with _bar("run recordings", total, progress) as step:
        return read_errors(engine, recordings, flip=flip, on_frame=step)


def _calibrate(
    engine: Engine,
    frames: Sequence[FrameErrors],
    shards: Path | None,
    model: Path,
    out: Path,
    progress: bool,
) -> None:
    """Fit, write and say what changed."""
    from gam_depth_ros.core.model_calibration import ConfidenceCalibration
    from gam_depth_training.calibration_fit import data_name, fit_sigma
    from gam_depth_training.model_metadata import rewrite_spec

    sigma = fit_sigma(frames, data_name(frames))
    labels = None if shards is None else _labels(engine, shards, progress)

    def change(spec: ModelSpec) -> ModelSpec:
        spec = replace(spec, sigma_calibration=sigma)
        if labels is None:
            return spec
        found = labels.calibration if labels.improves else ConfidenceCalibration()
        return replace(spec, confidence_calibration=found)

    spec = rewrite_spec(model, change, out)
    _show_change(frames, engine.spec, spec)
    if labels is not None:
        console.print(
            f"label confidence, {labels.calibration.data}: expected calibration error "
            f"{labels.error_before:.3f} before, {labels.error_after:.3f} after, on the shards left "
            "out of the curve; "
            + ("written" if labels.improves else "no better, so the network's own is kept")
        )
    console.print(f"{out}: calibrated on {sigma.data}", soft_wrap=True, highlight=False)


def _labels(engine: Engine, folder: Path, progress: bool) -> ConfidenceReport:
    from gam_depth_training.label_confidence import (
        calibrate_confidence,
        held_out_shards,
        read_labels,
    )

    held_out = held_out_shards(folder)
    with _bar("run held-out shards", None, progress) as step:
        pixels = read_labels(engine, held_out, step)
    return calibrate_confidence(pixels, f"{len(held_out)} held-out synthetic shards")


def _show_change(frames: Sequence[FrameErrors], before: ModelSpec, after: ModelSpec) -> None:
    from gam_depth_training.calibration_fit import width_of
    from gam_depth_training.calibration_report import Fitted, score

    table = Table(
        "room", "frames", "before: 68.3 / 90 / 95.4 %", "after", title="coverage, online scale"
    )
    for room in dict.fromkeys(frame.room for frame in frames):
        of_room = [frame for frame in frames if frame.room == room]
        cells = [
            _shares(score(of_room, Fitted(width_of(calibration), calibration)))
            for calibration in (before.sigma_calibration, after.sigma_calibration)
        ]
        table.add_row(room, str(len(of_room)), *cells)
    console.print(table)
    sigma = after.sigma_calibration
    console.print(
        f"k68 {sigma.k68:.3f}, k90 {sigma.k90:.3f}, k95 {sigma.k95:.3f}. These rooms fitted the "
        "factors: how good they are elsewhere, --leave-one-room-out says."
    )


def _show_rooms(scores: Mapping[str, Mapping[str, Scores]]) -> None:
    table = Table(
        "room left out",
        "uncertainty",
        "coverage 68.3 / 90 / 95.4 %",
        "width",
        "interval score",
        "AUSE AbsRel",
        "AURG AbsRel",
        "AUSE RMSE",
        "AURG RMSE",
        "AUSE 1−δ1",
        "AURG 1−δ1",
        title="leave one room out, online scale",
    )
    for room in next(iter(scores.values())):
        for name, of_rooms in scores.items():
            found = of_rooms[room]
            areas = [
                f"{areas[metric]:.3f}"
                for metric in found.ause
                for areas in (found.ause, found.aurg)
            ]
            table.add_row(
                f"{room} ({found.frames})",
                name,
                _shares(found),
                f"{found.sharpness:.3f}",
                f"{found.interval_score:.3f}",
                *areas,
            )
        table.add_section()
    console.print(table)
    console.print(
        "Width and interval score are in log depth; smaller is better. AUSE 0 is a perfect order, "
        "AURG 0 chance; both are of the network's part, on depth at the reference's median."
    )


def _shares(scores: Scores) -> str:
    return " / ".join(f"{100 * share:.1f}" for share in scores.coverage)


def _write_json(
    path: Path,
    engine: Engine,
    frames: Sequence[FrameErrors],
    scores: Mapping[str, Mapping[str, Scores]],
) -> None:
    from gam_depth_training.calibration_fit import data_name

    found = {
        "model": engine.spec.name,
        "sha256": engine.sha256,
        "data": data_name(frames),
        "scores": {
            name: {room: asdict(of_room) for room, of_room in of_rooms.items()}
            for name, of_rooms in scores.items()
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")


@contextmanager
def _bar(title: str, total: int | None, shown: bool) -> Iterator[Callable[[], None]]:
    """Show a progress bar; yields what to call after each step."""
    with Progress(console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)
