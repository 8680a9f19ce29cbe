"""What a training run is: dataclasses read from a YAML file, every default once, here."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from gam_depth_training.network_shape import NetworkShape

T = TypeVar("T")


@dataclass(frozen=True)
class AugmentationConfig:
    """The augmentation at full strength; each value is a half-width around no change.

    Attributes:
        brightness: Relative change of brightness.
        contrast: Relative change of contrast.
        saturation: Relative change of saturation.
        white_balance: Relative change of each colour channel.
        gamma: Change of the tone curve's exponent, in natural logarithm.
        noise: Largest standard deviation of additive noise, of full scale 1.
        blur_probability: Share of the pictures that are blurred slightly.
        crop: Smallest share of height and width that a random crop keeps.
    """

    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.4
    white_balance: float = 0.12
    gamma: float = 0.3
    noise: float = 0.03
    blur_probability: float = 0.2
    crop: float = 0.75


@dataclass(frozen=True)
class LossWeights:
    """Weights of the supervised terms.

    Attributes:
        depth: Absolute difference of log depth, after the best global factor.
        metric: Absolute difference of the global factor from one, in log.
        gradient: Differences of log depth between neighbours, over four scales.
        sigma: Laplace likelihood of the depth residual; moves sigma alone.
        semantic: Cross-entropy of the labels.
        taught_depth: Absolute difference of log depth from a teacher's.
        taught_sigma: Absolute difference of the logarithm of sigma from a teacher's.
        taught_semantic: Divergence of a teacher's classes (Kullback-Leibler).
    """

    depth: float = 1.0
    metric: float = 0.1
    gradient: float = 0.5
    sigma: float = 0.1
    semantic: float = 0.2
    taught_depth: float = 0.0
    taught_sigma: float = 0.0
    taught_semantic: float = 0.0

    @property
    def teach(self) -> bool:
        """Whether any term needs a teacher."""
        return bool(self.taught_depth or self.taught_sigma or self.taught_semantic)


@dataclass(frozen=True)
class StageConfig:
    """One part of the run, at one resolution.

    Attributes:
        name: For checkpoints and logs.
        size_hw: Network input, height and width, multiples of 32, 64 or more (reflection padding
            needs two pixels at the deepest feature).
        steps: Optimiser steps.
        batch_size: Frames a step.
        learning_rate: Peak of a one-cycle schedule.
        shared_decoder: One decoder with depth and semantic heads, a third cheaper; a later stage
            without it starts its semantic decoder from the shared one.
        augmentation_strength: Share of the augmentation at the stage's start and at its end; too
            much of it at first leaves a short training with nothing.
    """

    name: str
    size_hw: tuple[int, int]
    steps: int
    batch_size: int = 16
    learning_rate: float = 1e-3
    shared_decoder: bool = False
    augmentation_strength: tuple[float, float] = (0.25, 1.0)

    def __post_init__(self) -> None:
        if any(side % 32 or side < 64 for side in self.size_hw):
            raise ValueError(
                f"stage '{self.name}': got size {self.size_hw[0]}x{self.size_hw[1]}, expected "
                "multiples of 32 from 64 on; change size_hw"
            )


@dataclass(frozen=True)
class TrainingConfig:
    """A whole supervised run on synthetic shards.

    Attributes:
        name: Name of the model.
        stages: Run one after the other, each from the weights of the one before.
        seed: Seeds weights, order and augmentation.
        validation_shards: Shards, the first ones, kept from training.
        validate_every: Steps between validations.
        decoder_norm: Whether the decoders carry batch normalisation.
        optimizer: "adamw", or "muon": see gam_depth_training.muon.
        weight_decay: The optimiser's.
        ema_decay: Decay of the running mean of the weights, updated every fifth step; the mean is
            what is validated and exported. 0 keeps the weights themselves.
        loader_workers: Processes that prepare batches; 0 prepares them in the training process.
        augmentation: See AugmentationConfig.
        weights: See LossWeights; those of a teacher need one, see ``fit``.
        network: What the network is made of.
        precision: Of the arithmetic: "32-true"; "bf16-mixed" is for GPUs.
        decoders: How depth and semantics share a decoder, see JointNetwork; a stage with
            ``shared_decoder`` has one for both in spite of it.
    """

    name: str
    stages: tuple[StageConfig, ...]
    seed: int = 1
    validation_shards: int = 2
    validate_every: int = 500
    decoder_norm: bool = False
    optimizer: Literal["adamw", "muon"] = "adamw"
    weight_decay: float = 0.01
    ema_decay: float = 0.99
    loader_workers: int = 0
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    weights: LossWeights = field(default_factory=LossWeights)
    network: NetworkShape = field(default_factory=NetworkShape)
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    decoders: Literal["separate", "split_late"] = "separate"

    def __post_init__(self) -> None:
        if self.precision not in ("32-true", "16-mixed", "bf16-mixed"):
            raise ValueError(
                f"got precision '{self.precision}', expected 32-true, 16-mixed or bf16-mixed"
            )
        if self.decoders not in ("separate", "split_late"):
            raise ValueError(f"got decoders '{self.decoders}', expected separate or split_late")
        if self.decoders != "separate" and any(stage.shared_decoder for stage in self.stages):
            raise ValueError(
                f"got decoders '{self.decoders}' and a stage with shared_decoder, expected one of "
                "them: a shared decoder splits as a whole"
            )
        if self.optimizer not in ("adamw", "muon"):
            raise ValueError(f"got optimizer '{self.optimizer}', expected adamw or muon")

    def digest(self) -> str:
        """Return 12 hexadecimal digits that change with any setting.

        Settings that older releases did not have count only where they differ from what those
        releases did, so that their runs resume and their models' digests stand.
        """
        values = dataclasses.asdict(self)
        for name in ("network", "decoders", "precision"):
            if getattr(self, name) == getattr(_UNTOUCHED, name):
                del values[name]
        for name in ("taught_depth", "taught_sigma", "taught_semantic"):
            if not values["weights"][name]:
                del values["weights"][name]
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


_UNTOUCHED = TrainingConfig("", ())


def load_config(path: Path) -> TrainingConfig:
    """Read a training config.

    Raises:
        ValueError: One line naming the file, the key and what was expected.
    """
    data = read_yaml(path)
    if not isinstance(data, dict) or not isinstance(data.get("stages"), list):
        raise ValueError(f"{path}: expected a mapping with a list under 'stages'")
    try:
        stages = tuple(
            build_dataclass(StageConfig, {**stage, **_tuples(stage)})
            for stage in data.pop("stages")
        )
        augmentation = build_dataclass(AugmentationConfig, data.pop("augmentation", {}))
        weights = build_dataclass(LossWeights, data.pop("weights", {}))
        network = build_dataclass(NetworkShape, data.pop("network", {}))
        parts = {"augmentation": augmentation, "weights": weights, "network": network}
        return build_dataclass(TrainingConfig, {**data, "stages": stages, **parts})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def read_yaml(path: Path, expected: str = "a YAML file; see config/training/ for examples") -> Any:
    """Read a YAML file; raises ValueError, with what was expected, where it cannot be read."""
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path}: got {error.__class__.__name__} while reading it, expected {expected}"
        ) from error


def _tuples(stage: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    names = ("size_hw", "augmentation_strength")
    return {name: tuple(stage[name]) for name in names if name in stage}


def build_dataclass(kind: type[T], values: dict[str, Any]) -> T:
    """Build a dataclass from a mapping; raises ValueError naming a key that it does not have."""
    known = {entry.name for entry in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(
            f"got unknown key '{unknown[0]}', expected one of {', '.join(sorted(known))}"
        )
    return kind(**values)
