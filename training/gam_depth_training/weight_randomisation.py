"""Is it the weights that an explanation explains? They are randomised, and it has to change.

Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018: an influence map that stays as it
was when layer after layer forgets what it learnt shows edges of the picture, not the network.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn

from gam_depth_training.networks import JointNetwork


def cascade(network: JointNetwork, seed: int = 0) -> Iterator[tuple[str, JointNetwork]]:
    """Yield a network that forgets from its outputs towards the picture, part after part.

    The values within each weight tensor change places: their distribution stays, so that answers
    keep their size, and what was learnt goes.

    Args:
        network: The trained network; it stays as it is.
        seed: Of the permutation.

    Yields:
        What was randomised last, and a copy with that and all before it randomised; the last one
        is random as a whole.
    """
    forgetting = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(seed)
    for name, modules in _parts(forgetting):
        for module in modules:
            shuffle_weights(module, generator)
        yield name, copy.deepcopy(forgetting)


@torch.no_grad()
def shuffle_weights(module: nn.Module, generator: torch.Generator) -> None:
    """Permute the values within each weight tensor; biases and norms stay, they place nothing."""
    for weights in module.parameters():
        if weights.dim() > 1:
            order = torch.randperm(weights.numel(), generator=generator)
            weights.copy_(weights.flatten()[order].view_as(weights))


def _parts(network: JointNetwork) -> Iterator[tuple[str, list[nn.Module]]]:
    """Yield name and modules of each part, from the outputs to the picture; no weight twice."""
    yield "heads", [network.disparity_head, network.sigma_head, network.semantic_head]
    decoders = network.depth_decoder, network.semantic_decoder, network.attention
    yield "decoders", [module for module in decoders if module is not None]
    for name, module in reversed(list(_encoder_layers(network.encoder))):
        if any(weights.dim() > 1 for weights in module.parameters()):
            yield f"encoder {name}", [module]


def _encoder_layers(encoder: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the encoder's layers in the order that a picture passes them."""
    for name, module in encoder.named_children():
        if isinstance(module, nn.ModuleList):
            yield from ((f"{name}.{index}", part) for index, part in enumerate(module))
        else:
            yield name, module
