"""`gam-depth-train fit`, `validate` and `ablate`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from gam_depth_training.ablate import Row
    from gam_depth_training.recipe import Recipe
    from gam_depth_training.video_data import Source
    from gam_depth_training.video_fit import RunOptions

console = Console()
RECIPES = Path("config/training")

Data = Annotated[
    list[Path] | None,
    typer.Option(help="Sequence folder or folder of such, for each; or a data set's root."),
]
Dataset = Annotated[
    str, typer.Option(help="sequences, nyuv2, scannet, interiornet, 7scenes or tum.")
]
Split = Annotated[Path | None, typer.Option(help="Split list of a public data set.")]
ValidationData = Annotated[
    list[Path] | None, typer.Option(help="Like --data, with depth: scores, never trains.")
]
ValidationSplit = Annotated[
    Path | None, typer.Option(help="Split list of a public data set's validation part.")
]
ValidationDataset = Annotated[
    str | None, typer.Option(help="Data set of --validation; default: that of --data.")
]
PreparedFolder = Annotated[Path | None, typer.Option(help="Folder written by `prepare`.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change of a recipe, as in objective.smoothness=0.01."),
]
Workers = Annotated[int, typer.Option(min=0, help="Processes that load, for each device.")]
Devices = Annotated[int, typer.Option(min=1, help="Devices of each machine.")]
Nodes = Annotated[int, typer.Option(min=1, help="Machines; start with torchrun on each.")]
Accelerator = Annotated[str, typer.Option(help="auto, cpu or gpu.")]
ShowProgress = Annotated[bool, typer.Option(help="Show a progress bar.")]


def fit(
    out: Annotated[Path, typer.Option(help="Folder for checkpoints, weights, TensorBoard.")],
    config: Annotated[Path, typer.Option(help="Recipe, or supervised config.")] = Path(
        "config/training/synthetic_supervised.yaml"
    ),
    shards: Annotated[
        Path | None,
        typer.Option(
            "--shards", "--replay", help="Synthetic rooms: to train on, or for a recipe to replay."
        ),
    ] = None,
    data: Data = None,
    dataset: Dataset = "sequences",
    split: Split = None,
    validation: ValidationData = None,
    validation_dataset: ValidationDataset = None,
    validation_split: ValidationSplit = None,
    prepared: PreparedFolder = None,
    start: Annotated[Path | None, typer.Option(help="Weights to start from.")] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(help="Weights of the teacher, for self-teaching or distillation."),
    ] = None,
    changes: Changes = None,
    workers: Workers = 2,
    devices: Devices = 1,
    num_nodes: Nodes = 1,
    accelerator: Accelerator = "auto",
    progress: ShowProgress = True,
) -> None:
    """Train: a recipe on recordings without labels, or on synthetic rooms; again to resume."""
    from gam_depth_training.module import NonFiniteLossError
    from gam_depth_training.recipe_file import is_recipe, load_recipe
    from gam_depth_training.video_data import Source
    from gam_depth_training.video_fit import RunOptions

    try:
        if not is_recipe(config):
            written = _fit_supervised(config, shards, out, progress, teacher, start)
            console.print(f"weights in {written}", soft_wrap=True)
            return
        recipe = load_recipe(config, [*(changes or ()), *_files(start=start, teacher=teacher)])
        result = _fit_recipe(
            recipe,
            Source(tuple(data or ()), dataset, split),
            _held_out(validation, validation_dataset or dataset, validation_split),
            prepared,
            shards,
            out,
            RunOptions(devices, num_nodes, accelerator, workers, progress=progress),
        )
    except (ValueError, OSError, NonFiniteLossError) as error:
        raise fail(error) from error
    _show_scores({recipe.name: result.scores})
    console.print(f"weights in {result.weights}", soft_wrap=True)


def _fit_supervised(
    config: Path,
    shards: Path | None,
    out: Path,
    progress: bool,
    teacher: Path | None,
    start: Path | None,
) -> Path:
    from gam_depth_training.config import load_config
    from gam_depth_training.fit import fit as run

    if shards is None:
        raise ValueError(
            f"{config}: got no --shards, expected a folder of them; run `gam-depth-train synth "
            "--shards FOLDER`"
        )
    return run(load_config(config), shards, out, progress, teacher, start)


def _held_out(paths: list[Path] | None, dataset: str, split: Path | None) -> Source | None:
    from gam_depth_training.video_data import Source

    return Source(tuple(paths), dataset, split) if paths else None


def _files(**files: Path | None) -> list[str]:
    """Return the changes of a recipe that name files."""
    return [f"{name}={json.dumps(str(path))}" for name, path in files.items() if path is not None]


def _fit_recipe(
    recipe: Recipe,
    source: Source,
    validation: Source | None,
    prepared: Path | None,
    rooms: Path | None,
    out: Path,
    options: RunOptions,
) -> Any:
    from gam_depth_training.video_data import check_rooms_apart, replay_rooms, training_clips
    from gam_depth_training.video_fit import TrainingData, fit_recipe

    if not source.paths:
        raise ValueError(f"recipe {recipe.name}: got no --data, expected recordings to train on")
    clips = training_clips(recipe, source, prepared)
    frames = None if validation is None else validation.reference_frames()
    if frames is not None:
        check_rooms_apart(clips.clips, frames.clips)
    data = TrainingData(
        clips,
        frames,
        replay_rooms(rooms) if rooms is not None and recipe.replay_share else None,
    )
    return fit_recipe(recipe, data, out, options)


def validate(
    weights: Annotated[Path, typer.Option(help="Weights or checkpoint written by `fit`.")],
    data: Data = None,
    dataset: Dataset = "sequences",
    split: Split = None,
    nyuv2: Annotated[
        Path | None, typer.Option(help="nyu_depth_v2_labeled.mat; --split is its splits.mat.")
    ] = None,
    size: Annotated[
        str, typer.Option(help="HEIGHTxWIDTH of the network's input; default: as trained.")
    ] = "",
    bilinear: Annotated[bool, typer.Option("--bilinear", help="Official on ScanNet.")] = False,
    json_out: Annotated[Path | None, typer.Option("--json", help="File for the scores.")] = None,
) -> None:
    """Score weights on recordings with depth: by picture, median-scaled, clipped to 0.1-10 m."""
    from gam_depth_training.datasets.nyuv2 import RULES, read_labelled
    from gam_depth_training.decoder import double_bilinearly
    from gam_depth_training.release import load_network
    from gam_depth_training.video_data import Source
    from gam_depth_training.video_fit import scores_by_room
    from gam_depth_training.video_validation import score_network

    try:
        network, size_hw = load_network(weights), validation_size(size, weights)
        if bilinear:
            double_bilinearly(network)
        if nyuv2 is not None:
            if split is None:
                raise ValueError("--nyuv2: got no --split, expected splits.mat or a list")
            score = score_network(network, read_labelled(nyuv2, split), size_hw, RULES)
        else:
            frames = Source(tuple(data or ()), dataset, split).reference_frames()
            score = score_network(network, frames, size_hw, frames.rules)
        if not score.count():
            raise ValueError("got no frame that could be scored, expected some; see above")
        if json_out is not None:
            json_out.parent.mkdir(parents=True, exist_ok=True)
            json_out.write_text(json.dumps(scores_by_room(score), indent=1))
    except (ValueError, OSError) as error:
        raise fail(error) from error
    rows = {f"{name} ({score.count(name)})": score.summary(name) for name in score.groups}
    _show_scores({**rows, f"all frames ({score.count()})": score.summary()})


def validation_size(text: str, weights: Path) -> tuple[int, int]:
    """Return the size that was asked for, or that of the recipe beside the weights."""
    from gam_depth_training.cli_data import parse_size
    from gam_depth_training.recipe_file import load_recipe
    from gam_depth_training.video_fit import RECIPE

    recipe = weights.parent / RECIPE
    if text or not recipe.exists():
        return parse_size(text or "288x384")
    return load_recipe(recipe).size_hw


def ablate(
    out: Annotated[Path, typer.Option(help="Folder for the runs and the table.")],
    data: Annotated[list[Path], typer.Option(help="As for `fit`.")],
    validation: Annotated[list[Path], typer.Option(help="As for `fit`.")],
    table: Annotated[str, typer.Option(help="iv, v, options, frames or methods.")] = "iv",
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps of every run.")] = 1000,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each row.")] = 3,
    recipes: Annotated[Path, typer.Option(help="Folder of the recipes.")] = RECIPES,
    dataset: Dataset = "sequences",
    split: Split = None,
    validation_dataset: ValidationDataset = None,
    validation_split: ValidationSplit = None,
    prepared: PreparedFolder = None,
    start: Annotated[Path | None, typer.Option(help="Weights to start from.")] = None,
    changes: Changes = None,
    workers: Workers = 2,
    accelerator: Accelerator = "auto",
    progress: ShowProgress = True,
) -> None:
    """Train the variants of a table under one budget, with several seeds each, and compare."""
    from gam_depth_training import ablate as ablation
    from gam_depth_training.comparison import draw_comparison
    from gam_depth_training.module import NonFiniteLossError
    from gam_depth_training.video_data import Source
    from gam_depth_training.video_fit import RunOptions

    try:
        rows = ablation.table_recipes(table, recipes, [*(changes or ()), *_files(start=start)])
        source = Source(tuple(data), dataset, split)
        held_out = Source(tuple(validation), validation_dataset or dataset, validation_split)
        options = RunOptions(accelerator=accelerator, workers=workers, progress=progress)

        def train(recipe: Recipe, folder: Path) -> Mapping[str, float]:
            scores: Mapping[str, float] = _fit_recipe(
                recipe, source, held_out, prepared, None, folder, options
            ).scores
            return scores

        seen = f"{source.digest()} {held_out.digest()}"
        result = ablation.ablate(rows, range(1, seeds + 1), steps, out, train, seen)
        picture = draw_comparison(out, rows, 1, held_out.reference_frames())
    except (ValueError, OSError, NonFiniteLossError) as error:
        raise fail(error) from error
    _show_table(table, steps, seeds, result)
    console.print(f"{out / ablation.RESULT}, pictures in {picture}", soft_wrap=True)


def _show_table(table: str, steps: int, seeds: int, rows: Sequence[Row]) -> None:
    from gam_depth_training.ablate import METRICS

    title = f"table {table}: {steps} steps, mean ± spread of {seeds} seeds"
    shown = Table("", *METRICS, title=title)
    for row in rows:
        shown.add_row(
            row.name,
            *(
                f"{row.mean(metric):.3f}"
                + ("" if len(row.runs) < 2 else f" ± {row.spread(metric):.3f}")
                for metric in METRICS
            ),
        )
    console.print(shown)


def _show_scores(rows: Mapping[str, Mapping[str, float]]) -> None:
    if not any(rows.values()):
        return
    metrics = list(next(scores for scores in rows.values() if scores))
    shown = Table("", *metrics)
    for name, scores in rows.items():
        shown.add_row(name, *(f"{scores[metric]:.3f}" for metric in metrics))
    console.print(shown)


def fail(error: Exception) -> typer.Exit:
    """Say in one line what went wrong, and return how to end."""
    console.print("[red]error:[/] ", end="")
    console.print(str(error), highlight=False, soft_wrap=True, markup=False)
    return typer.Exit(1)
