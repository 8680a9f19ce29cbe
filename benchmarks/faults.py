"""What goes wrong in a fault run: references and pictures that are spoilt for a while."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from cached_engine import CachedEngine

from gam_depth_ros.core.frame import Frame, ReferenceDepth
from gam_depth_ros.core.model_spec import NetworkOutput
from gam_depth_ros.evaluation.withholding import withhold_blocks

SHIFT_PX = 40
OBSTACLE_M = 1.0
# Rows and columns of the obstacle, as shares of the picture.
OBSTACLE = (0.3, 0.65), (0.38, 0.62)
BRIGHTER, DARKER = 2.5, 0.15
BLOCK_PX, BLOCK_SHARE, BLOCK_SEED = 32, 0.25, 1
SCORED = (slice(None, None, 4), slice(None, None, 4))

Depth = np.ndarray
Picture = np.ndarray


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        name: For table and figure.
        spoil_depth: From the reference now and the last good one to what is delivered, metres;
            None for no reference at all.
        spoil_picture: From the picture to what the camera delivers.
        in_network: The obstacle is put into the network's output as well.
        obstacle: The scene itself changes: truth is the reference as delivered.
    """

    name: str
    spoil_depth: Callable[[Depth, Depth], Depth | None] | None = None
    spoil_picture: Callable[[Picture], Picture] | None = None
    in_network: bool = False
    obstacle: bool = False

    @property
    def of_reference(self) -> bool:
        """Whether the sensor is at fault and the picture is as it was."""
        return self.spoil_picture is None


def place(size_hw: tuple[int, int]) -> tuple[slice, slice]:
    """Where the obstacle is in an image."""
    (top, bottom), (left, right) = OBSTACLE
    rows = slice(round(top * size_hw[0]), round(bottom * size_hw[0]))
    return rows, slice(round(left * size_hw[1]), round(right * size_hw[1]))


def _garbage(now: Depth, _: Depth) -> Depth:
    seed = int(np.nansum(now))
    return np.random.default_rng(seed).uniform(0.3, 6.0, now.shape).astype(np.float32)


def _shifted(now: Depth, _: Depth) -> Depth:
    moved = np.full_like(now, np.nan)
    moved[:, SHIFT_PX:] = now[:, :-SHIFT_PX]
    return moved


def _with_obstacle(now: Depth, _: Depth) -> Depth:
    changed = now.copy()
    changed[place(now.shape)] = OBSTACLE_M
    return changed


def _pasted(rgb: Picture) -> Picture:
    where = place(rgb.shape[:2])
    height, width = rgb[where].shape[:2]
    coarse = np.random.default_rng(5).integers(30, 226, (height // 14, width // 14, 3), np.uint8)
    changed = rgb.copy()
    changed[where] = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return changed


def _exposed(gain: float) -> Callable[[Picture], Picture]:
    """Scale the light: pictures are taken to be of gamma 2.2."""
    levels = 255.0 * np.clip(gain * (np.arange(256) / 255.0) ** 2.2, 0.0, 1.0) ** (1 / 2.2)
    return lambda rgb: np.asarray(cv2.LUT(rgb, levels.round().astype(np.uint8)), np.uint8)


NONE = Fault("none")
FAULTS = (
    Fault("reference removed", lambda now, before: None),
    Fault("reference garbage", _garbage),
    Fault(f"reference shifted {SHIFT_PX} px", _shifted),
    Fault("reference ×1000", lambda now, before: now * np.float32(1000)),
    Fault("reference frozen", lambda now, before: before),
    Fault("camera covered, black", spoil_picture=np.zeros_like),
    Fault("camera covered, grey", spoil_picture=lambda rgb: np.full_like(rgb, 128)),
    Fault(f"exposure ×{BRIGHTER:g}", spoil_picture=_exposed(BRIGHTER)),
    Fault(f"exposure ×{DARKER:g}", spoil_picture=_exposed(DARKER)),
    Fault("obstacle at 1 m, pasted", _with_obstacle, _pasted, obstacle=True),
    Fault("obstacle at 1 m, seen", _with_obstacle, _pasted, in_network=True, obstacle=True),
)


@dataclass(frozen=True)
class Shown:
    """What the pipeline gets, and what its answer is held against.

    Attributes:
        frame: To process.
        truth_m: Every fourth pixel of the reference that a working sensor delivers, NaN where it
            must not be scored; None without a reference.
    """

    frame: Frame
    truth_m: Depth | None


def shown(
    frame: Frame, fault: Fault | None, last_good_m: Depth | None, withheld: bool
) -> Shown:
    """Spoil a frame.

    Args:
        frame: As recorded.
        fault: What is wrong with it now; None for nothing.
        last_good_m: The reference delivered before the fault began.
        withheld: Keep blocks from the pipeline and score in them alone, as fusion needs it.
    """
    rgb = frame.rgb
    clean_m = frame.reference.depth_m if frame.reference else None
    spoil = None if fault is None else fault.spoil_depth
    if fault is not None and fault.spoil_picture is not None:
        rgb = fault.spoil_picture(rgb)
    if clean_m is not None and spoil is not None and fault is not None and fault.obstacle:
        clean_m, spoil = spoil(clean_m, clean_m), None
    delivered_m = clean_m
    if clean_m is not None and delivered_m is not None and withheld:
        delivered_m, hidden = _without_blocks(clean_m)
        clean_m = np.where(hidden, clean_m, np.float32(np.nan))
    if spoil is not None and delivered_m is not None:
        assert last_good_m is not None
        delivered_m = spoil(delivered_m, last_good_m)
        # Once more: a shift moves readings into the blocks.
        if delivered_m is not None and withheld:
            delivered_m, _ = _without_blocks(delivered_m)
    reference = None
    if delivered_m is not None:
        reference = ReferenceDepth(delivered_m, frame.stamp_ns, frame.frame_id)
    truth_m = None if clean_m is None else clean_m[SCORED]
    return Shown(replace(frame, rgb=rgb, reference=reference), truth_m)


def _without_blocks(depth_m: Depth) -> tuple[Depth, np.ndarray]:
    return withhold_blocks(depth_m, BLOCK_PX, BLOCK_SHARE, BLOCK_SEED)


class ObstacleEngine(CachedEngine):
    """The network, into whose output the obstacle can be put: what a better one would have seen.

    Attributes:
        depth: The obstacle's depth up to scale; None while there is none.
    """

    depth: float | None = None

    def run(self, batch: np.ndarray) -> NetworkOutput:
        """Return the answer to a 1×h×w×3 uint8 RGB batch."""
        answer = super().run(batch)
        if self.depth is None:
            return answer
        depth = answer.depth.copy()
        depth[place(depth.shape)] = self.depth
        return replace(answer, depth=depth)
