"""What fills holes beyond the sensor's range, and whether its sigma says how wrong it is.

    python benchmarks/far_holes.py FOLDERS

From every reference its farthest part is withheld, as if the sensor ended there, or blocks anywhere
for comparison; filled and network depth are scored on what was withheld. The scale comes from
references strictly before the frame. The filling of modes fill and fuse is the same.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from gam_depth_ros.core.config import EngineConfig, FusionConfig, PipelineConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.metrics import MAX_DEPTH_M, MIN_DEPTH_M
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.core.pipeline import PerceptionPipeline
from gam_depth_ros.core.sensor_fusion import SensorFusion
from gam_depth_ros.evaluation.bag import open_recording
from gam_depth_ros.evaluation.withholding import withhold_blocks

KINDS = ("blocks of 1/20", "blocks of 1/4", "far quarter", "far half")
FEWEST = 500  # pixels to score a frame by


def withheld(truth_m: np.ndarray, kind: str) -> np.ndarray:
    """The readings to be kept from the sensor, H×W bool."""
    width = truth_m.shape[1]
    if kind.startswith("blocks"):
        size_px = width // (20 if kind.endswith("20") else 4)
        return withhold_blocks(truth_m, size_px, 0.25, 1)[1]
    known = truth_m[truth_m > 0]
    return truth_m > np.quantile(known, 0.75 if kind == "far quarter" else 0.5)


def score(depth_m: np.ndarray, sigma_m: np.ndarray, truth_m: np.ndarray) -> tuple[float, ...]:
    """AbsRel, shares within one and two sigma, median of relative sigma; N values each."""
    off = np.abs(depth_m - truth_m)
    covered = (float(np.mean(off <= factor * sigma_m)) for factor in (1, 2))
    return (float(np.mean(off / truth_m)), *covered, float(np.median(sigma_m / depth_m)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=Path, nargs="+", help="with reference depth")
    parser.add_argument("--model", type=Path, default=None, help="ONNX file; default: shipped")
    parser.add_argument("--every", type=int, default=3, help="of the references, one is scored")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    engine = OnnxEngine(options.model or default_model_path(), EngineConfig(threads=1))
    print("AbsRel / within 1 sigma % / within 2 sigma % / sigma, share of depth: network, filled")
    for folder in options.recordings:
        pipeline, count = PerceptionPipeline(engine, PipelineConfig()), 0
        stages = {kind: SensorFusion(FusionConfig(mode="fill")) for kind in KINDS}
        found: dict[tuple[str, str], list[tuple[float, ...]]] = defaultdict(list)
        for frame in open_recording(folder).frames():
            seen = pipeline.process(frame)
            if frame.reference is None or not seen.scale.known:
                continue
            count += 1
            if count % options.every:
                continue
            truth_m = frame.reference.depth_m
            real = (truth_m > MIN_DEPTH_M) & (truth_m < MAX_DEPTH_M)
            for kind, stage in stages.items():
                hidden = withheld(truth_m, kind)
                kept = replace(frame.reference, depth_m=np.where(hidden, np.nan, truth_m))
                fused = stage.update(
                    frame.stamp_ns, seen.depth_m, seen.sigma_m, kept, frame.rgb
                )
                scored = hidden & real
                if scored.sum() < FEWEST:
                    continue
                for name, one in (("network", seen), ("filled", fused)):
                    figures = score(one.depth_m[scored], one.sigma_m[scored], truth_m[scored])
                    found[kind, name].append(figures)
        for kind in KINDS:
            cells = []
            for name in ("network", "filled"):
                rel, one, two, width = np.mean(found[kind, name], axis=0)
                cells.append(f"{rel:.3f} / {100 * one:.1f} / {100 * two:.1f} / {width:.2f}")
            print(f"{folder.name:22}{kind:16}{cells[0]:>30}{cells[1]:>30}", flush=True)


if __name__ == "__main__":
    main()
