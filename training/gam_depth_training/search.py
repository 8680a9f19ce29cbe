"""One sweep over widths and input sizes: what a thinner or a smaller network costs, and saves.

Each point is the trained network pruned to a width, tuned for a few steps at a size, and written
as a model file. What it scores is kept beside it, so a stopped sweep goes on where it was; how
long it takes is measured on the machine that asks, all points in turn, every time.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.labels import NYU13
from gam_depth_ros.core.model_spec import ModelSpec
from gam_depth_training.batch import find_shards, load_shards, split_shards
from gam_depth_training.checkpoints import torch_bytes, write_atomically
from gam_depth_training.config import StageConfig, TrainingConfig
from gam_depth_training.export import DeployedNetwork, export_plain
from gam_depth_training.file_digest import file_digest
from gam_depth_training.fit import fit
from gam_depth_training.guard import old_scores
from gam_depth_training.networks import JointNetwork, has_decoder_norm
from gam_depth_training.picture_answers import ReferencePicture
from gam_depth_training.prune import prune
from gam_depth_training.quantize import QuantizeOptions, quantize_model
from gam_depth_training.trained_network import load_network

logger = logging.getLogger(__name__)

SCORES = "scores.json"
WARM_UP = 3


@dataclass(frozen=True)
class SearchOptions:
    """What a sweep covers.

    Attributes:
        widths: Shares of the channels, each above 0 and at most 1.
        sizes_hw: Network inputs, multiples of 32.
        steps: Optimiser steps after pruning; 0 tunes nothing.
        batch_size: Frames of a step.
        learning_rate: Peak of the tuning's rate.
        threads: Of the latency measurement.
        rounds: Times that each point is timed.
    """

    widths: tuple[float, ...] = (1.0, 0.75, 0.5)
    sizes_hw: tuple[tuple[int, int], ...] = ((288, 384), (192, 256), (96, 128))
    steps: int = 500
    batch_size: int = 16
    learning_rate: float = 5e-4
    threads: int = 2
    rounds: int = 30


@dataclass(frozen=True)
class Point:
    """One model file of a sweep.

    Attributes:
        width: Share of the channels.
        size_hw: Network input.
        precision: "float" or "int8".
        abs_rel_rooms: AbsRel on held-out synthetic rooms, of the network in float.
        miou_rooms: mIoU there.
        abs_rel: AbsRel of the file on the recordings; NaN without recordings with depth.
        size_bytes: Of the file.
        latency_ms: Median time of one picture on this machine; NaN until it is measured.
        on_front: Whether no other point is both faster and better.
    """

    width: float
    size_hw: tuple[int, int]
    precision: str
    abs_rel_rooms: float
    miou_rooms: float
    abs_rel: float
    size_bytes: int
    latency_ms: float = float("nan")
    on_front: bool = False

    @property
    def name(self) -> str:
        """Width, size and precision, as in ``0.5_96x128_int8``: also the file's name."""
        return f"{self.width:g}_{self.size_hw[0]}x{self.size_hw[1]}_{self.precision}"

    @property
    def error(self) -> float:
        """What the front goes by: AbsRel on recordings, on rooms where there are none."""
        return self.abs_rel if np.isfinite(self.abs_rel) else self.abs_rel_rooms


def search(
    weights: Path,
    shards: Path,
    recordings: Sequence[ReferencePicture],
    out: Path,
    options: SearchOptions = SearchOptions(),
) -> list[Point]:
    """Sweep, or go on with a stopped sweep, and measure.

    Args:
        weights: Of the network to prune.
        shards: Synthetic rooms that tune and, the first ones, judge.
        recordings: Frames that calibrate 8 bits (every second) and judge (the others, where they
            have depth); none: points in float alone.
        out: Folder for weights, files and scores.
        options: See SearchOptions.

    Returns:
        All points, the fastest first.

    Raises:
        ValueError: weights, shards or options that do not fit.
    """
    network = load_network(weights)
    points: list[Point] = []
    for width in options.widths:
        for size_hw in options.sizes_hw:
            folder = out / f"{width:g}_{size_hw[0]}x{size_hw[1]}"
            identity = _identity(weights, len(recordings), options)
            found = _read(folder / SCORES, identity)
            if found is None:
                found = _try(network, width, size_hw, shards, recordings, folder, options)
                _write(folder / SCORES, identity, found)
            points += found
    return mark_front(timed(points, out, options))


def _identity(weights: Path, recorded: int, options: SearchOptions) -> str:
    settings = (options.steps, options.batch_size, options.learning_rate)
    return f"{file_digest(weights)[:12]} {recorded} {settings}"


def _read(path: Path, identity: str) -> list[Point] | None:
    if not path.exists():
        return None
    stored = json.loads(path.read_text())
    if stored["identity"] != identity:
        raise ValueError(
            f"{path}: got scores of another sweep ({stored['identity']}), expected {identity}; "
            "give another --out"
        )
    return [Point(**{**one, "size_hw": tuple(one["size_hw"])}) for one in stored["points"]]


def _write(path: Path, identity: str, points: Sequence[Point]) -> None:
    content = {"identity": identity, "points": [dataclasses.asdict(point) for point in points]}
    write_atomically(json.dumps(content, indent=1).encode(), path)


def _try(
    network: JointNetwork,
    width: float,
    size_hw: tuple[int, int],
    shards: Path,
    recordings: Sequence[ReferencePicture],
    folder: Path,
    options: SearchOptions,
) -> list[Point]:
    """Prune, tune, write and score one width at one size, in float and in 8 bits."""
    logger.info("width %g at %dx%d", width, *size_hw)
    folder.mkdir(parents=True, exist_ok=True)
    tuned = _tune(prune(network, width), size_hw, shards, folder, options)
    config = TrainingConfig("", ())
    _, validation = split_shards(find_shards(shards), config.validation_shards)
    rooms = old_scores(tuned, load_shards(validation), size_hw)
    plain = folder / "float.onnx"
    spec = ModelSpec(f"search-{width:g}", size_hw, NYU13)
    export_plain(DeployedNetwork.of(tuned), spec, plain, compress=True)

    def point(precision: str, abs_rel: float) -> Point:
        size = (folder / f"{precision}.onnx").stat().st_size
        known = rooms["abs_rel"], rooms["miou"]
        return Point(width, size_hw, precision, *known, abs_rel, size)

    if not recordings:
        return [point("float", float("nan"))]
    judge = recordings[1::2]
    any_loss = QuantizeOptions(most_worse=float("inf"))
    report = quantize_model(plain, recordings[::2], judge, folder / "int8.onnx", any_loss)
    return [point("float", report.abs_rel_float), point("int8", report.abs_rel_int8)]


def _tune(
    pruned: JointNetwork,
    size_hw: tuple[int, int],
    shards: Path,
    folder: Path,
    options: SearchOptions,
) -> JointNetwork:
    start = folder / "pruned.pt"
    write_atomically(torch_bytes(pruned.state_dict()), start)
    if not options.steps:
        return pruned.eval()
    own = pruned.semantic_decoder
    stage = StageConfig(
        "tune",
        size_hw,
        options.steps,
        options.batch_size,
        options.learning_rate,
        shared_decoder=own is None,
    )
    config = TrainingConfig(
        "search",
        (stage,),
        validate_every=max(1, options.steps),
        decoder_norm=has_decoder_norm(pruned.state_dict()),
        network=pruned.shape,
        decoders="split_late" if own is not None and own.first_step else "separate",
    )
    return load_network(fit(config, shards, folder / "tuned", progress=False, start=start))


def timed(points: Sequence[Point], out: Path, options: SearchOptions) -> list[Point]:
    """Time every point on this machine, all in turn, so that other load weighs on all alike."""
    engines = [
        OnnxEngine(path, EngineConfig(threads=options.threads, warmup_runs=WARM_UP))
        for path in _files(points, out)
    ]
    took: list[list[float]] = [[] for _ in points]
    rng = np.random.default_rng(0)
    batches = [
        rng.integers(0, 256, (1, *point.size_hw, 3)).astype(np.uint8) for point in points
    ]
    for _ in range(options.rounds):
        for index, engine in enumerate(engines):
            started_ns = time.perf_counter_ns()
            engine.run(batches[index])
            took[index].append((time.perf_counter_ns() - started_ns) / 1e6)
    found = [
        dataclasses.replace(point, latency_ms=float(np.median(times)))
        for point, times in zip(points, took, strict=True)
    ]
    return sorted(found, key=lambda point: point.latency_ms)


def _files(points: Sequence[Point], out: Path) -> Iterator[Path]:
    for point in points:
        folder = out / point.name.removesuffix(f"_{point.precision}")
        yield folder / f"{point.precision}.onnx"


def mark_front(points: Sequence[Point]) -> list[Point]:
    """Mark the points that no other beats in both latency and error."""
    return [
        dataclasses.replace(
            point,
            on_front=not any(
                other.latency_ms <= point.latency_ms
                and other.error <= point.error
                and (other.latency_ms, other.error) != (point.latency_ms, point.error)
                for other in points
            ),
        )
        for point in points
    ]
