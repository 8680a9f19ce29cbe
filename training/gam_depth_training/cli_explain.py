"""`gam-depth-train explain`: what drives an answer, by the network's gradients."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from gam_depth_training.cli_fit import ShowProgress, fail, validation_size

if TYPE_CHECKING:
    from gam_depth_ros.core.labels import LabelSet

console = Console()
PATIENCE_GRADIENTS = 8
"""A bar appears where there are more; so few take about two seconds."""


def explain(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="A picture (.jpg, .png) or a recording.")
    ],
    weights: Annotated[Path, typer.Option(help="Weights, checkpoint or model file (.onnx).")],
    at: Annotated[
        str, typer.Option(help="Where: X,Y or X,Y,WIDTH,HEIGHT in pixels of the picture.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Directory for explain.json and .html.")],
    quantity: Annotated[str, typer.Option("--of", help="depth or label.")] = "depth",
    frame: Annotated[int, typer.Option(min=0, help="Which image of a recording.")] = 0,
    method: Annotated[
        str, typer.Option(help="integrated (gradients), smooth (SmoothGrad) or gradient.")
    ] = "integrated",
    steps: Annotated[int, typer.Option(min=1, help="Gradients that are averaged.")] = 32,
    patch: Annotated[
        int, typer.Option(help="Side of the patch, pixels of the network's input.")
    ] = 16,
    fill: Annotated[
        str, typer.Option(help="What is not there: the picture's mean colour, or a blur.")
    ] = "mean",
    size: Annotated[
        str, typer.Option(help="HEIGHTxWIDTH of the network's input; default: as trained.")
    ] = "",
    randomise: Annotated[
        bool, typer.Option("--randomise", help="Also check the map against randomised weights.")
    ] = False,
    progress: ShowProgress = True,
) -> None:
    """Show which parts of a picture drive the depth, or the label, by the gradients."""
    from gam_depth_ros.evaluation.bag import BagError
    from gam_depth_ros.evaluation.explain_source import load_picture, read_region
    from gam_depth_training import explain as explaining
    from gam_depth_training.explain_report import write_explained
    from gam_depth_training.file_digest import file_digest
    from gam_depth_training.trained_network import load_network

    try:
        network = load_network(weights).requires_grad_(False)
        options = explaining.ExplainOptions(
            _size(size, weights), quantity, method, steps, patch, fill
        )
        rgb = load_picture(source, frame)
        region = read_region(at, (rgb.shape[0], rgb.shape[1]))
        count = options.gradients
        with Progress(console=console, transient=True) as bar:
            shown = progress and (count > PATIENCE_GRADIENTS or randomise)
            task = bar.add_task("gradients", total=None if randomise else count, visible=shown)
            explained = explaining.explain_network(
                rgb, network, region, options, lambda: bar.advance(task)
            )
            checked: dict[str, float] = {}
            if randomise:
                checked = explaining.randomised_correlations(
                    rgb, network, explained, options, lambda: bar.advance(task)
                )
        labels = explaining.label_set_of(network.classes)
        about = {
            "source": {"path": str(source), "name": source.resolve().stem, "index": frame},
            "model": {
                "name": weights.stem,
                "path": str(weights),
                "sha256": file_digest(weights),
            },
        }
        report, paths = write_explained(explained, rgb, labels, about, out, options, checked)
    except (ValueError, OSError, BagError) as error:
        raise fail(error) from error
    _show(report, labels)
    for path in paths:
        console.print(str(path), soft_wrap=True, highlight=False, markup=False)


def _size(text: str, weights: Path) -> tuple[int, int]:
    """Return the size that was asked for; else that of a model file, or of the weights' recipe."""
    from gam_depth_training.onnx_weights import read_onnx_spec
    from gam_depth_training.start_weights import MODEL_FILE

    if not text and weights.suffix == MODEL_FILE:
        return read_onnx_spec(weights).input_size_hw
    return validation_size(text, weights)


def _show(report: dict[str, Any], labels: LabelSet) -> None:
    from gam_depth_ros.evaluation.explain_page import explanation_headline, explanation_rows

    shown = Table("label", "influence", "area", "when hidden", title=explanation_headline(report))
    for row in explanation_rows(report, labels):
        shown.add_row(row["name"], row["influence"], row["area"], row["signed"])
    console.print(shown)
    change = report["score"] - report["baseline_score"]
    console.print(f"contributions add up to {report['sum']:+.4f} of {change:+.4f}")
    if report["gates"]:
        gates = Table("gate", "open", "5 % to 95 %", "comes through")
        for gate in report["gates"]:
            spread = f"{gate['low']:.2f} to {gate['high']:.2f}"
            gates.add_row(gate["name"], f"{gate['mean']:.2f}", spread, f"{gate['share']:.1%}")
        console.print(gates)
    if report["randomised"]:
        falls = Table("randomised, with all above", "rank correlation")
        for part, value in report["randomised"].items():
            falls.add_row(part, "–" if value is None else f"{value:+.2f}")
        console.print(falls)
