"""Structured pruning: a thinner network of the same layout, with the channels that matter most.

A channel matters by the scale of the normalisations that write it (Liu et al. 2017, Network
Slimming), or by the size of its kernels where there is none (Li et al. 2017). Channels that a
shortcut adds, or that several layers read, stay or go together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gam_depth_training.decoder import ConvBlock, Decoder
from gam_depth_training.edge_encoder import EdgeEncoder, RepBlock, RepBranches
from gam_depth_training.encoder import BasicBlock
from gam_depth_training.network_shape import NetworkShape
from gam_depth_training.networks import Decoders, JointNetwork, has_decoder_norm

# Convolutions take channels in eights: fewer in the last eight cost the same.
CHANNEL_STEP = 8


@dataclass
class Slices:
    """Which outputs and inputs a layer keeps, gathered layer by layer.

    Attributes:
        layers: By the layer, its kept outputs and inputs; None for inputs that are all kept and
            for normalisations.
    """

    layers: list[tuple[nn.Module, Tensor, Tensor | None]]

    def keep(
        self, layer: nn.Module, out: Tensor, incoming: Tensor | None, norm: nn.Module | None
    ) -> None:
        """Note a convolution and, where there is one, the normalisation behind it."""
        self.layers.append((layer, out, incoming))
        if isinstance(norm, nn.BatchNorm2d):
            self.layers.append((norm, out, None))


def thinner(shape: NetworkShape, width: float) -> NetworkShape:
    """Return a shape with about ``width`` times the channels, in eights.

    Raises:
        ValueError: a width that is not above 0 and at most 1.
    """
    if not 0.0 < width <= 1.0:
        raise ValueError(f"got width {width}, expected above 0 and at most 1")

    def fewer(channels: Sequence[int]) -> tuple[int, ...]:
        steps = (max(1, round(width * count / CHANNEL_STEP)) for count in channels)
        return tuple(
            min(count, CHANNEL_STEP * step) for count, step in zip(channels, steps, strict=True)
        )

    return dataclasses.replace(
        shape,
        encoder_channels=fewer(shape.encoder_channels),
        depth_channels=fewer(shape.depth_channels),
        semantic_channels=fewer(shape.semantic_channels),
    )


@torch.no_grad()
def prune(network: JointNetwork, width: float) -> JointNetwork:
    """Return a thinner network with the weights of the channels that matter most.

    Args:
        network: Trained, with its branches; it stays as it is.
        width: Share of the channels to keep.

    Raises:
        ValueError: a width out of range, or decoders that look at each other.
    """
    if network.attention is not None:
        raise ValueError(
            "got a network with cross_task_attention, expected one without; train it without"
        )
    shape = thinner(network.shape, width)
    pruned = JointNetwork(
        network.classes,
        _decoders(network),
        decoder_norm=has_decoder_norm(network.state_dict()),
        shape=shape,
    )
    names = {module: name for name, module in network.named_modules()}
    targets = dict(pruned.named_modules())
    for layer, out, incoming in _slices(network, shape).layers:
        _copy(layer, targets[names[layer]], out, incoming)
    return pruned.train(network.training)


def _decoders(network: JointNetwork) -> Decoders:
    own = network.semantic_decoder
    if own is None:
        return "shared"
    return "split_late" if own.first_step else "separate"


def _copy(source: nn.Module, target: nn.Module, out: Tensor, incoming: Tensor | None) -> None:
    for name, value in source.state_dict().items():
        kept = value[out] if value.ndim else value
        if value.ndim == 4 and incoming is not None:
            kept = kept[:, incoming]
        # A state dict's tensors are the module's own.
        target.state_dict()[name].copy_(kept)


def _slices(network: JointNetwork, shape: NetworkShape) -> Slices:
    found = Slices([])
    encoder = network.encoder
    if isinstance(encoder, EdgeEncoder):
        features = _edge(encoder, shape.encoder_channels, found)
    else:
        features = _resnet(encoder, shape.encoder_channels, found)
    depth = _decoder(network.depth_decoder, shape.depth_channels, features, features[-1], found)
    semantic = depth
    own = network.semantic_decoder
    if own is not None:
        start = depth[own.first_step - 1] if own.first_step else features[-1]
        semantic = _decoder(own, shape.semantic_channels, features, start, found)
    for head, seen in (
        (network.disparity_head, depth[-1]),
        (network.sigma_head, depth[-1]),
        (network.semantic_head, semantic[-1]),
    ):
        found.keep(head.conv, torch.arange(head.conv.out_channels), seen, None)
    return found


def _resnet(encoder: nn.Module, widths: Sequence[int], found: Slices) -> list[Tensor]:
    layers = [getattr(encoder, f"layer{index}") for index in range(1, 5)]
    # The stem's channels run through the first layer's shortcuts.
    stem = _strongest([encoder.bn1, *(block.bn2 for block in layers[0])], widths[0])
    found.keep(encoder.conv1, stem, None, encoder.bn1)
    features, incoming = [stem], stem
    for index, layer in enumerate(layers):
        kept = stem
        if index:
            kept = _strongest(
                [norm for block in layer for norm in _written_by(block)], widths[index + 1]
            )
        for block in layer:
            inner = _strongest([block.bn1], widths[index + 1])
            found.keep(block.conv1, inner, incoming, block.bn1)
            found.keep(block.conv2, kept, inner, block.bn2)
            if block.downsample is not None:
                found.keep(block.downsample[0], kept, incoming, block.downsample[1])
            incoming = kept
        features.append(kept)
    return features


def _written_by(block: BasicBlock) -> list[nn.Module]:
    return [block.bn2] if block.downsample is None else [block.bn2, block.downsample[1]]


def _edge(encoder: EdgeEncoder, widths: Sequence[int], found: Slices) -> list[Tensor]:
    incoming = _strongest([encoder.bn1], widths[0])
    found.keep(encoder.conv1, incoming, None, encoder.bn1)
    features = [incoming]
    for stage, width in zip(encoder.stages, widths[1:], strict=True):
        bodies = _bodies(stage)
        kept = _strongest([body.norm for body in bodies], width)
        for body in bodies:
            found.keep(body.wide, kept, incoming, body.wide_norm)
            found.keep(body.point, kept, incoming, body.norm)
            incoming = kept
        features.append(kept)
    return features


def _bodies(stage: Iterable[nn.Module]) -> list[RepBranches]:
    bodies = [block.body for block in stage if isinstance(block, RepBlock)]
    whole = [body for body in bodies if isinstance(body, RepBranches)]
    if len(whole) != len(bodies):
        raise ValueError("got folded blocks, expected branches; prune before the export")
    return whole


def _decoder(
    decoder: Decoder,
    channels: Sequence[int],
    features: Sequence[Tensor],
    incoming: Tensor,
    found: Slices,
) -> list[Tensor]:
    """Return the kept channels after each step; those of another decoder's stand for its own."""
    after: list[Tensor] = [incoming] * decoder.first_step
    for step in range(decoder.first_step, decoder.steps):
        width = channels[-1 - step]
        first = decoder.before[step - decoder.first_step]
        second = decoder.after[step - decoder.first_step]
        kept = _strongest_of(first, width)
        found.keep(first.conv, kept, incoming, first.bn)
        if step < Decoder.STEPS - 1:
            joined = torch.cat((kept, first.conv.out_channels + features[3 - step]))
        else:
            joined = kept
        incoming = _strongest_of(second, width)
        found.keep(second.conv, incoming, joined, second.bn)
        after.append(incoming)
    return after


def _strongest_of(block: ConvBlock, count: int) -> Tensor:
    if isinstance(block.bn, nn.BatchNorm2d):
        return _strongest([block.bn], count)
    return _highest(block.conv.weight.abs().sum((1, 2, 3)), count)


def _strongest(writers: Sequence[nn.BatchNorm2d], count: int) -> Tensor:
    return _highest(torch.stack([norm.weight.abs() for norm in writers]).sum(0), count)


def _highest(scores: Tensor, count: int) -> Tensor:
    """Return the positions of the highest scores, rising; of equal ones the first."""
    order = torch.argsort(scores, descending=True, stable=True)
    return order[:count].sort().values
