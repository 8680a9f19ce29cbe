"""Uncertainty by self-teaching: a student learns how far a trained network can be foretold.

Source: Poggi et al. 2020, On the uncertainty of self-supervised monocular depth estimation.
Photometric errors know depth only together with the camera's motion; what a trained network says
of a picture is depth alone, and so is the uncertainty that is learnt from it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from gam_depth_training.file_digest import file_digest
from gam_depth_training.losses import laplace_nll
from gam_depth_training.networks import JointPrediction
from gam_depth_training.objective import Terms
from gam_depth_training.objective_options import ObjectiveOptions
from gam_depth_training.recipe import Recipe
from gam_depth_training.trained_network import Teacher, distillation, load_network


class NoMotion(nn.Module):
    """Stands for the pose networks of a student, who sees one picture at a time and needs none."""

    residual_passes = 0


def load_teacher(recipe: Recipe) -> Teacher:
    """Load a recipe's teacher.

    Raises:
        ValueError: none is named, the file cannot be read, or its classes are not the student's.
    """
    if recipe.teacher is None:
        raise ValueError(
            f"recipe {recipe.name}: got no teacher, expected the weights of a trained network; "
            "give --teacher FILE"
        )
    path = Path(recipe.teacher)
    network = load_network(path)
    if network.classes != recipe.network.classes:
        raise ValueError(
            f"{path}: got a teacher of {network.classes} classes, expected "
            f"{recipe.network.classes} as recipe {recipe.name}; --set "
            f"network.classes={network.classes}"
        )
    return Teacher(network)


def teacher_digest(recipe: Recipe) -> str | None:
    """Return 12 hexadecimal digits of the teacher's file, None where a recipe names none.

    Raises:
        ValueError: the file cannot be read.
    """
    if recipe.teacher is None:
        return None
    try:
        return file_digest(Path(recipe.teacher))[:12]
    except OSError as error:
        raise ValueError(
            f"{recipe.teacher}: got {error.__class__.__name__} while reading it, expected the "
            "teacher's weights; give --teacher FILE"
        ) from error


def self_teaching_terms(
    student: JointPrediction,
    teacher: JointPrediction,
    target: Tensor,
    options: ObjectiveOptions,
    epoch: int,
) -> Terms:
    """Say what a student's answer costs beside its teacher's.

    The likelihood (Poggi et al. 2020, here in log depth, so that an error of 1 % costs the same
    near and far) is the mean of |ln d − ln d_T|/b + ln b over all pixels. As in the paper it moves
    the student's depth as well as its b: for any b a pixel's best depth is its teacher's, and
    there is no other term to learn it from. With a depth that stayed behind, b would measure how
    little was learnt. The price is that depth learns slowest where b is large. The scale is the
    teacher's and no median is taken out: it is one for the whole training, not one a picture.

    Args:
        student: Its answer on the changed picture, with gradients.
        teacher: The frozen answer on the same picture as recorded, without.
        target: The picture as recorded, B×3×H×W, to be shown.
        options: The semantic term's weight and its end; the others are 0.
        epoch: Counts from 0.

    Returns:
        "likelihood", which falls below 0 where b is below 1, and "semantic".
    """
    residual = student.depth.log() - teacher.depth.log()
    log_b = student.log_b.float()
    everywhere = torch.ones_like(residual, dtype=torch.bool)
    total = likelihood = laplace_nll(residual, log_b, everywhere)
    scalars = {"likelihood": likelihood}
    pictures = {
        "target": target,
        "depth": student.depth,
        "teacher_depth": teacher.depth,
        "error": residual.abs(),
        "sigma": log_b.exp(),
    }
    if options.has_semantic(epoch):
        scalars["semantic"] = distillation(student.logits, teacher.logits)
        total = likelihood + options.semantic * scalars["semantic"]
        pictures["labels"] = teacher.logits.argmax(1, keepdim=True)
        pictures["prediction"] = student.logits.argmax(1, keepdim=True)
    return Terms(scalars, total, {name: seen.detach() for name, seen in pictures.items()}, {})
