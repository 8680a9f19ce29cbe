"""A finetuned model may not have forgotten what it knew: scores on the old validation split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from gam_depth_ros.core.labels import NYU13
from gam_depth_training.batch import ShardFrames
from gam_depth_training.fit import ValidationBatches
from gam_depth_training.networks import JointNetwork
from gam_depth_training.validation import ValidationScore

# How a score gets worse: by rising or by falling.
_BETTER_WHEN_LOWER = ("abs_rel", "rmse")
_BETTER_WHEN_HIGHER = ("d1", "miou")
_BATCH = 16


class ForgottenError(ValueError):
    """A finetuned model is worse than before on the old validation split."""


def old_scores(
    network: JointNetwork, held_out: ShardFrames, size_hw: tuple[int, int]
) -> dict[str, float]:
    """Score a network on held-out synthetic rooms; see ValidationScore for the metrics."""
    score = ValidationScore(len(NYU13))
    network.eval()
    with torch.no_grad():
        for batch in ValidationBatches(held_out, size_hw, _BATCH):
            score.add(network(batch.image), batch)
    return score.summary()


def relative_losses(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return by metric how much worse a model became, relative to before; below 0 is better."""
    rises = {m: after[m] / before[m] - 1.0 for m in _BETTER_WHEN_LOWER}
    falls = {m: 1.0 - after[m] / before[m] for m in _BETTER_WHEN_HIGHER}
    return {**rises, **falls}


def refuse_forgotten(
    before: Mapping[str, float], after: Mapping[str, float], most: float, weights: Path
) -> dict[str, float]:
    """Check that a finetuned model still knows what it knew.

    Args:
        before: Scores of the model that it started from, on the old validation split.
        after: Its own.
        most: Largest relative loss allowed, 0.02 for two per cent.
        weights: Its file, for the message.

    Returns:
        The relative losses by metric.

    Raises:
        ForgottenError: one is larger, or cannot be told.
    """
    losses = relative_losses(before, after)
    for name, loss in losses.items():
        if not loss <= most:  # NaN too
            raise ForgottenError(
                f"{weights}: got {name} {after[name]:.4f} on the old validation split, "
                f"{before[name]:.4f} before finetuning: {loss:.1%} worse, expected at most "
                f"{most:.1%}; raise replay_share, lower learning_rate or train fewer steps"
            )
    return losses
