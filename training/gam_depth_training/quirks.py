"""Where the published GAM-Depth code departs from the paper or from what it means to compute."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class OfficialQuirks:
    """Each known quirk of the official code (commit b5404f1) as a switch; all off by default.

    Off means what the paper says or, where it is silent, what is mathematically right. What is no
    switch: ties of the identity minimum, which the code breaks by noise of 1e-5, go to the
    identity, so that a run can be repeated; the float64 magnitude does not make the loss float64;
    crops, flips and resizes keep pixel centres (see frame_geometry); and ScanNet is scored with the
    network that was trained, where the code's script doubles features bilinearly, not by nearest:
    ``validate --bilinear`` does so.

    Attributes:
        batch_broadcasting: The B×H×W minimum times the B×1×H×W mask gives B×B×H×W: every
            picture's error is weighted by every picture's mask. Right: each by its own.
        identity_minimum: The minimum runs over the unwarped sources too (monodepth2's auto-mask).
            The paper's minimum runs over the warped sources alone.
        misaligned_corners: Pixel coordinates are scaled for ``align_corners=True``, the sampling
            runs with False: up to half a pixel of shift at the borders. Right: both True.
        forward_pose_product: Poses over several frames are multiplied in temporal order. Right:
            in reverse, as the first motion acts on the point first.
        normal_shift: The valid normals are padded with six rows above and six columns at right,
            so that the normal of (row, column) lies at (row+3, column−3). Right: three all round.
        swapped_grey_weights: RGB pictures are turned grey with BGR weights: 0.114 R + 0.587 G +
            0.299 B. Right: 0.299 R + 0.587 G + 0.114 B.
        double_softmax: The cross-entropy takes softmax maps for scores and applies softmax again,
            which leaves a weak gradient. Right: scores.
        ignored_wall_class: The cross-entropy ignores label 0, which is the wall in NYU-40 (in the
            robot's NYU-13 it is the bed). Right: only unlabelled pixels are ignored.
        per_frame_jitter: Colour jitter is drawn anew for each frame of a clip. Right: one draw
            for the whole clip.
        fixed_pixel_sizes: Distances and areas of the plane terms are so many pixels at any size of
            the input. Right: as many of the picture as they are at 288×384.
        unjittered_residual_source: The residual pose network compares the jittered target with a
            warped source that is not jittered. Right: both look alike.
    """

    batch_broadcasting: bool = False
    identity_minimum: bool = False
    misaligned_corners: bool = False
    forward_pose_product: bool = False
    normal_shift: bool = False
    swapped_grey_weights: bool = False
    double_softmax: bool = False
    ignored_wall_class: bool = False
    per_frame_jitter: bool = False
    fixed_pixel_sizes: bool = False
    unjittered_residual_source: bool = False

    @classmethod
    def official(cls) -> OfficialQuirks:
        """All quirks on: what the official code computes."""
        return cls(**{field.name: True for field in fields(cls)})
