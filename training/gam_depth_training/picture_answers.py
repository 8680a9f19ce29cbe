"""What a model file says to good pictures, and to the same pictures made bad."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.engine import Engine, OnnxEngine
from gam_depth_ros.core.frame_health import (
    FIGURES,
    OUT_OF_DISTRIBUTION,
    frame_quantities,
    label_shares,
)
from gam_depth_ros.core.picture_statistics import picture_statistics
from gam_depth_ros.core.preprocessing import prepare
from gam_depth_training.picture_faults import FAULTS, Fault

FAULTY_EVERY = 16
_DEPTH_RANGE_M = (0.3, 10.0)
_LEAST_KNOWN_SHARE = 0.05


@dataclass(frozen=True)
class ReferencePicture:
    """A good picture, with depth where a sensor or a renderer gave it.

    Attributes:
        rgb: H×W×3 uint8.
        depth_m: H×W float, metres; 0 or NaN where unknown. None without.
    """

    rgb: npt.NDArray[np.uint8]
    depth_m: npt.NDArray[np.floating] | None = None


Groups = Mapping[str, Iterable[ReferencePicture]]


@dataclass(frozen=True)
class Answer:
    """What was measured of one picture, good or made bad.

    Attributes:
        figures: Value of each condition's figure but the frozen and the unfamiliar one.
        quantities: What drift watches.
        shares: Share of the pixels of each class.
        features: C pooled features; None where the model gives none.
        spread: 68.3 % quantile of |residual of log depth| / sigma; NaN without depth.
        fault: What was done to the picture; None for a good one.
    """

    figures: dict[str, float]
    quantities: dict[str, float]
    shares: npt.NDArray[np.float64]
    features: npt.NDArray[np.float32] | None
    spread: float
    fault: Fault | None = None


def ask(engine: Engine, picture: ReferencePicture, fault: Fault | None = None) -> Answer:
    """Run the model on a picture and measure both; ``fault`` is only noted."""
    batch = prepare(picture.rgb, engine.spec.input_size_hw)
    output = engine.run(batch)
    seen = picture_statistics(batch[0])
    spread = float("nan")
    if picture.depth_m is not None:
        spread = spread_of(output.depth, output.sigma, picture.depth_m)
    return Answer(
        figures={name: float(getattr(seen, figure)) for name, (figure, _) in FIGURES.items()},
        quantities=frame_quantities(seen, output),
        shares=label_shares(output.label, len(engine.spec.labels)),
        features=output.features,
        spread=spread,
        fault=fault,
    )


def spread_of(
    depth: npt.NDArray[np.floating],
    sigma: npt.NDArray[np.floating],
    truth_m: npt.NDArray[np.floating],
) -> float:
    """Return how wide errors are against sigma: the 68.3 % quantile of |r| / sigma.

    r is the residual of log depth after the frame's median, which the scale would take away.

    Args:
        depth: h×w, up to scale.
        sigma: h×w, of log depth.
        truth_m: H×W metres, 0 or NaN where unknown; taken at the nearest pixel.
    """
    height, width = depth.shape
    rows = (np.arange(height) * truth_m.shape[0] + truth_m.shape[0] // 2) // height
    columns = (np.arange(width) * truth_m.shape[1] + truth_m.shape[1] // 2) // width
    truth = np.asarray(truth_m, np.float32)[np.ix_(rows, columns)]
    with np.errstate(invalid="ignore"):
        known = (truth >= _DEPTH_RANGE_M[0]) & (truth <= _DEPTH_RANGE_M[1])
    if np.count_nonzero(known) < _LEAST_KNOWN_SHARE * truth.size:
        return float("nan")
    residual = np.log(depth[known]) - np.log(truth[known])
    residual -= np.median(residual)
    return float(np.quantile(np.abs(residual) / sigma[known], 0.683))


def measure(
    model_path: Path, groups: Groups, faulty_every: int = FAULTY_EVERY, seed: int = 0
) -> dict[str, list[Answer]]:
    """Ask the model about every picture, and about some made bad in every way.

    Args:
        model_path: The ONNX file.
        groups: Pictures by group; read one at a time.
        faulty_every: Every n-th picture of a group, from the first on, is also made bad.
        seed: Of the faults' noise.

    Returns:
        Answers by group.
    """
    engine = OnnxEngine(model_path, EngineConfig(threads=1, warmup_runs=0))
    found: dict[str, list[Answer]] = {}
    for group, pictures in groups.items():
        rng = np.random.default_rng(seed)
        answers = []
        for index, picture in enumerate(pictures):
            answers.append(ask(engine, picture))
            if index % faulty_every == 0:
                answers += [ask_faulty(engine, picture, fault, rng) for fault in FAULTS]
        found[group] = answers
    return found


def ask_faulty(
    engine: Engine, picture: ReferencePicture, fault: Fault, rng: np.random.Generator
) -> Answer:
    """Run the model on a picture made bad."""
    rgb = fault.apply(picture.rgb, rng)
    # A turned picture has its truth elsewhere, another picture has none.
    depth_m = None if fault.condition == OUT_OF_DISTRIBUTION else picture.depth_m
    return ask(engine, ReferencePicture(rgb, depth_m), fault)
