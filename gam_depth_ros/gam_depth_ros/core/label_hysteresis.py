"""Labels that do not flip back and forth: a new one has to be surer than what is left of the old.

A kept label's confidence fades towards the chance that this frame leaves it; the frame's own label
takes over once it is ahead by a margin. A sure change passes within a frame or two, a doubtful
one has to be seen for longer.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def hold_labels(
    held: Labels,
    held_confidence: Floats,
    labels: Labels,
    confidence: Floats,
    known: npt.NDArray[np.bool_],
    fade: float,
    margin: float,
) -> tuple[Labels, Floats]:
    """Weigh this frame's labels against those held.

    Where both agree, confidence c follows the frame's: c + fade·(seen − c). Where they do not, the
    frame leaves at most 1 − seen for the held label, and c + fade·(min(c, 1 − seen) − c) remains;
    the frame's label replaces it where seen > c + margin.

    Args:
        held: H×W uint8 ids held, already moved to where their pixels are now.
        held_confidence: H×W float32, 0 to 1.
        labels: H×W uint8 ids of this frame.
        confidence: H×W float32, 0 to 1.
        known: H×W, where there is something held at all.
        fade: Weight of this frame, 0 to 1; see :func:`fade_of`.
        margin: Confidence by which another label must be ahead.

    Returns:
        Ids and their confidence.
    """
    agrees = held == labels
    target = np.where(agrees, confidence, np.minimum(held_confidence, 1.0 - confidence))
    kept = held_confidence + np.float32(fade) * (target - held_confidence)
    # Not "greater or equal" turned round: a confidence of NaN then keeps nothing.
    keeps = known & (agrees | (confidence <= kept + np.float32(margin)))
    return np.where(keeps, held, labels), np.where(keeps, kept, confidence).astype(np.float32)


def fade_of(elapsed_s: float, time_s: float) -> float:
    """Return the weight of a new frame, 0 to 1, after so long with this time constant."""
    return 1.0 - math.exp(-elapsed_s / time_s) if time_s > 0 else 1.0
