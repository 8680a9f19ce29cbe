"""The paper's ablations: variants of a method under one budget, each with several seeds."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from gam_depth_training.checkpoints import write_atomically
from gam_depth_training.recipe import Recipe
from gam_depth_training.recipe_file import load_recipe

logger = logging.getLogger(__name__)

# Scores of one trained network by metric; what trains and validates it is the caller's.
Train = Callable[[Recipe, Path], Mapping[str, float]]
METRICS = ("abs_rel", "rmse", "d1", "d2", "d3")
RESULT = "ablation.json"
_SCORES = "scores.json"


@dataclass(frozen=True)
class Variant:
    """One row of a table: its name, the recipe's file, and what is changed on top."""

    name: str
    file: str
    changes: tuple[str, ...] = ()


TABLES: Mapping[str, tuple[Variant, ...]] = {
    "iv": (
        Variant("none", "table_iv_none.yaml"),
        Variant("mask", "table_iv_mask.yaml"),
        Variant("key points + semantics", "table_iv_keypoints_semantic.yaml"),
        Variant("average + semantics", "table_iv_average_semantic.yaml"),
        Variant("full", "table_iv_full.yaml"),
    ),
    "v": (
        Variant("StructDepth", "structdepth.yaml"),
        Variant("StructDepth + mask", "structdepth_mask.yaml"),
        Variant("baseline", "table_iv_none.yaml"),
        Variant("baseline + mask", "table_iv_mask.yaml"),
    ),
    # What the field asks for beyond the paper, each against the paper's method.
    "options": (
        Variant("gam_depth", "gam_depth.yaml"),
        Variant("adaptive mask", "gam_depth.yaml", ("objective.photometric=adaptive_mask",)),
        Variant("auto-mask", "gam_depth.yaml", ("objective.auto_mask=true",)),
        Variant("homoscedastic", "gam_depth.yaml", ("objective.task_weighting=homoscedastic",)),
        Variant("attention", "gam_depth.yaml", ("network.cross_task_attention=true",)),
        Variant("shared decoder", "gam_depth.yaml", ("network.decoders=shared",)),
        Variant("decoders split late", "gam_depth.yaml", ("network.decoders=split_late",)),
        Variant("shared pose encoder", "gam_depth.yaml", ("network.pose_encoder=shared",)),
        Variant("no residual poses", "gam_depth.yaml", ("network.residual_passes=0",)),
        Variant(
            "weights as printed",
            "gam_depth.yaml",
            ("objective.smoothness=0.1", "objective.semantic=0.001"),
        ),
    ),
    # What the mask and the semantic term bring to a short training on recordings of one's own.
    "frames": (
        Variant("gam_depth", "gam_depth.yaml"),
        Variant("without mask", "gam_depth.yaml", ("objective.photometric=keypoints",)),
        Variant("without L_seg", "gam_depth.yaml", ("objective.semantic=0",)),
        Variant("average", "gam_depth.yaml", ("objective.photometric=mean",)),
    ),
    "methods": tuple(
        Variant(name, f"{name}.yaml")
        for name in ("monodepth2", "p2net", "structdepth", "monoindoor", "gam_depth")
    ),
}


@dataclass(frozen=True)
class Row:
    """What the runs of one variant scored.

    Attributes:
        name: The variant.
        runs: Scores by metric, one mapping for each seed.
    """

    name: str
    runs: tuple[Mapping[str, float], ...]

    def mean(self, metric: str) -> float:
        """Return the mean over the seeds."""
        return float(np.mean([run[metric] for run in self.runs]))

    def spread(self, metric: str) -> float:
        """Return the sample standard deviation over the seeds; NaN for a single one."""
        values = [run[metric] for run in self.runs]
        return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def table_recipes(
    table: str, folder: Path, changes: Sequence[str] = ()
) -> list[tuple[str, Recipe]]:
    """Return the name and recipe of each of a table's rows.

    Args:
        table: A key of TABLES.
        folder: Where the recipes are.
        changes: Overrides for all rows, under those that make a row what it is.

    Raises:
        ValueError: no such table, or a recipe that does not read.
    """
    if table not in TABLES:
        raise ValueError(f"got table '{table}', expected one of {', '.join(TABLES)}")
    return [
        (variant.name, load_recipe(folder / variant.file, [*changes, *variant.changes]))
        for variant in TABLES[table]
    ]


def ablate(
    rows: Sequence[tuple[str, Recipe]],
    seeds: Sequence[int],
    steps: int,
    out: Path,
    train: Train,
    data: str = "",
) -> list[Row]:
    """Train each row with each seed under one budget; a finished run is not repeated.

    Seeds go round the rows, so that a stopped ablation has compared all of them equally often.

    Args:
        rows: Names and recipes.
        seeds: Seeds of weights, order and augmentation.
        steps: Optimiser steps of every run.
        out: Folder for the runs and the result, ``ablation.json``.
        train: Trains a recipe in a folder and scores it.
        data: A word for what is trained on and validated with; runs of other data in ``out`` are
            refused.

    Returns:
        The rows with their scores.

    Raises:
        ValueError: no seeds, two rows of one name, or ``out`` holds another recipe's or other
            data's scores.
    """
    names = [name for name, _ in rows]
    if not seeds or len(set(names)) != len(names):
        raise ValueError(f"got seeds {list(seeds)} and rows {names}, expected some, each once")
    runs: dict[str, list[Mapping[str, float]]] = {name: [] for name in names}
    for seed in seeds:
        for name, recipe in rows:
            chosen = replace(recipe, seed=seed, max_steps=steps)
            folder = run_folder(out, name, seed)
            logger.info("%s, seed %d", name, seed)
            runs[name].append(_run_once(chosen, folder, train, data))
        rows_so_far = [Row(name, tuple(scores)) for name, scores in runs.items()]
        _write(rows_so_far, rows, seeds[: len(rows_so_far[0].runs)], steps, out)
    return rows_so_far


def run_folder(out: Path, name: str, seed: int) -> Path:
    """Return the folder of one run."""
    plain = "".join(letter if letter.isalnum() else "_" for letter in name)
    return out / f"{plain}_seed{seed}"


def _run_once(recipe: Recipe, folder: Path, train: Train, data: str) -> Mapping[str, float]:
    path = folder / _SCORES
    stored = json.loads(path.read_text()) if path.exists() else {}
    # Without a digest they are what `fit` writes: the run was stopped right after, and is not done.
    if "digest" in stored:
        if stored.get("data", data) != data:  # older notes do not say
            raise ValueError(
                f"{path}: got the scores of other data, expected those of --data and --validation; "
                "give another --out"
            )
        if stored["digest"] == recipe.digest():
            known: Mapping[str, float] = stored["scores"]
            return known
        raise ValueError(
            f"{path}: got the scores of another recipe ({stored['digest']}), expected "
            f"{recipe.digest()}; give another --out"
        )
    scores = dict(train(recipe, folder))
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"digest": recipe.digest(), "data": data, "scores": scores}, indent=1)
    write_atomically(text.encode(), path)
    return scores


def _write(
    rows: list[Row],
    recipes: Sequence[tuple[str, Recipe]],
    seeds: Sequence[int],
    steps: int,
    out: Path,
) -> None:
    by_name = dict(recipes)
    content = {
        "steps": steps,
        "seeds": list(seeds),
        "rows": [
            {
                "name": row.name,
                "mean": {metric: row.mean(metric) for metric in METRICS},
                "spread": {metric: _or_none(row.spread(metric)) for metric in METRICS},
                "runs": [dict(run) for run in row.runs],
                "recipe": asdict(by_name[row.name]),
            }
            for row in rows
        ],
    }
    write_atomically(json.dumps(content, indent=1).encode(), out / RESULT)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value  # JSON knows no NaN
