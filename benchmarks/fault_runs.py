"""What comes out when things go wrong on a recording, and how fast it recovers.

    python benchmarks/fault_runs.py FOLDER --out DIR

The whole pipeline runs over the recording once for each fault, which lasts five seconds from a
third of the way. Each frame is held against the reference that a working sensor delivers: as
published in mode network, where the scale comes from references strictly before the frame; in mode
fuse in blocks that the sensor never showed. The same frames without a fault stand beside it. Writes
faults.md, faults.png, and faults.json with every frame.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from fault_figure import draw
from faults import FAULTS, NONE, OBSTACLE_M, SCORED, Fault, ObstacleEngine, place, shown

from gam_depth_ros.core.config import EngineConfig, FusionConfig, PipelineConfig, TemporalConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.frame import LOCKED, Frame, Perception
from gam_depth_ros.core.metrics import evaluate_depth
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.core.pipeline import PerceptionPipeline
from gam_depth_ros.evaluation.bag import open_recording

SLACK_RATIO, SLACK = 1.1, 0.01


@dataclass(frozen=True)
class Step:
    """What came of one frame. Times in seconds from the first; NaN unknown."""

    at_s: float
    state: str
    scale: float
    scale_sigma_log: float
    reason: str
    conditions: tuple[str, ...]
    withheld: bool
    notes: tuple[str, ...]
    abs_rel: float
    unknown_share: float
    sigma_ratio: float
    there_m: float


@dataclass(frozen=True)
class Course:
    """A run with one fault."""

    fault: Fault
    mode: str
    steps: list[Step]


def step_of(seen: Perception, truth_m: np.ndarray | None, first_ns: int) -> Step:
    """Keep of a perception what is reported."""
    errors = None
    depth_m = seen.depth_m[SCORED]
    if truth_m is not None:
        errors = evaluate_depth(truth_m, depth_m, align="none")
    known = np.isfinite(depth_m)
    ratio = seen.sigma_m[SCORED][known] / depth_m[known]
    there_m = seen.depth_m[place(seen.depth_m.shape)]
    return Step(
        at_s=(seen.stamp_ns - first_ns) / 1e9,
        state=seen.scale.state,
        scale=seen.scale.value,
        scale_sigma_log=seen.scale.sigma_log,
        reason=seen.scale.reason,
        conditions=seen.quality.conditions,
        withheld=seen.quality.withheld,
        notes=seen.notes,
        abs_rel=float("nan") if errors is None else errors.abs_rel,
        unknown_share=float(1 - known.mean()),
        sigma_ratio=float(np.median(ratio)) if ratio.size else float("nan"),
        there_m=float(np.median(there_m)),
    )


def run(
    frames: Sequence[Frame],
    engine: ObstacleEngine,
    course: tuple[Fault, str],
    span_ns: tuple[int, int],
    scales: Sequence[float],
) -> Course:
    """Run the pipeline over frames of which those within the span are spoilt.

    Args:
        frames: As recorded.
        engine: The network.
        course: The fault and the mode of fusion.
        span_ns: First stamp of the fault, and the first after it.
        scales: Of each frame without a fault: the obstacle is put where it gives one metre.
    """
    fault, mode = course
    # Following motion, so that what the filter over time makes of a fault shows too.
    config = PipelineConfig(temporal=TemporalConfig(mode="flow"), fusion=FusionConfig(mode=mode))
    pipeline, steps, last_good_m = PerceptionPipeline(engine, config), [], None
    for frame, scale in zip(frames, scales, strict=True):
        wrong = fault if span_ns[0] <= frame.stamp_ns < span_ns[1] else None
        now = shown(frame, wrong, last_good_m, withheld=mode != "network")
        if wrong is None and now.frame.reference is not None:
            last_good_m = now.frame.reference.depth_m
        seen = wrong is not None and fault.in_network
        engine.depth = OBSTACLE_M / scale if seen else None
        steps.append(step_of(pipeline.process(now.frame), now.truth_m, frames[0].stamp_ns))
    return Course(fault, mode, steps)


def mean(values: Sequence[float]) -> float:
    """Mean of those that are known; NaN without any."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def noticed_s(course: Course, clean: Course, span_s: tuple[float, float]) -> float:
    """Seconds from the fault's start to its first frame that says more than without the fault."""
    for step, usual in zip(course.steps, clean.steps, strict=True):
        said, unsaid = ((one.state, one.conditions, len(one.notes)) for one in (step, usual))
        if span_s[0] <= step.at_s < span_s[1] and said != unsaid:
            return step.at_s - span_s[0]
    return float("nan")


def recovered_s(course: Course, clean: Course, span_s: tuple[float, float]) -> float:
    """Seconds from the fault's end to the first scored frame that is as without the fault."""
    for step, usual in zip(course.steps, clean.steps, strict=True):
        if step.at_s < span_s[1] or not np.isfinite(usual.abs_rel):
            continue
        same = (step.state, step.conditions) == (usual.state, usual.conditions)
        if same and step.abs_rel <= SLACK_RATIO * usual.abs_rel + SLACK:
            return step.at_s - span_s[1]
    return float("nan")


def states(course: Course, span_s: tuple[float, float]) -> str:
    """The states from the fault's start on with the number of frames; a bar where it ends."""
    parts = []
    for inside in (True, False):
        chosen = [s.state for s in course.steps if s.at_s >= span_s[0]]
        ends = sum(span_s[0] <= s.at_s < span_s[1] for s in course.steps)
        chosen = chosen[:ends] if inside else chosen[ends:]
        groups = itertools.groupby(chosen)
        parts.append(", ".join(f"{name} {len(list(group))}" for name, group in groups))
    return " / ".join(parts)


def row(course: Course, clean: Course, span_s: tuple[float, float]) -> list[str]:
    """One line of the table."""
    first_s, last_s = span_s
    pairs = list(zip(course.steps, clean.steps, strict=True))
    before = [s for s, _ in pairs if s.at_s < first_s]
    during = [(s, c) for s, c in pairs if first_s <= s.at_s < last_s]
    after = [(s, c) for s, c in pairs if s.at_s >= last_s]
    wider = mean([s.sigma_ratio / c.sigma_ratio for s, c in during])
    raised = {name for s, c in during for name in set(s.conditions) - set(c.conditions)}
    return [
        course.fault.name,
        course.mode,
        _seconds(noticed_s(course, clean, span_s)),
        states(course, span_s),
        _error(mean([s.abs_rel for s in before])),
        _beside(during),
        _beside(after),
        f"{100 * mean([s.unknown_share for s, _ in during]):.0f}",
        "–" if np.isnan(wider) else f"{wider:.2f}",
        ", ".join(sorted(raised)) or "–",
        _seconds(recovered_s(course, clean, span_s)),
    ]


def _beside(pairs: list[tuple[Step, Step]]) -> str:
    """AbsRel with the fault and, in brackets, without."""
    faulty, usual = (mean([step.abs_rel for step in steps]) for steps in zip(*pairs, strict=True))
    return f"{_error(faulty)} ({_error(usual)})"


def _seconds(value: float) -> str:
    return "never" if np.isnan(value) else f"{value:.1f}"


def _error(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


HEAD = (
    "fault",
    "mode",
    "noticed after, s",
    "scale's states from its start / its end, frames",
    "AbsRel before",
    "during (without fault)",
    "after (without fault)",
    "NaN during, %",
    "sigma ×",
    "conditions raised",
    "back after, s",
)


def report(courses: list[Course], span_s: tuple[float, float]) -> str:
    """Table, obstacle's depths and what was said, as Markdown."""
    clean = {c.mode: c for c in courses if c.fault is NONE}
    faulty = [c for c in courses if c.fault is not NONE]
    rows = [HEAD, ("---",) * len(HEAD)]
    rows += [tuple(row(c, clean[c.mode], span_s)) for c in faulty]
    lines = ["| " + " | ".join(cells) + " |" for cells in rows]
    lines += ["", "Where the obstacle is, median of the published depth, metres:", ""]
    for course in faulty:
        if course.fault.obstacle:
            there = _there(course.steps, clean[course.mode].steps, span_s)
            lines.append(f"- {course.fault.name}: {there}")
    lines += ["", "What was said in the first and the last frame of the fault that said something:"]
    lines.append("")
    for course in faulty:
        said = [_said(s) for s in course.steps if span_s[0] <= s.at_s < span_s[1] and _said(s)]
        quotes = dict.fromkeys(said[:1] + said[-1:])
        lines.append(f"- {course.fault.name}, {course.mode}: " + (" … ".join(quotes) or "nothing"))
    return "\n".join(lines) + "\n"


def _there(steps: list[Step], clean: list[Step], span_s: tuple[float, float]) -> str:
    inside = [i for i, step in enumerate(steps) if span_s[0] <= step.at_s < span_s[1]]
    first, last = inside[0], inside[-1]
    shown_at = (first - 1, first, first + 1, first + 4, last, last + 1, last + 2, last + 5)
    names = ("before", "first", "second", "fifth", "last frame", "first after", "second", "fifth")
    cells = [
        f"{name} {steps[i].there_m:.2f} ({clean[i].there_m:.2f})"
        for name, i in zip(names, shown_at, strict=True)
        if i < len(steps)
    ]
    return f"{', '.join(cells)}; truth {OBSTACLE_M:g}, without the obstacle in brackets"


def _said(step: Step) -> str:
    parts = [*step.notes, "" if step.state == LOCKED else f"{step.state}: {step.reason}"]
    parts.append(", ".join(step.conditions) + (" (withheld)" if step.withheld else ""))
    return "; ".join(part for part in parts if part)


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="recording with reference depth")
    parser.add_argument("--out", type=Path, required=True, help="where faults.md and .png go")
    parser.add_argument("--model", type=Path, default=None, help="ONNX file; default: shipped")
    parser.add_argument("--frames", type=int, default=180, help="frames used, from the first")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long a fault lasts")
    parser.add_argument("--threads", type=int, default=1, help="threads of engine and OpenCV")
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    network = OnnxEngine(
        options.model or default_model_path(), EngineConfig(threads=options.threads)
    )
    engine = ObstacleEngine(network)
    frames = list(itertools.islice(open_recording(options.folder).frames(), options.frames))
    start_ns = frames[len(frames) // 3].stamp_ns
    span_ns = start_ns, start_ns + round(options.seconds * 1e9)
    span_s = tuple((stamp_ns - frames[0].stamp_ns) / 1e9 for stamp_ns in span_ns)
    none = [1.0] * len(frames)
    courses = [run(frames, engine, (NONE, mode), span_ns, none) for mode in ("network", "fuse")]
    scales = [step.scale for step in courses[0].steps]
    for fault in FAULTS:
        for mode in ("network", "fuse") if fault.of_reference else ("network",):
            courses.append(run(frames, engine, (fault, mode), span_ns, scales))
            print(f"{fault.name}, {mode}: done", flush=True)
    text = report(courses, span_s)
    name = options.folder.name
    print(f"{name}, {len(frames)} frames, fault {span_s[0]:.1f} to {span_s[1]:.1f} s\n{text}")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "faults.md").write_text(text)
    kept = [
        {"fault": c.fault.name, "mode": c.mode, "steps": [vars(step) for step in c.steps]}
        for c in courses
    ]
    (options.out / "faults.json").write_text(json.dumps(kept))
    draw(courses, span_s, options.out / "faults.png", name)


if __name__ == "__main__":
    main()
