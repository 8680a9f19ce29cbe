"""Training without labels: one step of it, as the paper tells it."""

from __future__ import annotations

from collections.abc import Mapping

import lightning
import torch
from torch import Tensor

from gam_depth_training.agreement import good_in_all, said_by_all
from gam_depth_training.geometry import chain_poses, compose, pose_matrix, synthesize_view
from gam_depth_training.module import NonFiniteLossError
from gam_depth_training.networks import JointNetwork
from gam_depth_training.objective import Objective, Terms
from gam_depth_training.pose_networks import MotionNetwork
from gam_depth_training.video_batch import VideoBatch

# source_T_target, B×4×4, by the source's offset.
Poses = dict[int, Tensor]


class SelfSupervisedModule(lightning.LightningModule):
    """Depth and motion learn from each other: the target must look right through its sources.

    Args:
        network: Depth and semantics of one picture.
        motion: Poses between pictures.
        objective: The terms; its learned weights, if any, are parameters of this module too.
    """

    def __init__(self, network: JointNetwork, motion: MotionNetwork, objective: Objective) -> None:
        super().__init__()
        self.network = network
        self.motion = motion
        self.objective = objective

    @property
    def epoch(self) -> int:
        """The epoch, from 0, that the schedule of the terms goes by."""
        return self.current_epoch

    def terms(self, batch: VideoBatch) -> Terms:
        """Look at a batch and say what it costs.

        Raises:
            NonFiniteLossError: depth, a pose or a term is NaN or infinite.
        """
        # Depth and semantics of the target, from the target alone.
        prediction = self.network(batch.target_input)
        self._refuse_non_finite({"disparity": prediction.disparity}, batch)

        # How the camera moved: first guessed from the frames, then refined on warped ones.
        poses = self.first_poses(batch)
        for _ in range(self.motion.residual_passes):
            poses = self.refined_poses(poses, prediction.depth, batch)
        self._refuse_non_finite({f"pose {k:+d}": pose for k, pose in poses.items()}, batch)

        # The target, seen again through each source.
        reconstructions = self.warp(dict(batch.sources), prediction.depth, poses, batch)

        terms = self.objective(prediction, reconstructions, batch, self.epoch)
        self._refuse_non_finite({**terms.scalars, "total": terms.total}, batch)
        return terms

    def first_poses(self, batch: VideoBatch) -> Poses:
        """Return the poses chained from the motions between neighbours."""
        axis_angle, translation = self.motion.consecutive(batch.inputs)
        steps = [pose_matrix(a, t) for a, t in zip(axis_angle, translation, strict=True)]
        forward = self.objective.options.quirks.forward_pose_product
        return chain_poses(steps, batch.offsets, forward)

    def refined_poses(self, poses: Poses, depth: Tensor, batch: VideoBatch) -> Poses:
        """Return the poses after one residual pass (Ji et al. 2021, section 3.3).

        A source, warped by the pose so far, should lie on the target; the motion that is left
        between the two acts before that pose. Nothing is detached: the residual also teaches
        depth and the first poses through the warp.
        """
        sources = dict(batch.sources)
        if not self.objective.options.quirks.unjittered_residual_source:
            sources = {k: batch.inputs[:, batch.offsets.index(k)] for k in sources}
        warped = self.warp(sources, depth, poses, batch)
        target = batch.target_input
        # In temporal order, as the first network saw its pairs.
        pairs = [torch.cat((w, target) if k < 0 else (target, w), 1) for k, w in warped.items()]
        axis_angle, translation = self.motion.residual(torch.stack(pairs))
        return {
            k: compose(poses[k], pose_matrix(a, t, invert=k < 0))
            for k, a, t in zip(warped, axis_angle, translation, strict=True)
        }

    def warp(
        self, sources: Mapping[int, Tensor], depth: Tensor, poses: Poses, batch: VideoBatch
    ) -> dict[int, Tensor]:
        """Return the target rebuilt from each source, B×3×H×W by offset."""
        aligned = not self.objective.options.quirks.misaligned_corners
        return {
            k: synthesize_view(source, depth, batch.intrinsics, poses[k], aligned)
            for k, source in sources.items()
        }

    def training_step(self, batch: VideoBatch | None, batch_index: int) -> Tensor | None:
        """One step; a batch of which every clip was lost is left out."""
        if batch is None:
            return None
        terms = self.terms(batch)
        size = len(batch.keys)
        for name, term in terms.scalars.items():
            self.log(f"loss/{name}", term.detach(), batch_size=size, sync_dist=True)
        for name, factor in terms.task_weights.items():
            self.log(f"task_weight/{name}", factor, batch_size=size)
        self.log("loss/total", terms.total.detach(), True, batch_size=size, sync_dist=True)
        return terms.total

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Refuse a gradient that is not finite: the weights would be lost with the step.

        In float16 the scaler sees to it: it leaves such a step out and scales less.
        """
        if self.trainer.precision == "16-mixed":
            return
        gradients = {n: p.grad for n, p in self.named_parameters() if p.grad is not None}
        if gradients and not torch.isfinite(torch.nn.utils.get_total_norm(gradients.values())):
            broken = [name for name, grad in gradients.items() if not torch.isfinite(grad).all()]
            raise NonFiniteLossError(
                f"the gradient of {len(broken)} parameters, {broken[0]} the first, is not finite "
                f"at step {self.global_step}; lower the learning rate or clip the gradient"
            )

    def _refuse_non_finite(self, values: Mapping[str, Tensor], batch: VideoBatch) -> None:
        """Refuse values in all processes where one has a broken one: none may wait for it."""
        finite = torch.stack([torch.isfinite(v).all() for v in values.values()])
        if good_in_all(finite.all()):
            return
        broken = [name for name, good in zip(values, finite.tolist(), strict=True) if not good]
        own = (
            f"got {', '.join(broken)} not finite at step {self.global_step} of clips "
            f"{', '.join(batch.keys)}"
        )
        raise NonFiniteLossError(
            f"{said_by_all(own if broken else None)}, expected numbers; look at these clips or "
            "lower the learning rate"
        )
