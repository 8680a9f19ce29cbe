"""`gam-depth-train`: synthetic rooms, training, validation and export from the command line."""

from __future__ import annotations

import logging
import subprocess
import warnings
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from gam_depth_training import (
    cli_calibrate,
    cli_data,
    cli_explain,
    cli_fit,
    cli_gap,
    cli_quantize,
    cli_search,
    cli_statistics,
    cli_uncertainty,
)

app = typer.Typer(
    help="Train the networks of gam_depth_ros.", no_args_is_help=True, add_completion=False
)
LIGHTNING = ("pytorch", "fabric")
console = Console()
app.command()(cli_data.extract)
app.command()(cli_data.prepare)
app.command()(cli_gap.gap)
app.command()(cli_fit.fit)
app.command()(cli_fit.validate)
app.command()(cli_fit.ablate)
app.command()(cli_uncertainty.uncertainty)
app.command()(cli_calibrate.calibrate)
app.command()(cli_statistics.statistics)
app.command()(cli_quantize.quantize)
app.command()(cli_search.search)
app.command()(cli_explain.explain)


@app.callback()
def _configure(verbose: bool = typer.Option(False, "--verbose", help="Log more.")) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(message)s",
        handlers=[RichHandler(console=Console(stderr=True), show_path=False)],
    )
    # Lightning sets its own loggers' levels when it is imported, later; these below them stay.
    for chatty in ("matplotlib", *(f"lightning.{part}.utilities" for part in LIGHTNING)):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for chatty in ("onnxscript", "onnx_ir", "torch.onnx._internal.exporter"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    # Lightning's and the tracer's use of a PyTorch function that has a newer name.
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.")


def _fail(error: Exception) -> typer.Exit:
    console.print(f"[red]error:[/] {error}", highlight=False, soft_wrap=True)
    return typer.Exit(1)


@app.command()
def synth(
    out: Annotated[Path | None, typer.Option(help="Folder for recorded-like sequences.")] = None,
    shards: Annotated[Path | None, typer.Option(help="Folder for training shards.")] = None,
    sequences: Annotated[int, typer.Option(min=1, help="Sequences to render.")] = 1,
    frames: Annotated[int, typer.Option(min=2, help="Frames a sequence, or of all shards.")] = 120,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 1,
    size: Annotated[str, typer.Option(help="HEIGHTxWIDTH; default 480x640, shards 192x256.")] = "",
    fps: Annotated[float, typer.Option(min=1, help="Frames a second of a sequence.")] = 10.0,
    bag: Annotated[bool, typer.Option("--bag", help="Also write each as a rosbag2.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Render procedural rooms: recorded-like sequences (--out) or training shards (--shards)."""
    from gam_depth_ros.evaluation.bag import sequence_to_bag
    from gam_depth_training.synthetic import write_sequences, write_training_shards

    if (out is None) == (shards is None):
        raise _fail(ValueError("got both or neither of --out and --shards, expected one of them"))
    try:
        size_hw = _parse_size(size or ("480x640" if out else "192x256"))
        if shards is not None:
            written = write_training_shards(shards, frames, seed, workers, size_hw)
            # Shards are whole, so there may be more frames than were asked for.
            console.print(f"{len(written)} whole shards in {shards}", soft_wrap=True)
            return
        assert out is not None
        folders = write_sequences(
            out, sequences, seed, frames=frames, size_hw=size_hw, fps=fps, workers=workers
        )
        for folder in folders:
            console.print(f"{frames} frames in {folder}", soft_wrap=True)
            if bag:
                target = folder.with_name(folder.name + "_bag")
                sequence_to_bag(folder, target)
                console.print(f"rosbag2 in {target}", soft_wrap=True)
    except (ValueError, OSError) as error:
        raise _fail(error) from error


def _parse_size(text: str) -> tuple[int, int]:
    try:
        height, width = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise ValueError(f"--size: got '{text}', expected HEIGHTxWIDTH, as in 192x256") from None
    return height, width


@app.command()
def export(
    weights: Annotated[Path, typer.Option(help="Weights written by `fit`.")],
    shards: Annotated[Path, typer.Option(help="Shards of that run; the held-out ones calibrate.")],
    config: Annotated[Path, typer.Option(help="The run's config; a recipe's is recipe.yaml.")],
    out: Annotated[Path, typer.Option(help="ONNX file to write.")],
    licence: Annotated[
        str | None,
        typer.Option(
            help="SPDX identifier or terms. Default: Apache-2.0 where synthetic rooms alone "
            "trained; else 'unspecified', with what the model depends on."
        ),
    ] = None,
) -> None:
    """Write the ONNX file with its contract, calibrated sigma and a parity check."""
    from gam_depth_training.config import load_config
    from gam_depth_training.export import ExportError
    from gam_depth_training.recipe_file import is_recipe, load_recipe
    from gam_depth_training.recipe_release import export_recipe
    from gam_depth_training.release import export_weights

    origin = _commit(), str(date.today()), licence
    losses: dict[str, float] = {}
    try:
        if is_recipe(config):
            recipe = load_recipe(config)
            report, spec, losses = export_recipe(weights, shards, recipe, out, *origin)
        else:
            report, spec = export_weights(weights, shards, load_config(config), out, *origin)
    except (ValueError, OSError, ExportError) as error:
        raise _fail(error) from error
    table = Table("figure", "value", title=str(out))
    table.add_row("size", f"{report.size_bytes / 1e6:.1f} MB")
    table.add_row("median change of depth against PyTorch", f"{report.median_depth_change:.3%}")
    table.add_row("labels equal to PyTorch's", f"{report.label_agreement:.2%}")
    calibration = spec.sigma_calibration
    table.add_row(
        "k68, k90, k95", f"{calibration.k68:.2f}, {calibration.k90:.2f}, {calibration.k95:.2f}"
    )
    for name, loss in losses.items():
        table.add_row(f"{name} on the old validation split", f"{loss:+.2%} worse")
    table.add_row("licence", spec.licence)
    console.print(table)


def _commit() -> str:
    """Return the commit the code stands at, or 'unknown' outside a checkout."""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def main() -> None:
    """Entry point of `gam-depth-train`."""
    app()


if __name__ == "__main__":
    main()
