"""A recipe as a LightningModule: its networks, its optimiser, its validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from gam_depth_training.agreement import good_in_all, said_by_all
from gam_depth_training.batch import Batch
from gam_depth_training.callbacks import freeze_stem
from gam_depth_training.config import LossWeights
from gam_depth_training.encoder import ResNetEncoder
from gam_depth_training.evaluation_frames import EvaluationFrame
from gam_depth_training.module import NonFiniteLossError, supervised_terms, weighted_total
from gam_depth_training.muon import Muon, muon_groups
from gam_depth_training.network_shape import PAPER
from gam_depth_training.networks import JointNetwork, has_decoder_norm, shape_of
from gam_depth_training.objective import Objective, Terms
from gam_depth_training.pose_networks import MotionNetwork
from gam_depth_training.recipe import Recipe
from gam_depth_training.self_supervised import SelfSupervisedModule
from gam_depth_training.self_teaching import NoMotion, load_teacher, self_teaching_terms
from gam_depth_training.start_weights import (
    MODEL_FILE,
    load_what_fits,
    network_part,
    part_of,
    read_state,
)
from gam_depth_training.video_batch import VideoBatch
from gam_depth_training.video_validation import DepthScore, network_input


class RecipeModule(SelfSupervisedModule):
    """Trains by a recipe.

    Args:
        recipe: The method.
        steps_per_epoch: Optimiser steps that make an epoch, by which the schedules go.

    Attributes:
        pictures: What the losses of the last step saw, B first, by name, where
            ``pictures_wanted``; see Terms.
        pictures_wanted: Whether the next step should keep them.
        teacher: The frozen network that teaches; None where the clips do.

    Raises:
        ValueError: weights to start from, or a teacher's, that cannot be read or do not fit.
    """

    def __init__(self, recipe: Recipe, steps_per_epoch: int) -> None:
        shape, taught = recipe.network, recipe.method == "self_teaching"
        super().__init__(
            _predicting_network(recipe),
            NoMotion() if taught else MotionNetwork(shape.residual_passes, shape.pose_encoder),
            Objective(recipe.objective),
        )
        self.recipe = recipe
        self.teacher = load_teacher(recipe) if taught else None
        self.steps_per_epoch = steps_per_epoch
        self.pictures: dict[str, Tensor] = {}
        self.pictures_wanted = False
        self._score = DepthScore()
        self._load_start()
        if recipe.freeze_stem_and_batchnorm:
            freeze_stem(self.network.encoder)

    @property
    def epoch(self) -> int:
        """The pass over the clips, from 0; to Lightning the whole run is one endless epoch."""
        return self.global_step // self.steps_per_epoch

    def terms(self, batch: VideoBatch) -> Terms:
        """Look at a batch and say what it costs; keeps the pictures where wanted."""
        terms = super().terms(batch) if self.teacher is None else self.taught_terms(batch)
        if self.pictures_wanted:
            self.pictures = {name: picture[:1].clone() for name, picture in terms.pictures.items()}
            self.pictures_wanted = False
        return terms

    def taught_terms(self, batch: VideoBatch) -> Terms:
        """Ask the teacher about a batch, and say what the student's answer costs.

        Raises:
            NonFiniteLossError: a depth or a term is NaN or infinite.
        """
        assert self.teacher is not None
        # The teacher sees the picture at its best, the student as the training changes it.
        taught = self.teacher(batch.target)
        prediction = self.network(batch.target_input)
        disparities = {"teacher's disparity": taught.disparity, "disparity": prediction.disparity}
        self._refuse_non_finite(disparities, batch)
        terms = self_teaching_terms(
            prediction, taught, batch.target, self.recipe.objective, self.epoch
        )
        self._refuse_non_finite({**terms.scalars, "total": terms.total}, batch)
        return terms

    def training_step(
        self, batch: VideoBatch | tuple[VideoBatch, Batch] | None, batch_index: int
    ) -> Tensor | None:
        """One step on clips; where rooms are replayed, also on rooms with their truth."""
        if not isinstance(batch, tuple):
            return super().training_step(batch, batch_index)
        clips, rooms = batch
        loss = super().training_step(clips, batch_index)
        terms = supervised_terms(self.network(rooms.image), rooms)
        known = weighted_total(terms, LossWeights())
        if not good_in_all(torch.isfinite(known)):
            broken = [name for name, term in terms.items() if not torch.isfinite(term)]
            said = said_by_all(", ".join(broken) or None)
            raise NonFiniteLossError(
                f"loss term {said} of replayed rooms is not finite at step "
                f"{self.global_step}; lower the learning rate"
            )
        self.log_dict({f"replay/{name}": term.detach() for name, term in terms.items()})
        share = self.recipe.replay_share
        return known if loss is None else (1.0 - share) * loss + share * known

    def validation_step(self, frame: EvaluationFrame, index: int) -> None:
        """Score one frame with reference depth."""
        image = network_input(frame.rgb, self.recipe.size_hw).to(self.device)
        self._score.add(self.network(image).disparity, frame)

    def on_validation_epoch_end(self) -> None:
        """Log the mean scores."""
        figures, self._score = self._score.summary(), DepthScore()
        self.log_dict({f"val/{name}": value for name, value in figures.items()})

    def configure_optimizers(self) -> Any:
        """Optimiser and steps of the rate; the encoder may learn slower, depth later."""
        recipe = self.recipe
        # Of the predicting network, whose rate may wait, and of everything else.
        encoder = nn.ModuleDict({"encoder": self.network.encoder})
        depth = self._groups(encoder, recipe.encoder_rate_factor)
        depth += self._groups(nn.ModuleList(self._decoders()))
        others = self._groups(self.motion, recipe.pose_rate_factor) + self._groups(self.objective)
        optimizer = Muon([*depth, *others]) if recipe.optimizer == "muon" else Adam(depth + others)

        def scheduled(step: int) -> float:
            return recipe.learning_rate_factor(step // self.steps_per_epoch)

        def later(step: int) -> float:
            return scheduled(step) if step >= recipe.pose_first_steps else 0.0

        rates = [later] * len(depth) + [scheduled] * len(others)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rates)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _decoders(self) -> list[nn.Module]:
        return [part for name, part in self.network.named_children() if name != "encoder"]

    def _groups(self, part: nn.Module, factor: float = 1.0) -> list[dict[str, Any]]:
        """Return the parameter groups of a part that learns at ``factor`` times the rate."""
        rate = self.recipe.learning_rate * factor
        if self.recipe.optimizer == "muon":
            groups = muon_groups(part, rate, 0.0)
        else:
            groups = [{"params": [p for p in part.parameters() if p.requires_grad], "lr": rate}]
        return [group for group in groups if group["params"]]

    def _load_start(self) -> None:
        recipe = self.recipe
        if recipe.imagenet is not None:
            for encoder in self.modules():
                if isinstance(encoder, ResNetEncoder):
                    encoder.load_imagenet(Path(recipe.imagenet))
        if recipe.start is not None:
            path = Path(recipe.start)
            state = read_state(path)
            load_what_fits(self.network, network_part(state), path)
            motion = part_of(state, "motion")
            if motion:
                load_what_fits(self.motion, motion, path)
            elif recipe.imagenet is None:
                # Nobody has taught them anything: better to know edges than nothing.
                self._start_motion()

    def _start_motion(self) -> None:
        """Let the pose encoders start as the depth encoder, where that is a ResNet-18 too."""
        known = self.network.encoder
        for encoder in self.motion.modules():
            if isinstance(encoder, ResNetEncoder) and isinstance(known, ResNetEncoder):
                encoder.load_tiled(known.state_dict())


def _predicting_network(recipe: Recipe) -> JointNetwork:
    """Build the network as the recipe says, and as its weights to start from ask."""
    shape, norm, parts = recipe.network, recipe.network.decoder_norm, PAPER
    if recipe.start is not None:
        path = Path(recipe.start)
        if path.suffix == MODEL_FILE and not recipe.freeze_stem_and_batchnorm:
            raise ValueError(
                f"{path}: got a model file, whose batch statistics are folded into its kernels, "
                "expected weights.pt for a recipe that goes on changing them; set "
                "freeze_stem_and_batchnorm=true, as config/training/finetune.yaml has it"
            )
        state = network_part(read_state(path))
        started, parts = has_decoder_norm(state), shape_of(state)
        if norm is not None and norm != started:
            raise ValueError(
                f"{path}: got weights {'with' if started else 'without'} normalised decoders, "
                f"expected network.decoder_norm {norm}; leave decoder_norm out of the recipe"
            )
        norm = started
    return JointNetwork(
        shape.classes, shape.decoders, shape.cross_task_attention, bool(norm), parts
    )


def network_state(module: RecipeModule) -> dict[str, Tensor]:
    """Return the predicting network's weights, on the CPU."""
    return {name: value.cpu() for name, value in module.network.state_dict().items()}
