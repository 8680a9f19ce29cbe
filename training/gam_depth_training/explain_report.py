"""An explanation from gradients as a page, and the words for how it was made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.labels import LabelSet
from gam_depth_ros.evaluation.explain_page import Wording, write_explanation
from gam_depth_training.attention_gates import Gate
from gam_depth_training.explain import Explained, ExplainOptions

NAMES = {
    "integrated": "Integrated gradients (Sundararajan et al. 2017)",
    "smooth": "SmoothGrad times difference from the baseline (Smilkov et al. 2017)",
    "gradient": "Gradient times difference from the baseline (Simonyan et al. 2014)",
}
_PALE = 0.35  # of the picture under a gate, to see where it is open

Image = npt.NDArray[np.uint8]


def write_explained(
    explained: Explained,
    rgb: Image,
    labels: LabelSet,
    about: dict[str, Any],
    out: Path,
    options: ExplainOptions,
    randomised: Mapping[str, float],
) -> tuple[dict[str, Any], tuple[Path, Path]]:
    """Write ``explain.json`` and ``explain.html``, gates included.

    Args:
        explained: The explanation.
        rgb: H×W×3 uint8, the picture.
        labels: The network's label set.
        about: ``source`` and ``model``.
        out: The directory; made if need be.
        options: How it was made.
        randomised: From :func:`~gam_depth_training.explain.randomised_correlations`; empty where
            it was not asked for.

    Returns:
        The content of the JSON file, and the paths of it and of the page.

    Raises:
        BagError: ``out`` cannot be made.
    """
    weighed = explained.influence
    extra = {
        **about,
        "method": options.method,
        "steps": options.gradients,
        "fill": options.fill,
        "size_hw": list(options.size_hw),
        "baseline_score": weighed.baseline_score,
        "sum": float(weighed.pixels.sum()),
        "gates": [
            {
                "name": gate.name,
                "mean": float(gate.opening.mean()),
                "low": float(np.percentile(gate.opening, 5.0)),
                "high": float(np.percentile(gate.opening, 95.0)),
                "share": gate.share,
            }
            for gate in explained.gates
        ],
        "randomised": {
            part: value if math.isfinite(value) else None for part, value in randomised.items()
        },
    }
    return write_explanation(
        explained.found,
        rgb,
        labels,
        extra,
        out,
        _wording(explained, options, randomised),
        [(f"Gate: {gate.name}", gate_picture(gate, rgb)) for gate in explained.gates],
    )


def gate_picture(gate: Gate, rgb: Image) -> Image:
    """Return H×W×3 uint8: the picture lit where a gate is open, dark where it is shut."""
    height, width = rgb.shape[:2]
    opening = cv2.resize(gate.opening, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    white = 255.0 * (1.0 - _PALE)
    return np.asarray(opening * (_PALE * rgb + white), np.uint8)


def _wording(
    explained: Explained, options: ExplainOptions, randomised: Mapping[str, float]
) -> Wording:
    found, weighed = explained.found, explained.influence
    answer = (
        "The answer is the mean log depth of the region, up to scale: what moves the whole "
        "picture's depth moves it too."
        if found.quantity == "depth"
        else "The answer is the mean of the label's log odds over the region."
    )
    baseline = (
        "its mean colour" if options.fill == "mean" else f"a blur of {options.patch_px} pixels"
    )
    change = weighed.score - weighed.baseline_score
    parts = [
        f"{NAMES[options.method]}, {options.gradients} gradients at "
        f"{options.size_hw[1]}×{options.size_hw[0]}; the baseline is {baseline}. {answer}",
        f"From baseline to picture it moves by {change:+.4f}, the contributions add up to "
        f"{weighed.pixels.sum():+.4f}.",
    ]
    parts += [
        f"Gate {gate.name}: {100 * gate.opening.mean():.0f} % open, what comes through is "
        f"{100 * gate.share:.1f} % of the feature."
        for gate in explained.gates
    ]
    if randomised:
        falls = ", ".join(f"{part} {value:+.2f}" for part, value in randomised.items())
        parts.append(
            f"Rank correlation with the map of a network that forgets, outputs first: {falls}."
        )
    return Wording(
        lead=f"What a patch of {found.patch_px} pixels of the network's input contributes to the "
        f"{found.quantity} of the marked region, by the network's gradients, is what the place "
        "weighs.",
        method=" ".join(parts),
    )
