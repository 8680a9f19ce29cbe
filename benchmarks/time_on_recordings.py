"""What the filter over time gains on recordings, and what it costs: accuracy, reaction, time.

    python benchmarks/time_on_recordings.py FOLDERS

Smoothness and accuracy with and without the filter; then how many frames a step of log depth takes
that is pasted into the network's output with no trace in the picture, the hardest case; then what
the filter does to a scene that comes nearer and to an obstacle that crosses the view; then
milliseconds for each mode. The flow that scores has another size and preset than the filter's own.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.frame import Frame
from gam_depth_ros.core.metrics import evaluate_depth
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.core.model_spec import NetworkOutput
from gam_depth_ros.core.optical_flow import grey_picture, resize_flow
from gam_depth_ros.core.preprocessing import prepare, to_image_size
from gam_depth_ros.core.temporal_config import TemporalConfig
from gam_depth_ros.core.temporal_filter import Filtered, TemporalFilter
from gam_depth_ros.core.temporal_metrics import (
    flicker,
    is_still,
    label_change,
    optical_warp_error,
    photometric_weight,
    reaction_frames,
    step_response,
    with_step,
)
from gam_depth_ros.core.uncertainty_metrics import coverage
from gam_depth_ros.evaluation.bag import open_recording

SCORING_HW = (240, 320)
STEPS = (-1.0, -0.5, -0.2, -0.1, 0.1, 0.2, 0.5, 1.0)
APPROACHES = (0.02, 0.05, 0.1, 0.2)
CROSSINGS_PX = (1, 3, 8)
WARM_UP, STARTS, WATCHED = 15, 6, 12
MIN_STILL = 0.05
FRAME_NS = 100_000_000


@dataclass(frozen=True)
class Seen:
    """One frame of a recording and what the network says about it."""

    stamp_ns: int
    small_rgb: np.ndarray
    output: NetworkOutput
    sigma_log: np.ndarray
    truth_m: np.ndarray | None


def see(path: Path, engine: OnnxEngine) -> list[Seen]:
    """Run the network over a recording."""
    size_hw, k68 = engine.spec.input_size_hw, np.float32(engine.spec.sigma_calibration.k68)
    frames = []
    for frame in open_recording(path).frames():
        output = engine.run(prepare(frame.rgb, size_hw))
        small = cv2.resize(frame.rgb, SCORING_HW[::-1], interpolation=cv2.INTER_AREA)
        frames.append(Seen(frame.stamp_ns, small, output, output.sigma * k68, _truth(frame)))
    return frames


def _truth(frame: Frame) -> np.ndarray | None:
    return None if frame.reference is None else frame.reference.depth_m


def feed(filter_: TemporalFilter, frame: Seen, depth: np.ndarray | None = None) -> Filtered:
    """Give a frame to a filter, with other depth if there is any."""
    output = frame.output
    return filter_.update(
        frame.stamp_ns,
        frame.small_rgb,
        output.depth if depth is None else depth,
        frame.sigma_log,
        output.label,
        output.label_confidence,
    )


def scoring_flows(frames: Sequence[Seen]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Flow and weight of each frame but the first, on the network's grid."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    greys = [grey_picture(frame.small_rgb, SCORING_HW) for frame in frames]
    size_hw = frames[0].output.depth.shape
    flows = []
    for index in range(1, len(frames)):
        flow = search.calc(greys[index], greys[index - 1], None)
        weight = photometric_weight(greys[index], greys[index - 1], flow)
        weight = cv2.resize(weight, size_hw[::-1], interpolation=cv2.INTER_AREA)
        flows.append((resize_flow(flow, size_hw), weight))
    return flows


def scores(frames: Sequence[Seen], outs: Sequence[Filtered], flows: Sequence) -> list[float]:
    """OPW, flicker, label changes, AbsRel, delta1 and coverage of one run."""
    rows: dict[str, list[float | None]] = {name: [] for name in ("opw", "flicker", "labels")}
    for now, before, (flow, weight) in zip(outs[1:], outs, flows, strict=False):
        rows["opw"].append(optical_warp_error(now.depth, before.depth, flow, weight))
        rows["labels"].append(label_change(now.labels, before.labels, flow, weight))
        still = is_still(flow) & (weight > 0.9)
        if still.mean() > MIN_STILL:
            rows["flicker"].append(flicker(now.depth, before.depth, still))
    errors, covered = [], []
    for frame, out in zip(frames, outs, strict=True):
        if frame.truth_m is None:
            continue
        depth = to_image_size(out.depth, frame.truth_m.shape)
        error = evaluate_depth(frame.truth_m, depth)
        if error is None:
            continue
        errors.append(error)
        known = np.isfinite(frame.truth_m) & (frame.truth_m > 0)
        log_error = np.log(frame.truth_m[known] / depth[known])
        sigma = to_image_size(out.sigma_log, frame.truth_m.shape)[known]
        covered.append(coverage(log_error - np.median(log_error), sigma))
    figures = ([getattr(e, name) for e in errors] for name in ("abs_rel", "rmse", "d1"))
    columns = [*rows.values(), *figures, covered]
    return [float(np.mean(column)) if column else float("nan") for column in columns]


def reactions(frames: Sequence[Seen], config: TemporalConfig) -> dict[float, list[list[float]]]:
    """Responses, frame by frame, of each step put into a third of the view at some frames."""
    size_hw = frames[0].output.depth.shape
    where = np.zeros(size_hw, bool)
    where[size_hw[0] // 3 : 2 * size_hw[0] // 3, size_hw[1] // 3 : 2 * size_hw[1] // 3] = True
    found: dict[float, list[list[float]]] = {step: [] for step in STEPS}
    for start in np.linspace(WARM_UP, len(frames) - WATCHED - 1, STARTS).astype(int):
        warm, watched = frames[start - WARM_UP : start], frames[start : start + WATCHED]
        runs = []
        for step in (None, *STEPS):
            filter_ = TemporalFilter(config)
            for frame in warm:
                feed(filter_, frame)
            depths = (f.output.depth for f in watched)
            changed = [d if step is None else with_step(d, where, step) for d in depths]
            runs.append([feed(filter_, *pair).depth for pair in zip(watched, changed, strict=True)])
        for step, run in zip(STEPS, runs[1:], strict=True):
            pairs = zip(run, runs[0], strict=True)
            found[step].append([step_response(a, b, where, step) for a, b in pairs])
    return found


def approach_lag(picture: np.ndarray, config: TemporalConfig, per_frame: float) -> float:
    """Largest lag, in frames, behind what a picture shows and that comes nearer."""
    height, width = SCORING_HW
    ones = np.ones((96, 128), np.float32)
    filter_, lags = TemporalFilter(config), []
    for frame in range(20):
        nearer = per_frame * max(0, frame - 5)
        # Grown about the middle, the scene doubled at most: beyond, interpolation is all there is.
        grown = cv2.getRotationMatrix2D((width / 2, height / 2), 0, float(np.exp(nearer)))
        now = cv2.warpAffine(picture, grown, (width, height), borderMode=cv2.BORDER_REFLECT)
        depth = ones * np.float32(np.exp(1.5 - nearer))
        labels = np.zeros(ones.shape, np.uint8)
        out = filter_.update(frame * FRAME_NS, now, depth, 0.3 * ones, labels, ones)
        lags.append(float(np.log(out.depth).mean()) - (1.5 - nearer))
        if nearer > np.log(2):
            break
    return max(lags) / per_frame


def crossing(frames: Sequence[Seen], config: TemporalConfig, speed_px: int) -> tuple[float, float]:
    """Shares at worst: of a crossing obstacle that is seen, of its trail that is still near.

    Its depth is as much nearer than the frame's level in every frame, as a network would have it.
    """
    filter_, seen, trail = TemporalFilter(config), 1.0, 0.0
    old = None
    for index, frame in enumerate(frames[:60]):
        where = np.zeros(frame.output.depth.shape, bool)
        left = speed_px * max(0, index - WARM_UP)
        if index >= WARM_UP and left < where.shape[1]:
            where[40:70, left : left + 24] = True
        near = np.float32(0.25 * np.median(frame.output.depth))
        out = feed(filter_, frame, np.where(where, near, frame.output.depth)).depth
        near *= np.median(out[~where] / frame.output.depth[~where])
        if where.any():
            seen = min(seen, float((out[where] < 1.1 * near).mean()))
        if old is not None and (left_over := old & ~where).any():
            trail = max(trail, float((out[left_over] < 1.5 * near).mean()))
        old = where
    return seen, trail


def milliseconds(frames: Sequence[Seen], config: TemporalConfig) -> np.ndarray:
    """p10, p50 and p90 of the processor time of a frame whose picture is 640×480."""
    filter_, times = TemporalFilter(config), []
    for frame in frames[:100]:
        full = cv2.resize(frame.small_rgb, (640, 480))
        output, labels = frame.output, frame.output.label
        started = time.thread_time_ns(), time.perf_counter_ns()
        filter_.update(
            frame.stamp_ns, full, output.depth, frame.sigma_log, labels, output.label_confidence
        )
        times.append((time.thread_time_ns() - started[0], time.perf_counter_ns() - started[1]))
    return np.percentile(np.array(times) / 1e6, (10, 50, 90), axis=0)


def _latency(responses: list[list[float]], share: float) -> str:
    counts = [reaction_frames(run, share) or WATCHED + 1 for run in responses]
    return f"{np.mean(counts):.1f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="recordings")
    parser.add_argument("--threads", type=int, default=2, help="threads of the network and OpenCV")
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    engine = OnnxEngine(default_model_path(), EngineConfig(threads=options.threads))
    modes = {mode: TemporalConfig(mode=mode) for mode in ("off", "still", "flow")}
    steps: dict[float, list[list[float]]] = {step: [] for step in STEPS}
    frames: list[Seen] = []
    heads = f"{'AbsRel':>8}{'RMSE':>8}{'d1':>7}{'cov 1s':>8}"
    print(f"{'':38}{'OPW':>8}{'flicker':>9}{'labels':>8}{heads}")
    for path in options.folders:
        frames = see(path, engine)
        flows = scoring_flows(frames)
        for mode, config in modes.items():
            filter_ = TemporalFilter(config)
            values = scores(frames, [feed(filter_, frame) for frame in frames], flows)
            print(
                f"{path.name:30}{mode:8}{values[0]:8.4f}{values[1]:9.4f}{values[2]:8.3f}"
                f"{values[3]:8.4f}{values[4]:8.3f}{values[5]:7.3f}{values[6]:8.3f}",
                flush=True,
            )
        for step, responses in reactions(frames, modes["flow"]).items():
            steps[step] += responses
    print("step of log depth: frames to 50 %, to 90 %; share in the first output, mean and least")
    for step, responses in steps.items():
        first = [run[0] for run in responses]
        half, most = _latency(responses, 0.5), _latency(responses, 0.9)
        print(f"  {step:+.1f}: {half:>5}{most:>6}{np.mean(first):8.2f}{min(first):6.2f}")
    for speed in APPROACHES:
        plain = np.full((*SCORING_HW, 3), 120, np.uint8)
        pictures = (frames[0].small_rgb, plain)
        lags = [approach_lag(picture, modes["flow"], speed) for picture in pictures]
        print(
            f"approach by {speed:.0%} a frame: at most {lags[0]:.1f} frames behind what the last "
            f"recording shows, {lags[1]:.1f} behind a wall without texture"
        )
    for speed in CROSSINGS_PX:
        seen, trail = crossing(frames, modes["flow"], speed)
        print(f"obstacle crossing at {speed} px a frame: {seen:.1%} seen, {trail:.1%} of its trail")
    print(f"{options.threads} threads, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for mode in ("still", "flow"):
        low, middle, high = milliseconds(frames, modes[mode])
        print(
            f"{mode:6} p10/p50/p90, own thread {low[0]:.2f}/{middle[0]:.2f}/{high[0]:.2f} ms, ",
            f"wall {low[1]:.2f}/{middle[1]:.2f}/{high[1]:.2f} ms",
        )


if __name__ == "__main__":
    main()
