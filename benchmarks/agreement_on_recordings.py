"""Are depth's errors larger where depth and semantics disagree on a boundary?

    python benchmarks/agreement_on_recordings.py FOLDERS

For each recording with reference depth: the 68.3 % quantile of |error of log depth| / sigma, with
each frame's median offset taken away, near boundaries that both outputs have, near those that one
has alone, and elsewhere. Well-calibrated sigma gives the same everywhere.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from gam_depth_ros.core.agreement import boundary_agreement
from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.engine import Engine, OnnxEngine
from gam_depth_ros.core.health_config import AgreementConfig
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.core.model_spec import NetworkOutput
from gam_depth_ros.core.preprocessing import prepare
from gam_depth_ros.evaluation.bag import open_recording

PLACES = ("everywhere", "both", "depth alone", "label alone", "elsewhere")
RANGE_M = (0.3, 10.0)
FEWEST_PIXELS = 20
LEVEL = 0.683
Scored = tuple[float, dict[str, np.ndarray]]


def shares_of_error(
    output: NetworkOutput, truth_m: np.ndarray, config: AgreementConfig
) -> Scored:
    """The score of a frame, and |error| / sigma of its pixels by place.

    Under ``error``, ``sigma`` and ``widened``: those of the pixels with truth.
    """
    height, width = output.depth.shape
    truth = cv2.resize(truth_m, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    known = (truth >= RANGE_M[0]) & (truth <= RANGE_M[1])
    error = np.log(output.depth) - np.log(np.where(known, truth, 1.0))
    error = np.abs(error - np.median(error[known]))
    ratio = error / output.sigma
    found = boundary_agreement(output.depth, output.label, config)
    # The same again with nothing to agree with marks every boundary.
    plain = np.zeros_like(output.label)
    steps = boundary_agreement(output.depth, plain, config).depth_only
    borders = boundary_agreement(np.ones_like(output.depth), output.label, config).label_only
    alone = found.depth_only | found.label_only
    masks = {
        "everywhere": known,
        "both": known & (steps | borders) & ~alone,
        "depth alone": known & found.depth_only,
        "label alone": known & found.label_only & ~found.depth_only,
        "elsewhere": known & ~(steps | borders),
    }
    values = {name: ratio[mask] for name, mask in masks.items()}
    values["error"], values["sigma"] = error[known], output.sigma[known]
    values["widened"] = (output.sigma * found.sigma_factor)[known]
    return found.score, values


def interval_score(error: np.ndarray, sigma: np.ndarray) -> float:
    """Mean of 2w + 2/α max(|r| − w, 0), w = k sigma, k such that 68.3 % are covered.

    Gneiting & Raftery (2007), "Strictly proper scoring rules": less is better.
    """
    half_width = np.quantile(error / sigma, LEVEL) * sigma
    beyond = np.maximum(error - half_width, 0.0)
    return float(np.mean(2 * half_width + 2 / (1 - LEVEL) * beyond))


def report(name: str, scored: list[Scored]) -> None:
    """One line of the table."""
    pooled = defaultdict(list)
    for _, ratios in scored:
        for place, values in ratios.items():
            pooled[place].append(values)
    cells = []
    total = sum(len(values) for values in pooled["everywhere"])
    for place in PLACES:
        values = np.concatenate(pooled[place])
        enough = len(values) >= FEWEST_PIXELS
        width = np.quantile(values, LEVEL) if enough else np.nan
        cells.append(f"{width:8.2f} ({100 * len(values) / total:4.1f} %)")
    score = np.nanmean([score for score, _ in scored])
    error, sigma, widened = (np.concatenate(pooled[k]) for k in ("error", "sigma", "widened"))
    before, after = interval_score(error, sigma), interval_score(error, widened)
    row = "".join(f"{cell:>18}" for cell in cells)
    print(f"{name:24}{len(scored):5d}{score:8.2f}{row}{before:9.4f}{after:9.4f}")


def outputs(engine: Engine, path: Path, most: int) -> list[tuple[NetworkOutput, np.ndarray]]:
    """What the network says to the frames of a recording that have reference depth."""
    found = []
    for frame in open_recording(path).frames():
        if frame.reference is not None and len(found) < most:
            output = engine.run(prepare(frame.rgb, engine.spec.input_size_hw))
            found.append((output, frame.reference.depth_m[::2, ::2].copy()))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path, nargs="+", help="sequence folders or bags")
    parser.add_argument("--model", type=Path, default=default_model_path())
    parser.add_argument("--frames", type=int, default=150, help="most frames of a recording")
    usual = AgreementConfig()
    parser.add_argument("--steps", type=float, nargs="+", default=[usual.depth_step])
    parser.add_argument("--tolerances", type=int, nargs="+", default=[usual.tolerance_px])
    options = parser.parse_args()
    cv2.setNumThreads(1)
    engine = OnnxEngine(options.model, EngineConfig(threads=1))
    seen = {path.name: outputs(engine, path, options.frames) for path in options.recordings}
    head = "".join(f"{place:>18}" for place in PLACES)
    print("68.3 % quantile of |error| / sigma (and share of the pixels)")
    for step in options.steps:
        for tolerance in options.tolerances:
            config = AgreementConfig(depth_step=step, tolerance_px=tolerance)
            print(f"\nstep {step}, tolerance {tolerance} px")
            ends = f"{'interval':>9}{'widened':>9}"
            print(f"{'':24}{'n':>5}{'score':>8}{head}{ends}")
            for name, frames in seen.items():
                if frames:
                    report(name, [shares_of_error(*frame, config) for frame in frames])


if __name__ == "__main__":
    main()
