"""What fusion makes of a sensor's readings, against the exact depth of synthetic recordings.

    gam-depth-train synth --out DIR --sequences 2 --frames 40 --seed 7301
    python benchmarks/fusion_on_synthetic.py DIR/*

Every recording is seen by a Kinect and by a RealSense, simulated from its exact depth with noise,
shadows and holes on screens and windows. The scale comes from references strictly before the frame.
Pixels with a reading, all of them and those beside a step in depth, and holes are scored apart.
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
from gam_depth_ros.core.frame import ReferenceDepth
from gam_depth_ros.core.metrics import MAX_DEPTH_M, MIN_DEPTH_M
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.core.pipeline import PerceptionPipeline
from gam_depth_ros.core.sensor_fusion import SensorFusion
from gam_depth_ros.evaluation.bag import open_recording
from gam_depth_ros.evaluation.sample import Sample
from gam_depth_training.synthetic.depth_noise import SENSORS, sensor_depth

MODES = ("network", "fill", "fuse")
PLACES = ("readings", "beside a step", "holes")
STEP_LOG, BESIDE_PX = 0.1, 5
Figures = dict[tuple[str, str], list[tuple[float, float, float]]]


def seen_by(sensor: str, sample: Sample, seed: int) -> Sample:
    """The sample with what a sensor shows of its exact depth."""
    frame = sample.frame
    millimetres = sensor_depth(
        SENSORS[sensor],
        sample.exact_depth_m,
        sample.labels,
        frame.rgb,
        np.random.default_rng(seed),
    )
    depth_m = np.where(millimetres > 0, millimetres / np.float32(1000), np.float32(np.nan))
    reference = ReferenceDepth(depth_m.astype(np.float32), frame.stamp_ns, frame.frame_id)
    return replace(sample, frame=replace(frame, reference=reference))


def places(exact_m: np.ndarray, sensor_m: np.ndarray) -> dict[str, np.ndarray]:
    """Where to score, H×W bool each."""
    known = (exact_m > MIN_DEPTH_M) & (exact_m < MAX_DEPTH_M)
    log_depth = np.log(np.where(known, exact_m, 1)).astype(np.float32)
    box = np.ones((BESIDE_PX, BESIDE_PX), np.uint8)
    step = cv2.dilate(log_depth, box) - cv2.erode(log_depth, box) > STEP_LOG
    read = known & (sensor_m > 0)
    return dict(zip(PLACES, (read, read & step, known & ~read), strict=True))


def score(
    depth_m: np.ndarray, sigma_m: np.ndarray | None, exact_m: np.ndarray
) -> tuple[float, float, float]:
    """AbsRel, RMSE in metres, share within one sigma; N pixels each."""
    off = np.abs(depth_m - exact_m)
    inside = float("nan") if sigma_m is None else float(np.mean(off <= sigma_m))
    return float(np.mean(off / exact_m)), float(np.sqrt(np.mean(off**2))), inside


def run(folder: Path, sensor: str, engine: OnnxEngine, found: Figures) -> None:
    """Add a recording's figures by place and mode."""
    config = FusionConfig(sensor=sensor)
    pipeline = PerceptionPipeline(engine, PipelineConfig())
    stages = {mode: SensorFusion(replace(config, mode=mode)) for mode in MODES}
    for index, sample in enumerate(open_recording(folder).samples()):
        if not isinstance(sample, Sample) or sample.exact_depth_m is None:
            continue
        shown = seen_by(sensor, sample, index).frame
        seen = pipeline.process(shown)
        if not seen.scale.known:
            continue
        exact_m, sensor_m = sample.exact_depth_m, shown.reference.depth_m
        where = places(exact_m, sensor_m)
        for place in PLACES[:2]:
            if where[place].any():
                figures = score(sensor_m[where[place]], None, exact_m[where[place]])
                found[place, "sensor"].append(figures)
        for mode, stage in stages.items():
            fused = stage.update(
                shown.stamp_ns, seen.depth_m, seen.sigma_m, shown.reference, shown.rgb
            )
            for place, pixels in where.items():
                if pixels.any():
                    pair = fused.depth_m[pixels], fused.sigma_m[pixels]
                    found[place, mode].append(score(*pair, exact_m[pixels]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=Path, nargs="+", help="synthetic, with exact depth")
    parser.add_argument("--model", type=Path, default=None, help="ONNX file; default: shipped")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    engine = OnnxEngine(options.model or default_model_path(), EngineConfig(threads=1))
    print("AbsRel / RMSE m / within 1 sigma %, means over frames")
    for sensor in SENSORS:
        found: Figures = defaultdict(list)
        for folder in options.recordings:
            run(folder, sensor, engine, found)
        for place in PLACES:
            cells = []
            for mode in ("sensor", *MODES):
                if (place, mode) in found:
                    rel, rms, inside = np.mean(found[place, mode], axis=0)
                    cells.append(f"{mode} {rel:.4f} / {rms:.3f} / {100 * inside:.1f}")
            print(f"{sensor:10} {place:14} " + "   ".join(cells), flush=True)


if __name__ == "__main__":
    main()
