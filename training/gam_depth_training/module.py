"""The supervised training step on synthetic rooms, as a LightningModule."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from torch import Tensor

from gam_depth_ros.core.labels import NYU13
from gam_depth_training import losses
from gam_depth_training.batch import Batch, augment
from gam_depth_training.config import LossWeights, StageConfig, TrainingConfig
from gam_depth_training.muon import Muon, muon_groups
from gam_depth_training.networks import JointNetwork, JointPrediction
from gam_depth_training.trained_network import Teacher, taught_terms
from gam_depth_training.validation import ValidationScore


class NonFiniteLossError(RuntimeError):
    """A loss term became NaN or infinite; the message names the term and the step."""


def supervised_terms(prediction: JointPrediction, batch: Batch) -> dict[str, Tensor]:
    """Return the unweighted loss terms by name; see LossWeights for what each is."""
    mask = batch.depth_m > 0
    residual, offset = losses.log_depth_residual(prediction.depth, batch.depth_m, mask)
    return {
        "depth": losses.masked_mean(residual.abs(), mask),
        "metric": offset.abs().mean(),
        "gradient": losses.gradient_matching(residual, mask),
        # The residual is detached: the likelihood may learn from the depth, never bend it.
        "sigma": losses.laplace_nll(residual.detach(), prediction.log_b, mask),
        "semantic": losses.semantic_cross_entropy(
            prediction.logits, batch.label, NYU13.unlabelled_id
        ),
    }


def weighted_total(terms: dict[str, Tensor], weights: LossWeights) -> Tensor:
    """Sum the terms by their weights."""
    return torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()


class SupervisedModule(lightning.LightningModule):
    """Trains depth, sigma and semantics of one stage.

    Args:
        network: The network, already carrying the weights of the stage before.
        config: The whole run.
        stage: This part of it.
        seed: Seeds the augmentation, another one for each stage.
        teacher: Answers for the terms of LossWeights that are taught; None without them.
    """

    def __init__(
        self,
        network: JointNetwork,
        config: TrainingConfig,
        stage: StageConfig,
        seed: int,
        teacher: Teacher | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.teacher = teacher
        self.config = config
        self.stage = stage
        self.seed = seed
        self.score = ValidationScore(len(NYU13))

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """One step: look changed, terms computed, weighted, and checked."""
        # Pictures change their look, stronger as the run goes on; truth stays as it is.
        generator = torch.Generator(batch.image.device)
        generator.manual_seed(self.seed * 1_000_003 + self.global_step)
        image = augment(batch.image, self.config.augmentation, self._strength(), generator)
        image = image.contiguous(memory_format=torch.channels_last)
        prediction = self.network(image)
        terms = supervised_terms(prediction, batch)
        if self.teacher is not None:
            # The teacher sees the picture at its best, the student as the training changes it.
            terms |= taught_terms(prediction, self.teacher(batch.image))
        total = weighted_total(terms, self.config.weights)
        if not torch.isfinite(total):
            broken = [name for name, term in terms.items() if not torch.isfinite(term)]
            raise NonFiniteLossError(
                f"loss term {', '.join(broken)} is not finite at step {self.global_step} of stage "
                f"'{self.stage.name}'; lower the learning rate or look at that batch"
            )
        self.log_dict({f"loss/{name}": term for name, term in terms.items()})
        self.log("loss/total", total, prog_bar=True)
        return total

    def _strength(self) -> float:
        start, end = self.stage.augmentation_strength
        return start + (end - start) * self.global_step / self.stage.steps

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Score a batch of held-out frames."""
        self.score.add(self.network(batch.image), batch)

    def on_validation_epoch_end(self) -> None:
        """Log the mean scores."""
        figures = self.score.summary()
        self.score.reset()
        self.log_dict({f"val/{name}": value for name, value in figures.items()}, prog_bar=True)

    def configure_optimizers(self) -> Any:
        """The config's optimiser without decay of biases and norms, one-cycle rate."""
        optimizer = self._optimizer()
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            self.stage.learning_rate,
            total_steps=self.stage.steps + 1,
            pct_start=0.1,
            cycle_momentum=False,
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _optimizer(self) -> torch.optim.Optimizer:
        decay = self.config.weight_decay
        if self.config.optimizer == "muon":
            return Muon(muon_groups(self.network, self.stage.learning_rate, decay))
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        plain = [p for p in self.network.parameters() if p.ndim <= 1]
        return torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": decay},
                {"params": plain, "weight_decay": 0.0},
            ],
            lr=self.stage.learning_rate,
            fused=True,
        )
