"""What a training without labels is: one method as dataclasses, read from a YAML file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from gam_depth_training.config import build_dataclass
from gam_depth_training.objective import ObjectiveOptions
from gam_depth_training.quirks import OfficialQuirks

Decoders = Literal["separate", "shared", "split_late"]
PoseEncoder = Literal["own", "shared"]
Method = Literal["self_supervised", "self_teaching"]
Precision = Literal["32-true", "16-mixed", "bf16-mixed"]


@dataclass(frozen=True)
class NetworkOptions:
    """The shape of the networks.

    Attributes:
        classes: Semantic classes; 13 is the label set that the robot's models carry (NYU-13).
        decoders: "separate" for depth and semantics; "shared", one with two heads; "split_late",
            shared early and separate late.
        cross_task_attention: Whether each decoder sees the other's features through a gate.
        pose_encoder: Whether the residual poses have an encoder of their "own" or "shared" with
            the first ones.
        residual_passes: How often the poses are refined on the warped pictures (MonoIndoor).
    """

    classes: int = 13
    decoders: Decoders = "separate"
    cross_task_attention: bool = False
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
        learning_rate: Adam's, at the start.
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
            None.
        imagenet: File of torchvision's ResNet-18 weights for the encoders, or None.
        freeze_stem_and_batchnorm: Whether the depth encoder's first convolution and the
            statistics of its normalisations stay as they are.
        encoder_rate_factor: Multiplies the learning rate of the depth encoder.
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
    pose_first_steps: int = 0
    replay_share: float = 0.0
    guard: float = 0.02

    def __post_init__(self) -> None:
        _expect("method", self.method, Method.__args__)
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
        for name in ("ema_decay", "replay_share"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise ValueError(f"got {name} {value}, expected from 0 to below 1")
        for name in ("batch_size", "epochs", "max_steps", "learning_rate", "validate_every"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"got {name} {getattr(self, name)}, expected more than 0")

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


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    A file may name another as its ``base``, relative to itself, and then says only what differs.

    Args:
        path: YAML file, see config/training/.
        overrides: Changes on top, each ``key=value`` with dots into the parts, as in
            ``objective.smoothness=0.01``; values are YAML.

    Raises:
        ValueError: One line naming the file, the key and what was expected.
    """
    try:
        values = _read(path)
        for override in overrides:
            _merge(values, _parse_override(override))
        return _recipe_from(values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def is_recipe(path: Path) -> bool:
    """Say whether a training config is a recipe: supervised ones have a list of ``stages``.

    Raises:
        ValueError: the file cannot be read.
    """
    return "stages" not in _read_yaml(path)


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write every setting of a recipe, defaults too, so that a run's folder says what it was."""
    plain = json.loads(json.dumps(dataclasses.asdict(recipe)))
    path.write_text(yaml.safe_dump(plain, sort_keys=False))


def _read(path: Path, depth: int = 0) -> dict[str, Any]:
    values = _read_yaml(path)
    base = values.pop("base", None)
    if base is None:
        return values
    if depth > 4:
        raise ValueError("got more than 5 files each based on the next, expected a short chain")
    merged = _read(path.parent / str(base), depth + 1)
    _merge(merged, values)
    return merged


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path}: got {error.__class__.__name__} while reading it, expected a YAML file; "
            "see config/training/ for examples"
        ) from error
    if not isinstance(values, dict):
        raise ValueError(f"{path}: got no mapping, expected keys and values")
    return values


def _merge(values: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, change in changes.items():
        if isinstance(change, dict) and isinstance(values.get(key), dict):
            _merge(values[key], change)
        else:
            values[key] = change


def _parse_override(text: str) -> dict[str, Any]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise ValueError(f"got override '{text}', expected key=value, as in batch_size=4")
    try:
        change: Any = _numbers(yaml.safe_load(value))
    except yaml.YAMLError as error:
        raise ValueError(f"got override '{text}', expected a YAML value after '='") from error
    for part in reversed(key.split(".")):
        change = {part: change}
    assert isinstance(change, dict)
    return change


def _numbers(value: Any) -> Any:
    """Turn "1e-4", text for YAML 1.1, into the number that was meant."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _recipe_from(values: dict[str, Any]) -> Recipe:
    values = {key: _numbers(value) if key != "name" else value for key, value in values.items()}
    network = build_dataclass(NetworkOptions, _part(values, "network"))
    objective = _part(values, "objective")
    quirks = objective.pop("quirks", {})
    objective["quirks"] = (
        OfficialQuirks.official()
        if quirks == "official"
        else build_dataclass(OfficialQuirks, quirks)
    )
    for name in ("offsets", "size_hw", "milestones"):
        if name in values:
            values[name] = tuple(int(value) for value in values[name])
    if "name" not in values:
        raise ValueError("got no 'name', expected one")
    terms = build_dataclass(ObjectiveOptions, objective)
    return build_dataclass(Recipe, {**values, "network": network, "objective": terms})


def _part(values: dict[str, Any], name: str) -> dict[str, Any]:
    part = values.pop(name, {})
    if not isinstance(part, dict):
        raise ValueError(f"got {name} '{part}', expected keys and values under it")
    return {key: _numbers(value) for key, value in part.items()}


def _expect(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"got {name} '{value}', expected one of {', '.join(choices)}")
