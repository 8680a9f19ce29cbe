"""Scores of depth on recordings with reference depth, by the protocol of the literature."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torch.utils.data import IterableDataset

from gam_depth_ros.core.metrics import DepthErrors, evaluate_depth, mean_errors
from gam_depth_training.clip import Clip
from gam_depth_training.evaluation_frames import (
    EvaluationFrame,
    EvaluationRules,
    read_evaluation_frame,
)
from gam_depth_training.geometry import disparity_to_depth

logger = logging.getLogger(__name__)

DEFAULT_RULES = EvaluationRules()


class ReferenceFrames(IterableDataset[EvaluationFrame]):
    """The readable targets of clips that have reference depth.

    Args:
        clips: Clips; those without depth are left out.
        rules: How predictions are compared with the reference.
        limit: At most so many frames, evenly thinned; None takes all.

    Raises:
        ValueError: not one clip has reference depth.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        rules: EvaluationRules = DEFAULT_RULES,
        limit: int | None = None,
    ) -> None:
        chosen = [clip for clip in clips if clip.depth is not None]
        if not chosen:
            raise ValueError(
                f"validation: got {len(clips)} frames, none with reference depth, expected depth/ "
                "in the sequence folders; record a depth sensor, or leave --validation out"
            )
        if limit is not None and len(chosen) > limit:
            picked = np.linspace(0, len(chosen) - 1, limit).round().astype(int)
            chosen = [chosen[index] for index in picked]
        self.clips = chosen
        self.rules = rules

    def thinned(self, limit: int) -> ReferenceFrames:
        """Return at most so many of the frames, evenly chosen."""
        return ReferenceFrames(self.clips, self.rules, limit)

    def __iter__(self) -> Iterator[EvaluationFrame]:
        for clip in self.clips:
            try:
                yield read_evaluation_frame(clip, self.rules)
            except ValueError as error:  # UnreadableFrameError and CameraError: one line each
                logger.warning("left out of validation: %s", error)


def network_input(rgb: npt.NDArray[np.uint8], size_hw: tuple[int, int]) -> Tensor:
    """Resize H×W×3 uint8 with Lanczos' window to 1×3×h×w float32 in [0, 1]."""
    height, width = size_hw
    if rgb.shape[:2] != size_hw:
        picture = Image.fromarray(np.ascontiguousarray(rgb))
        rgb = np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1).unsqueeze(0).float() / 255.0


def score_disparity(
    disparity: Tensor, depth_m: npt.NDArray[np.float32], rules: EvaluationRules = DEFAULT_RULES
) -> DepthErrors | None:
    """Score one prediction as the paper's code does.

    The disparity is brought to the reference's size by nearest interpolation, its depth scaled by
    the ratio of medians, and clipped.

    Args:
        disparity: 1×H×W network output in (0, 1).
        depth_m: h×w metres, NaN where unknown.
        rules: Range to clip to.

    Returns:
        The errors, None if no pixel has reference depth.
    """
    resized = functional.interpolate(disparity.detach().float().unsqueeze(0), depth_m.shape)
    depth = disparity_to_depth(resized)[0, 0].cpu().numpy()
    return evaluate_depth(depth_m, depth, min_depth=rules.clip_m[0], max_depth=rules.clip_m[1])


class DepthScore:
    """Collects the errors of frames, each with the same weight."""

    def __init__(self) -> None:
        self._errors: list[tuple[str, DepthErrors]] = []

    def add(
        self,
        disparity: Tensor,
        frame: EvaluationFrame,
        rules: EvaluationRules = DEFAULT_RULES,
    ) -> None:
        """Score the 1×1×H×W disparity of a frame's picture.

        Raises:
            ValueError: it is NaN or infinite somewhere, which a mean over the rest would hide.
        """
        if not torch.isfinite(disparity).all():
            raise ValueError(
                f"frame {frame.key}: got a disparity that is not finite, expected numbers; the "
                "weights are broken: take those of an earlier checkpoint"
            )
        errors = score_disparity(disparity[0], frame.depth_m, rules)
        if errors is not None:
            self._errors.append((frame.group, errors))

    def summary(self, group: str | None = None) -> dict[str, float]:
        """Return the means over all frames, or over a room's, by metric; empty for no frame."""
        mean = mean_errors([e for name, e in self._errors if group in (None, name)])
        return {} if mean is None else asdict(mean)

    @property
    def groups(self) -> list[str]:
        """The rooms, by name."""
        return sorted({name for name, _ in self._errors})

    def count(self, group: str | None = None) -> int:
        """Return the number of frames scored."""
        return sum(group in (None, name) for name, _ in self._errors)


def score_network(
    network: torch.nn.Module,
    frames: Iterable[EvaluationFrame],
    size_hw: tuple[int, int],
    rules: EvaluationRules = DEFAULT_RULES,
) -> DepthScore:
    """Score a network whose prediction has a ``disparity``; it is left in the mode it was in."""
    score = DepthScore()
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    with torch.no_grad():
        for frame in frames:
            image = network_input(frame.rgb, size_hw).to(device)
            score.add(network(image).disparity, frame, rules)
    network.train(was_training)
    return score
