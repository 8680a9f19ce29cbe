"""Which terms a method of training without labels has, what they weigh, and when they end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gam_depth_training.quirks import OfficialQuirks

Photometric = Literal["mean", "gradient_mask", "adaptive_mask", "keypoints"]
MinimumOver = Literal["all", "distance"]
SegmentBy = Literal["geometry", "colour"]
TaskWeighting = Literal["fixed", "homoscedastic"]


@dataclass(frozen=True)
class ObjectiveOptions:
    """Which terms a method has and how much each counts; a weight of 0 leaves a term out.

    The weights are the official code's. The paper's table has smoothness and semantic the other
    way round, most likely by mistake: smoothness of 0.001 is also StructDepth's.

    Attributes:
        photometric: How the minimum reprojection error is averaged: "mean"; "gradient_mask",
            weighted by the paper's mask; "adaptive_mask", by a mask that follows the picture's own
            gradients; "keypoints", over the key points alone.
        auto_mask: Whether the minimum also runs over the unwarped sources, which ignores pixels
            that do not move (Godard et al. 2019). The paper has no such sources.
        minimum_over: "all": one minimum over all sources. "distance": the sum of a minimum for
            each temporal distance, as StructDepth has it.
        photometric_factor: Multiplies the error under the paper's mask, whose floor is 0.1. The
            adaptive mask is divided by its mean instead: it only says where to look, not how much
            the term counts.
        photometric_likelihood: Whether the error e counts as e/b + ln b, the network's sigma output
            taken as ln b: a learned uncertainty without labels, the "Log" baseline of Poggi et al.
            (2020). Its b is then an error of colours, not of log depth, and 1/b weighs the term
            against the others. A mask says as before how much a pixel counts, which moves no
            pixel's best b.
        smoothness: Weight of the edge-aware smoothness of disparity.
        normal: Weight of the Manhattan-normal loss.
        planar: Weight of the co-planar loss.
        semantic: Weight of the cross-entropy with the proxy labels.
        semantic_until_epoch: First epoch (from 0) without the semantic term; None keeps it.
        segment_by: What planar segments follow: "geometry", colour joined with normals and plane
            offsets (StructDepth, GAM-Depth), or "colour" alone (P²Net).
        planar_min_area: Segments of at most so many pixels of 288×384 are no planes; P²Net's is
            1000. At other sizes see PixelSizes.
        task_weighting: "fixed", or "homoscedastic": the weights between the depth terms and the
            semantic term are learned (Kendall et al. 2018).
        quirks: What the official code does otherwise than the paper.
    """

    photometric: Photometric = "gradient_mask"
    auto_mask: bool = False
    minimum_over: MinimumOver = "all"
    photometric_factor: float = 10.0
    photometric_likelihood: bool = False
    smoothness: float = 0.001
    normal: float = 0.05
    planar: float = 0.1
    semantic: float = 0.1
    semantic_until_epoch: int | None = 15
    segment_by: SegmentBy = "geometry"
    planar_min_area: int = 200
    task_weighting: TaskWeighting = "fixed"
    quirks: OfficialQuirks = field(default_factory=OfficialQuirks)

    def __post_init__(self) -> None:
        for name, choices in (
            ("photometric", Photometric),
            ("minimum_over", MinimumOver),
            ("segment_by", SegmentBy),
            ("task_weighting", TaskWeighting),
        ):
            value, expected = getattr(self, name), choices.__args__
            if value not in expected:
                raise ValueError(
                    f"got {name} '{value}', expected one of {', '.join(expected)}; change the "
                    "recipe"
                )
        for name in ("photometric_factor", "smoothness", "normal", "planar", "semantic"):
            if not getattr(self, name) >= 0:
                raise ValueError(
                    f"got a weight {name} of {getattr(self, name)}, expected 0 or more; change "
                    "the recipe"
                )
        if self.photometric_likelihood and self.task_weighting == "homoscedastic":
            raise ValueError(
                "got photometric_likelihood with homoscedastic task_weighting, expected one of "
                "them: a learned weight of a term that falls below 0 grows without end; change "
                "the recipe"
            )

    def has_semantic(self, epoch: int) -> bool:
        """Say whether the semantic term is on in an epoch, counted from 0."""
        until = self.semantic_until_epoch
        return self.semantic > 0 and (until is None or epoch < until)
