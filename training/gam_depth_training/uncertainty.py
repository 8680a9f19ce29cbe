"""Depth with its uncertainty by several methods, compared on recordings with reference depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from gam_depth_training.evaluation_frames import EvaluationFrame
from gam_depth_training.networks import LAPLACE_68, JointNetwork
from gam_depth_training.uncertainty_scores import UncertaintyScore
from gam_depth_training.video_validation import DEFAULT_RULES, EvaluationRules, network_input

# Depth, up to scale, and half-width of log depth, B×1×H×W each, of B×3×H×W pictures in [0, 1].
Method = Callable[[Tensor], tuple[Tensor, Tensor]]
# Any will do: one factor for all pictures follows.
CONSTANT_SIGMA_LOG = 0.1


def own_uncertainty(network: JointNetwork, image: Tensor) -> tuple[Tensor, Tensor]:
    """Return depth and what the network's sigma output says: half of the 68.3 % interval.

    Of a network trained by the photometric likelihood sigma is an error of colours; as an order of
    pixels, and after a factor, it is compared all the same.

    Args:
        network: In evaluation mode.
        image: B×3×H×W in [0, 1].
    """
    prediction = network(image)
    return prediction.depth, LAPLACE_68 * prediction.log_b.exp()


def flip_uncertainty(network: JointNetwork, image: Tensor) -> tuple[Tensor, Tensor]:
    """Return depth and how far the mirrored picture's log depth, mirrored back, lies from it.

    The "Post" baseline of Poggi et al. 2020: two passes, no training. Depth is the picture's own,
    not the mean of both, so that other uncertainties of the same network are judged on the same
    errors.

    Args:
        network: In evaluation mode.
        image: B×3×H×W in [0, 1].
    """
    depth = network(image).depth
    mirrored = network(image.flip(-1)).depth.flip(-1)
    return depth, (depth.log() - mirrored.log()).abs()


def constant_uncertainty(network: JointNetwork, image: Tensor) -> tuple[Tensor, Tensor]:
    """Return depth and the same sigma of log depth everywhere: what any other has to beat."""
    depth = network(image).depth
    return depth, torch.full_like(depth, CONSTANT_SIGMA_LOG)


def compare_uncertainty(
    methods: Mapping[str, Method],
    frames: Iterable[EvaluationFrame],
    size_hw: tuple[int, int],
    rules: EvaluationRules = DEFAULT_RULES,
) -> dict[str, UncertaintyScore]:
    """Score each method on the same pixels of the same pictures.

    Depth and sigma come to the reference's size by nearest neighbour, as depth is scored.

    Args:
        methods: By name.
        frames: Pictures with reference depth, each room's in temporal order.
        size_hw: Network input.
        rules: Range to clip to.
    """
    scores = {name: UncertaintyScore(rules.clip_m) for name in methods}
    for frame in frames:
        image = network_input(frame.rgb, size_hw)
        for name, method in methods.items():
            with torch.no_grad():
                answer = torch.cat(method(image), 1).float()
            depth, sigma_log = functional.interpolate(answer, frame.depth_m.shape)[0].numpy()
            scores[name].add(frame.depth_m, depth, sigma_log, frame.group)
    return scores
