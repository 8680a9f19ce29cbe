"""What a training without labels is: one method as dataclasses, see recipe_file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import Literal

from gam_depth_training.objective import ObjectiveOptions

Decoders = Literal["separate", "shared", "split_late"]
PoseEncoder = Literal["own", "shared"]
Method = Literal["self_supervised", "self_teaching"]
Optimizer = Literal["adam", "muon"]
Precision = Literal["32-true", "16-mixed", "bf16-mixed"]
_WHOLE = ("batch_size", "epochs", "max_steps", "validate_every", "pose_first_steps", "seed")
# Settings of a recipe that may not be negative. A NaN is refused too.
_FROM_ZERO = (
    "gamma",
    "gradient_clip",
    "encoder_rate_factor",
    "pose_rate_factor",
    "pose_first_steps",
    "guard",
)


@dataclass(frozen=True)
class NetworkOptions:
    """The shape of the networks.

    Attributes:
        classes: Semantic classes; 13 is the label set that the robot's models carry (NYU-13).
        decoders: "separate" for depth and semantics; "shared", one with two heads; "split_late",
            shared early and separate late.
        cross_task_attention: Whether each decoder sees the other's features through a gate.
        decoder_norm: Whether the decoders carry batch normalisation, see networks.ConvBlock; None:
            where the weights to start from do, and not, as in the paper, where there are none.
        pose_encoder: Whether the residual poses have an encoder of their "own" or "shared" with
            the first ones.
        residual_passes: How often the poses are refined on the warped pictures (MonoIndoor).
    """

    classes: int = 13
    decoders: Decoders = "separate"
    cross_task_attention: bool = False
    decoder_norm: bool | None = None
    pose_encoder: PoseEncoder = "own"
    residual_passes: int = 1

    def __post_init__(self) -> None:
        _expect("decoders", self.decoders, Decoders.__args__)
        _expect("pose_encoder", self.pose_encoder, PoseEncoder.__args__)
        if self.classes < 1 or self.residual_passes < 0:
            raise ValueError(
                f"network: got {self.classes} classes and {self.residual_passes} residual passes, "
                "expected at least 1 and 0"
            )


@dataclass(frozen=True)
class Recipe:
    """One method of training, whole; every default is the paper's, or its code's.

    Attributes:
        name: Name of the recipe, for logs and checkpoints.
        method: "self_supervised", from what neighbouring frames show of each other; or
            "self_teaching", from what a trained network says of each frame (Poggi et al. 2020).
        teacher: File of that network's weights, for self-teaching alone; None as long as the user
            has not named it.
        network: See NetworkOptions.
        objective: Terms, weights and schedule of the losses. Self-teaching has its likelihood and
            of these the semantic term alone, in which the teacher's scores are the labels.
        offsets: Temporal offsets of a clip's frames in rising order, 0 the target, in units of
            the recording's frame gap. Self-teaching may do with [0].
        size_hw: Network input, height and width, multiples of 32 from 64 on.
        batch_size: Clips of one optimiser step, over all devices together.
        epochs: Passes over the clips.
        max_steps: Optimiser steps of the run in place of whole epochs, or None; the schedule
            still counts epochs.
        optimizer: "adam", the paper's; or "muon", see there: on 800 clips pose networks alone
            brought the held-out photometric error from 0.191 to 0.165 (Adam: 0.176).
        learning_rate: At the start.
        milestones: Epochs from which the rate is lower, each time by ``gamma``.
        gamma: See ``milestones``.
        precision: "32-true", "16-mixed" or "bf16-mixed".
        gradient_clip: Largest norm of the gradient; 0 clips nothing.
        ema_decay: Decay of the running mean of the weights, which is then what is validated and
            kept; 0 keeps the weights themselves.
        seed: Seeds weights, order, flips and jitter.
        flip: Whether to mirror every second clip.
        jitter: Whether to change the colours of every second clip.
        validate_every: Steps between validations.
        start: File of weights to start from (``weights.pt`` or a checkpoint of this program), or
            None. Where it holds no pose networks, their encoders start as the depth encoder.
        imagenet: File of torchvision's ResNet-18 weights for the encoders, or None.
        freeze_stem_and_batchnorm: Whether the depth encoder's first convolution and the
            statistics of its normalisations stay as they are.
        encoder_rate_factor: Multiplies the learning rate of the depth encoder.
        pose_rate_factor: Multiplies the learning rate of the pose networks.
        pose_first_steps: Steps at the start in which the pose networks alone learn.
        replay_share: Share of a batch's pictures that are synthetic rooms with their truth.
        guard: Largest relative loss on the old validation split at which a finetuned model may
            still be exported.
    """

    name: str
    method: Method = "self_supervised"
    teacher: str | None = None
    network: NetworkOptions = field(default_factory=NetworkOptions)
    objective: ObjectiveOptions = field(default_factory=ObjectiveOptions)
    offsets: tuple[int, ...] = (-2, -1, 0, 1, 2)
    size_hw: tuple[int, int] = (288, 384)
    batch_size: int = 16
    epochs: int = 50
    max_steps: int | None = None
    optimizer: Optimizer = "adam"
    learning_rate: float = 1e-4
    milestones: tuple[int, ...] = (25, 35)
    gamma: float = 0.1
    precision: Precision = "32-true"
    gradient_clip: float = 0.0
    ema_decay: float = 0.0
    seed: int = 123
    flip: bool = True
    jitter: bool = True
    validate_every: int = 500
    start: str | None = None
    imagenet: str | None = None
    freeze_stem_and_batchnorm: bool = False
    encoder_rate_factor: float = 1.0
    pose_rate_factor: float = 1.0
    pose_first_steps: int = 0
    replay_share: float = 0.0
    guard: float = 0.02

    def __post_init__(self) -> None:
        _expect("method", self.method, Method.__args__)
        _expect("optimizer", self.optimizer, Optimizer.__args__)
        _expect("precision", self.precision, Precision.__args__)
        self._check_teaching()
        if any(side % 32 or side < 64 for side in self.size_hw):
            raise ValueError(
                f"got size {self.size_hw[0]}x{self.size_hw[1]}, expected multiples of 32 from 64 "
                "on; change size_hw"
            )
        rising = sorted(set(self.offsets))
        needed = 2 if self.method == "self_supervised" else 1
        if list(self.offsets) != rising or 0 not in rising or len(rising) < needed:
            raise ValueError(
                f"got offsets {list(self.offsets)}, expected rising ones with 0, the target, and "
                "at least one other, as in [-1, 0, 1]"
            )
        for name in _WHOLE:
            value = getattr(self, name)
            if value is not None and not isinstance(value, int):
                raise ValueError(f"got {name} {value}, expected a whole number")
        for name in ("ema_decay", "replay_share"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise ValueError(f"got {name} {value}, expected from 0 to below 1")
        for name in ("batch_size", "epochs", "max_steps", "learning_rate", "validate_every"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"got {name} {value}, expected more than 0")
        for name in _FROM_ZERO:
            if not getattr(self, name) >= 0:
                raise ValueError(f"got {name} {getattr(self, name)}, expected 0 or more")

    def _check_teaching(self) -> None:
        terms = self.objective
        if self.method == "self_supervised":
            if self.teacher is not None:
                raise ValueError(
                    f"got teacher {self.teacher} with method self_supervised, expected none; take "
                    "config/training/self_teaching.yaml"
                )
            return
        if terms.smoothness or terms.normal or terms.planar or self.pose_first_steps:
            raise ValueError(
                f"method self_teaching: got smoothness {terms.smoothness}, normal {terms.normal}, "
                f"planar {terms.planar}, pose_first_steps {self.pose_first_steps}, expected 0 for "
                "each: the teacher is all that a student learns from"
            )
        if terms.task_weighting != "fixed" or terms.photometric_likelihood:
            raise ValueError(
                f"method self_teaching: got task_weighting {terms.task_weighting} and "
                f"photometric_likelihood {terms.photometric_likelihood}, expected fixed and false"
            )

    def total_steps(self, clips: int) -> int:
        """Return the optimiser steps of the whole run over so many clips."""
        return self.max_steps or self.epochs * self.steps_per_epoch(clips)

    def steps_per_epoch(self, clips: int) -> int:
        """Return the whole batches of an epoch, at least one."""
        return max(1, clips // self.batch_size)

    def learning_rate_factor(self, epoch: int) -> float:
        """Return what multiplies the learning rate in an epoch, counted from 0."""
        return math.prod(self.gamma for milestone in self.milestones if epoch >= milestone)

    def digest(self) -> str:
        """Return 12 hexadecimal digits that change with any setting."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _expect(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"got {name} '{value}', expected one of {', '.join(choices)}")
