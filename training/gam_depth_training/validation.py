"""Scores of a network on held-out synthetic frames, by the same metrics that judge recordings."""

from __future__ import annotations

import numpy as np
import torch

from gam_depth_ros.core.metrics import confusion_matrix, evaluate_depth, iou
from gam_depth_training.batch import Batch
from gam_depth_training.networks import LAPLACE_68, JointPrediction


class ValidationScore:
    """Collects frames and gives their mean scores.

    Args:
        classes: Number of semantic classes.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.reset()

    def reset(self) -> None:
        """Forget every frame."""
        self._errors: list[tuple[float, float, float]] = []
        self._covered: list[float] = []
        self._confusion = np.zeros((self.classes, self.classes), np.int64)

    def add(self, prediction: JointPrediction, batch: Batch) -> None:
        """Score a batch: depth by each frame's own median, labels, and sigma's coverage."""
        depth = prediction.depth.detach().float().cpu().numpy()[:, 0]
        sigma = LAPLACE_68 * prediction.log_b.detach().float().exp().cpu().numpy()[:, 0]
        truth = batch.depth_m.cpu().numpy()[:, 0]
        labels = prediction.logits.detach().argmax(1).to(torch.uint8).cpu().numpy()
        for index in range(len(truth)):
            errors = evaluate_depth(truth[index], depth[index])
            if errors is None:
                continue
            self._errors.append((errors.abs_rel, errors.rmse, errors.d1))
            valid = truth[index] > 0
            residual = np.log(depth[index][valid]) - np.log(truth[index][valid])
            inside = np.abs(residual - np.median(residual)) <= sigma[index][valid]
            self._covered.append(float(inside.mean()))
        self._confusion += confusion_matrix(
            batch.label.cpu().numpy().astype(np.uint8), labels, self.classes
        )

    def summary(self) -> dict[str, float]:
        """Return abs_rel, rmse (m), d1, miou and coverage_68; NaN where nothing was scored."""
        if not self._errors:
            return dict.fromkeys(("abs_rel", "rmse", "d1", "miou", "coverage_68"), float("nan"))
        abs_rel, rmse, d1 = np.mean(np.array(self._errors), axis=0)
        return {
            "abs_rel": float(abs_rel),
            "rmse": float(rmse),
            "d1": float(d1),
            "miou": float(np.nanmean(iou(self._confusion))),
            "coverage_68": float(np.mean(self._covered)),
        }
