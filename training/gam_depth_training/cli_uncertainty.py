"""`gam-depth-train uncertainty`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from gam_depth_training.cli_fit import Data, Dataset, Split, fail, validation_size

if TYPE_CHECKING:
    from gam_depth_training.uncertainty import Method
    from gam_depth_training.uncertainty_scores import UncertaintyScore

console = Console()
# Title of each row by the figure's name.
ROWS = {
    "abs_rel": "AbsRel",
    "ause_abs_rel": "AUSE AbsRel",
    "aurg_abs_rel": "AURG AbsRel",
    "ause_rmse": "AUSE RMSE",
    "aurg_rmse": "AURG RMSE",
    "ause_one_minus_d1": "AUSE 1−δ1",
    "aurg_one_minus_d1": "AURG 1−δ1",
    "factor": "factor",
    "coverage": "coverage",
    "interval_score": "interval score",
}


def uncertainty(
    weights: Annotated[Path, typer.Option(help="Weights of a self-teaching student, or others.")],
    data: Data = None,
    photometric_weights: Annotated[
        Path | None, typer.Option(help="Weights by the photometric likelihood, to compare.")
    ] = None,
    dataset: Dataset = "sequences",
    split: Split = None,
    size: Annotated[
        str, typer.Option(help="HEIGHTxWIDTH of the networks' input; default: as trained.")
    ] = "",
    frames: Annotated[int, typer.Option(min=2, help="Most frames, evenly thinned.")] = 200,
    json_out: Annotated[
        Path | None, typer.Option("--json", help="File for figures and curves.")
    ] = None,
    png: Annotated[Path | None, typer.Option(help="File for a picture of the curves.")] = None,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True,
) -> None:
    """Compare what is said of depth's uncertainty: sigma, mirrored pictures, a constant."""
    from gam_depth_training.sparsification_figure import draw_sparsification
    from gam_depth_training.uncertainty import compare_uncertainty
    from gam_depth_training.video_data import Source

    try:
        methods = _methods(weights, photometric_weights)
        seen = Source(tuple(data or ()), dataset, split).reference_frames().thinned(frames)
        shown = track(seen, "compare", len(seen.clips), console=console, disable=not progress)
        scores = compare_uncertainty(methods, shown, validation_size(size, weights), seen.rules)
        if not all(score.count for score in scores.values()):
            raise ValueError("got no frame that could be scored, expected some; see above")
        if json_out is not None:
            json_out.parent.mkdir(parents=True, exist_ok=True)
            json_out.write_text(json.dumps(_plain(scores), indent=1))
        if png is not None:
            draw_sparsification(scores, png)
    except (ValueError, OSError) as error:
        raise fail(error) from error
    _show(scores)


def _methods(weights: Path, photometric_weights: Path | None) -> dict[str, Method]:
    from gam_depth_training.release import load_network
    from gam_depth_training.uncertainty import (
        constant_uncertainty,
        flip_uncertainty,
        own_uncertainty,
    )

    network = load_network(weights)
    methods: dict[str, Method] = {"own sigma": partial(own_uncertainty, network)}
    if photometric_weights is not None:
        other = load_network(photometric_weights)
        methods["photometric"] = partial(own_uncertainty, other)
    methods["flip"] = partial(flip_uncertainty, network)
    methods["constant"] = partial(constant_uncertainty, network)
    return methods


def _plain(scores: Mapping[str, UncertaintyScore]) -> dict[str, object]:
    from gam_depth_ros.core.uncertainty_metrics import METRICS

    return {
        name: {
            "frames": score.count,
            **score.summary(),
            "curves": {
                metric: {
                    "by_uncertainty": score.curves(metric).by_uncertainty.tolist(),
                    "by_error": score.curves(metric).by_error.tolist(),
                }
                for metric in METRICS
            },
        }
        for name, score in scores.items()
    }


def _show(scores: Mapping[str, UncertaintyScore]) -> None:
    figures = {name: score.summary() for name, score in scores.items()}
    count = next(iter(scores.values())).count
    shown = Table("", *figures, title=f"uncertainty of depth, {count} frames")
    for row, title in ROWS.items():
        shown.add_row(title, *(f"{found[row]:.3f}" for found in figures.values()))
    console.print(shown)
    console.print(
        "AUSE 0 is a perfect order, AURG 0 chance. The factor on sigma comes from the first half "
        "of each room; coverage, which should be 0.683, and the interval score from the second."
    )
