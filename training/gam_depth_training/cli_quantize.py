"""`gam-depth-train quantize`: a model file in 8 bits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from gam_depth_training.cli_fit import fail

if TYPE_CHECKING:
    from gam_depth_training.quantize_parity import QuantizationReport

console = Console()


def quantize(
    model: Annotated[Path, typer.Option(help="ONNX file written by `export`.")],
    data: Annotated[
        list[Path],
        typer.Option(help="Recording to calibrate on, for each: sequence folder or bag."),
    ],
    out: Annotated[Path, typer.Option(help="ONNX file to write.")],
    frames: Annotated[
        int, typer.Option(min=2, help="Frames of each recording: half calibrate, half check.")
    ] = 64,
    percentile: Annotated[
        float,
        typer.Option(min=99, max=100, help="Share of an activation that its range must hold."),
    ] = 100.0,
    correct_on: Annotated[
        int,
        typer.Option(
            min=0, help="Calibration frames on which biases are corrected; 0: none are corrected."
        ),
    ] = 0,
    most_worse: Annotated[
        float, typer.Option(min=0, help="Largest relative rise of AbsRel that is still written.")
    ] = 0.02,
) -> None:
    """Write a model in 8 bits, calibrated on recorded frames, and compare it with the float one."""
    from gam_depth_ros.evaluation.bag import BagError
    from gam_depth_training.quantize import QuantizeOptions, quantize_model
    from gam_depth_training.reference_pictures import recorded_pictures

    try:
        pictures = [list(recorded_pictures(path, frames)) for path in data]
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task("quantise", total=None)
            report = quantize_model(
                model,
                [picture for recorded in pictures for picture in recorded[::2]],
                [picture for recorded in pictures for picture in recorded[1::2]],
                out,
                QuantizeOptions(percentile, most_worse=most_worse, correct_on=correct_on),
                lambda done, of: bar.update(
                    task, completed=done, total=of, description="correct biases"
                ),
            )
    except (ValueError, OSError, BagError) as error:
        raise fail(error) from error
    _show(report, out)


def _show(report: QuantizationReport, out: Path) -> None:
    table = Table("figure", "float", "8 bits", "change", title=f"{out}, {report.frames} frames")
    table.add_row(
        "size, MB",
        f"{report.float_bytes / 1e6:.1f}",
        f"{report.int8_bytes / 1e6:.1f}",
        f"{report.int8_bytes / report.float_bytes - 1:+.0%}",
    )
    if report.abs_rel_float == report.abs_rel_float:  # not NaN: some frame has depth
        table.add_row(
            "AbsRel",
            f"{report.abs_rel_float:.4f}",
            f"{report.abs_rel_int8:.4f}",
            f"{report.abs_rel_change:+.2%}",
        )
    table.add_row("median change of depth", "", "", f"{report.median_depth_change:.2%}")
    table.add_row("median change of sigma", "", "", f"{report.median_sigma_change:.2%}")
    table.add_row("labels equal", "", "", f"{report.label_agreement:.1%}")
    console.print(table)
