"""Networks that have been trained, as files and as teachers."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from gam_depth_training.networks import JointNetwork, JointPrediction
from gam_depth_training.start_weights import network_part, read_state

logger = logging.getLogger(__name__)


def load_network(weights: Path) -> JointNetwork:
    """Load what ``fit`` wrote, weights or a checkpoint of a recipe.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        network = JointNetwork.from_state(network_part(read_state(weights)))
    except ValueError as error:
        raise ValueError(
            f"{weights}: got {str(error).splitlines()[0]}, expected weights written by "
            "`gam-depth-train fit`"
        ) from error
    return network.eval()


def start_from(network: JointNetwork, weights: Path, name: str) -> None:
    """Give a network the weights that another one has learnt.

    Where both are of one shape it takes them all; where only the encoders are, it takes the
    encoder, and its decoders and heads start anew.

    Args:
        network: What is to learn.
        weights: Of :func:`load_network`.
        name: Of what is to learn, for messages.

    Raises:
        ValueError: the file holds something else, or an encoder of another shape.
    """
    found = load_network(weights)
    ours, theirs = network.state_dict(), found.state_dict()
    if network.shape == found.shape and _sizes(ours) == _sizes(theirs):
        network.load_state_dict(theirs)
        return
    try:
        network.encoder.load_state_dict(found.encoder.state_dict())
    except RuntimeError as error:
        raise ValueError(
            f"{weights}: got weights that do not fit, not even the encoder's, expected those of "
            f"the network of {name} or of one with its encoder"
        ) from error
    logger.info("%s: of another shape; the encoder starts from it, decoders anew", weights)


def _sizes(state: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in state.items()}


class Teacher:
    """A trained network that answers and never changes.

    No module: so it is neither trained nor put into training mode, and no checkpoint of its
    student carries it.

    Args:
        network: The trained network; it is frozen here.
    """

    def __init__(self, network: JointNetwork) -> None:
        self.network = network.eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, image: Tensor) -> JointPrediction:
        """Predict from B×3×H×W in [0, 1], where the image is; without a gradient."""
        return self.network.to(image.device)(image)


def taught_terms(student: JointPrediction, teacher: JointPrediction) -> dict[str, Tensor]:
    """Return what a student's answer costs beside its teacher's, unweighted, by name.

    The teacher knows every pixel, those too where the truth is unknown, and its scale is one for
    all pictures: nothing is masked and no median is taken out.

    Args:
        student: Its answer on the picture as the training changed it, with gradients.
        teacher: The frozen answer on the picture as it was, without.
    """
    return {
        "taught_depth": (student.depth.log() - teacher.depth.log()).abs().mean(),
        "taught_sigma": (student.log_b.float() - teacher.log_b.float()).abs().mean(),
        "taught_semantic": distillation(student.logits, teacher.logits),
    }


def distillation(logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Mean divergence (Kullback-Leibler) of a teacher's classes from a student's; a scalar.

    The soft cross-entropy less the teacher's own entropy: 0 where the student says the same.

    Args:
        logits: B×C×H×W scores before softmax.
        teacher_logits: The teacher's, same shape.
    """
    divergence = functional.kl_div(
        logits.float().log_softmax(1),
        teacher_logits.float().log_softmax(1),
        reduction="none",
        log_target=True,
    )
    return divergence.sum(1).mean()
