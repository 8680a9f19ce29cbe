"""Export of what a recipe trained; a finetuned model only where it has not forgotten."""

from __future__ import annotations

from pathlib import Path

from gam_depth_ros.core.labels import NYU13
from gam_depth_ros.core.model_spec import ModelSpec
from gam_depth_training.export import ParityReport
from gam_depth_training.guard import old_scores, refuse_forgotten
from gam_depth_training.provenance import recipe_provenance
from gam_depth_training.recipe import Recipe
from gam_depth_training.release import load_network, write_model
from gam_depth_training.video_data import held_out_rooms


def export_recipe(
    weights: Path,
    shards: Path,
    recipe: Recipe,
    out: Path,
    commit: str,
    day: str,
    licence: str | None = None,
) -> tuple[ParityReport, ModelSpec, dict[str, float]]:
    """Calibrate sigma on held-out rooms and write the model file.

    Args:
        weights: Written by ``fit``.
        shards: Synthetic rooms; the first ones, which never train, calibrate and judge.
        recipe: What the weights were trained by. Where it started from other weights, the result
            is held to them.
        out: ONNX file to write.
        commit: Of the code.
        day: ISO date.
        licence: Terms of the model as its maker states them, see recipe_provenance.

    Returns:
        The parity report, the contract written, and by metric how much worse the model is on
        synthetic rooms than the one it started from, relative; empty without one.

    Raises:
        ValueError: weights, shards or classes do not fit.
        ForgottenError: worse by more than the recipe's ``guard``; nothing is written.
        ExportError: the file does not answer as the network does.
    """
    if recipe.network.classes != len(NYU13):
        raise ValueError(
            f"recipe {recipe.name}: got {recipe.network.classes} classes, expected "
            f"{len(NYU13)} for a model file; train with labels of {NYU13.name}"
        )
    network, held_out = load_network(weights), held_out_rooms(shards)
    losses: dict[str, float] = {}
    if recipe.start is not None:
        known = old_scores(load_network(Path(recipe.start)), held_out, recipe.size_hw)
        now = old_scores(network, held_out, recipe.size_hw)
        losses = refuse_forgotten(known, now, recipe.guard, weights)
    provenance = recipe_provenance(recipe, weights, commit, day, licence)
    report, spec = write_model(network, held_out, recipe.size_hw, provenance, out)
    return report, spec, losses
