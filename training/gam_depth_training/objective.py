"""What training without labels asks for: named terms and their weighted sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from gam_depth_training.geometry import backproject
from gam_depth_training.gradient_mask import (
    adaptive_gradient_mask,
    gradient_aware_mask,
    keypoint_photometric,
    weighted_photometric,
)
from gam_depth_training.losses import (
    edge_aware_smoothness,
    laplace_cost,
    minimum_reprojection,
    photometric_error,
    semantic_cross_entropy,
)
from gam_depth_training.networks import JointPrediction
from gam_depth_training.objective_options import ObjectiveOptions
from gam_depth_training.pixel_sizes import PixelSizes
from gam_depth_training.planarity import (
    align_normals,
    coplanar_loss,
    large_segments,
    manhattan_normal_loss,
    planar_depth,
    planar_segments,
    plane_offset,
    surface_normals,
)
from gam_depth_training.video_batch import IGNORED_LABEL, VideoBatch


@dataclass(frozen=True)
class Terms:
    """What one batch costs.

    Attributes:
        scalars: The unweighted terms by name, in the order in which they were computed; a term
            that is off is missing.
        total: What is minimised.
        pictures: What the terms saw, by name, detached, B first: "target", "warped" (by the last
            source) B×3×H×W; "depth" (m, up to scale), "error", "mask", "sigma" (b of a likelihood)
            B×1×H×W; "segments" B×1×H×W int64, 0 for none; "labels" and "prediction" B×1×H×W int64,
            255 ignored. What the method does not have is missing.
        task_weights: The learned factors by task; empty where weights are fixed.
    """

    scalars: dict[str, Tensor]
    total: Tensor
    pictures: dict[str, Tensor]
    task_weights: dict[str, Tensor]


class Objective(nn.Module):
    """Turns a prediction and the target seen again through it into named terms and their sum.

    Args:
        options: See ObjectiveOptions.
    """

    def __init__(self, options: ObjectiveOptions) -> None:
        super().__init__()
        self.options = options
        learned = options.task_weighting == "homoscedastic"
        # The logarithm of each task's noise; at 0 the tasks weigh as the options say.
        self.log_noise = nn.Parameter(torch.zeros(2)) if learned else None

    def forward(
        self,
        prediction: JointPrediction,
        reconstructions: Mapping[int, Tensor],
        batch: VideoBatch,
        epoch: int,
    ) -> Terms:
        """Compute the terms.

        Args:
            prediction: Of the target.
            reconstructions: The target rebuilt from each source, B×3×H×W, by the source's offset.
            batch: The clips.
            epoch: Counts from 0; normals are taken more strictly and semantics less long by it.

        Raises:
            ValueError: labels that the network has no class for; depth that is not finite.
        """
        options = self.options
        # What the sources show of the target, where it is worth looking at.
        minimum = self.minimum_error(reconstructions, batch)
        cost, uncertainty = minimum, {}
        if options.photometric_likelihood:
            # Where the error cannot be helped, a larger b makes it cheaper.
            log_b = prediction.log_b.float()
            cost, uncertainty = laplace_cost(minimum, log_b), {"sigma": log_b.exp()}
        photometric, mask = self.photometric_term(cost, batch)
        scalars = {"photometric": photometric}
        pictures = {
            "target": batch.target,
            "warped": next(reversed(reconstructions.values())),
            "depth": prediction.depth,
            "error": minimum,
            "mask": mask,
            **uncertainty,
        }
        if options.smoothness > 0:
            scalars["smoothness"] = edge_aware_smoothness(prediction.disparity, batch.target)

        # A room is made of planes, most of them along three directions.
        if options.normal > 0 or options.planar > 0:
            planes, pictures["segments"] = self.plane_terms(prediction.depth, batch, epoch)
            scalars |= planes

        # The teacher's labels shape the features until depth goes on without them.
        if options.has_semantic(epoch):
            scalars["semantic"] = self.semantic_term(prediction.logits, batch.labels)
            pictures["labels"] = batch.labels.unsqueeze(1)
            pictures["prediction"] = prediction.logits.argmax(1, keepdim=True)

        total, task_weights = self.weighted_total(scalars)
        seen = {name: picture.detach() for name, picture in pictures.items()}
        return Terms(scalars, total, seen, task_weights)

    def minimum_error(self, reconstructions: Mapping[int, Tensor], batch: VideoBatch) -> Tensor:
        """Return the least photometric error over the sources, B×1×H×W."""
        options, target = self.options, batch.target
        errors = {k: photometric_error(view, target) for k, view in reconstructions.items()}
        identity: dict[int, Tensor] = {}
        if options.auto_mask or options.quirks.identity_minimum:
            identity = {k: photometric_error(source, target) for k, source in batch.sources}
        groups = [list(errors)]
        if options.minimum_over == "distance":
            distances = sorted({abs(offset) for offset in errors})
            groups = [[k for k in errors if abs(k) == distance] for distance in distances]
        # Without noise a tie goes to the unwarped source: a pixel that stays teaches nothing, and
        # a resumed run draws nothing that the whole one did not.
        minima = [
            minimum_reprojection(
                [errors[k] for k in group], [identity[k] for k in group] if identity else None
            )
            for group in groups
        ]
        return torch.stack(minima).sum(0)

    def photometric_term(self, minimum: Tensor, batch: VideoBatch) -> tuple[Tensor, Tensor]:
        """Return the mean error where it counts, and how much each pixel counts, B×1×H×W."""
        options = self.options
        if options.photometric == "keypoints":
            share = _share_of_processes(batch.keypoints.sum())
            return keypoint_photometric(minimum, batch.keypoints) * share, batch.keypoints
        if options.photometric == "mean":
            return minimum.mean(), torch.ones_like(minimum)
        if options.photometric == "adaptive_mask":
            mask = adaptive_gradient_mask(batch.magnitude).to(minimum.dtype)
            relative = mask / mask.mean((2, 3), keepdim=True)
            return weighted_photometric(minimum, relative, factor=1.0), mask
        mask = gradient_aware_mask(batch.magnitude).to(minimum.dtype)
        term = weighted_photometric(
            minimum, mask, options.photometric_factor, options.quirks.batch_broadcasting
        )
        return term, mask

    def plane_terms(
        self, depth: Tensor, batch: VideoBatch, epoch: int
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the Manhattan-normal and co-planar terms, and the segments, B×1×H×W."""
        options, shifted = self.options, self.options.quirks.normal_shift
        sizes = PixelSizes(plane_min_area=options.planar_min_area)
        if not options.quirks.fixed_pixel_sizes:
            sizes = sizes.at((depth.shape[2], depth.shape[3]))
        points = backproject(depth, batch.intrinsics)
        normals = surface_normals(points, sizes.normal_distance, shifted)
        aligned = align_normals(normals, batch.directions, epoch, sizes.top, sizes.border)
        offset, direction = plane_offset(points, aligned.aligned).detach(), aligned.aligned
        if options.segment_by == "colour":
            # Where all planes are alike, colour alone tells segments apart.
            offset, direction = torch.zeros_like(offset), torch.zeros_like(direction)
        segments = planar_segments(
            batch.target_input,
            direction,
            offset,
            shifted,
            sizes.segment_scale,
            sizes.segment_min_area,
            sizes.normal_distance,
        )
        mask = large_segments(segments, sizes.plane_min_area, sizes.border)
        terms = {}
        if options.normal > 0:
            terms["normal"] = manhattan_normal_loss(normals, aligned.aligned, aligned.mask & mask)
        if options.planar > 0:
            planes = planar_depth(depth, batch.intrinsics, segments)
            terms["planar"] = coplanar_loss(depth, planes, mask)
        return terms, segments.unsqueeze(1)

    def semantic_term(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy of B×C×H×W scores with B×H×W proxy labels."""
        quirks = self.options.quirks
        highest = int(labels.masked_fill(labels == IGNORED_LABEL, 0).max())
        if highest >= logits.shape[1]:
            raise ValueError(
                f"got proxy label {highest}, expected labels below {logits.shape[1]} (the "
                f"network's classes) or {IGNORED_LABEL}; prepare labels of the same label set, or "
                "change network.classes"
            )
        if quirks.ignored_wall_class:
            labels = labels.masked_fill(labels == 0, IGNORED_LABEL)
        scores = logits.float().softmax(1) if quirks.double_softmax else logits.float()
        share = _share_of_processes((labels != IGNORED_LABEL).sum())
        return semantic_cross_entropy(scores, labels, IGNORED_LABEL) * share

    def weighted_total(self, scalars: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum, and each task's learned factor.

        Learned (Kendall et al. 2018, with s the logarithm of a task's noise): exp(−s)·L + s for
        the depth terms, whose likelihood is Laplace's, exp(−s)·L + s/2 for the semantic one.
        """
        weights = {"photometric": 1.0} | {
            name: getattr(self.options, name) for name in scalars if name != "photometric"
        }
        weighted = {name: weights[name] * term for name, term in scalars.items()}
        semantic = weighted.pop("semantic", None)
        depth = torch.stack(list(weighted.values())).sum()
        if self.log_noise is None:
            return (depth if semantic is None else depth + semantic), {}
        factors = torch.exp(-self.log_noise)
        total = factors[0] * depth + self.log_noise[0]
        learned = {"depth": factors[0].detach()}
        if semantic is not None:
            total = total + factors[1] * semantic + self.log_noise[1] / 2
            learned["semantic"] = factors[1].detach()
        return total, learned


def _share_of_processes(count: Tensor) -> Tensor:
    """Return this process's count over the mean count of all processes, 1 for one process.

    Gradients are averaged over processes; a mean over uneven counts, multiplied by this, averages
    to the mean over the joined batch.
    """
    count = count.detach().float()
    if not (distributed.is_available() and distributed.is_initialized()):
        return torch.ones_like(count)
    total = count.clone()
    distributed.all_reduce(total)
    return count * distributed.get_world_size() / total.clamp(min=1.0)
