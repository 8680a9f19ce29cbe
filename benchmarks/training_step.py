"""A step of training without labels, part by part, and the loader that feeds it.

The step is the recipe's own, on clips with everything prepared; only Lightning's loop and the log
are left out. Steps with a clock at every part alternate with steps without one, so that whatever
else the machine does weighs on both alike. Where a part contains another, its time is without it.
Without arguments the clips are those of a synthetic room, rendered for the purpose.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from gam_depth_training import objective, planarity
from gam_depth_training.clip import Clip
from gam_depth_training.colour_jitter import ColourJitter
from gam_depth_training.label_sources import SegmenterLabels
from gam_depth_training.prepare import prepare
from gam_depth_training.prepared import Prepared
from gam_depth_training.proxy_labels import OnnxModelSegmenter
from gam_depth_training.recipe import Recipe
from gam_depth_training.recipe_file import load_recipe
from gam_depth_training.recipe_module import RecipeModule
from gam_depth_training.synthetic import write_sequences
from gam_depth_training.video_batch import VideoBatch, collate_bytes
from gam_depth_training.video_data import Source
from gam_depth_training.video_dataset import VideoDataset
from gam_depth_training.video_loader import Place, video_loader

RECIPE = Path(__file__).parents[1] / "config" / "training" / "gam_depth.yaml"
REST = "everything else"
SEGMENTATION = "planar segmentation (numba, CPU)"
PARTS = (
    "bytes to floats, to the device",
    "depth network, forward",
    "pose networks, forward",
    "warps",
    "photometric error",
    "gradient-aware mask",
    "smoothness",
    "normals",
    "edge costs of segments",
    SEGMENTATION,
    "planar depth",
    "semantic",
    "backward",
    "optimiser",
)
LOADER_AIM = 2.0
WARM_UP = 2
CLIPS = 24


@dataclass(frozen=True)
class StepTimes:
    """Medians over the steps.

    Attributes:
        step_ms: A step without a clock in it.
        parts_ms: Each of PARTS, and REST, in steps with one.
        memory_mib: Most memory on the device; None on a CPU.
    """

    step_ms: float
    parts_ms: dict[str, float]
    memory_mib: float | None


class PartClock:
    """Charges time to the innermost part that is under way, and to REST outside of all."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.spent_ms: dict[str, float] = {}
        self._under_way = [REST]
        self._since_ns = now_ns(device)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Charge what happens inside to ``name``."""
        self._charge()
        self._under_way.append(name)
        try:
            yield
        finally:
            self._charge()
            self._under_way.pop()

    def wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, its time charged to ``name``."""

        def timed(*arguments: Any, **named: Any) -> Any:
            with self.part(name):
                return function(*arguments, **named)

        return timed

    def _charge(self) -> None:
        now, name = now_ns(self.device), self._under_way[-1]
        self.spent_ms[name] = self.spent_ms.get(name, 0.0) + (now - self._since_ns) / 1e6
        self._since_ns = now


def now_ns(device: torch.device) -> int:
    """Return the time at which a device has finished what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter_ns()


class Step:
    """The step of a recipe on a few batches of the loader in turn."""

    def __init__(self, recipe: Recipe, batches: list[VideoBatch], device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.batches, self.device = recipe, batches, device
        self.module = RecipeModule(recipe, steps_per_epoch=1).to(device).train()
        self.optimizer = self.module.configure_optimizers()["optimizer"]
        self.taken = 0

    def take(self, clock: PartClock | None = None) -> float:
        """Take a step and return how long it was, milliseconds; charge its parts to a clock."""
        started_ns = now_ns(self.device)
        with ExitStack() as stack:
            part = nullcontext if clock is None else clock.part
            if clock is not None:
                for place, name, label in self._places():
                    timed = clock.wrapped(label, getattr(place, name))
                    stack.enter_context(patch.object(place, name, timed))
            batch = self.batches[self.taken % len(self.batches)]
            with part(PARTS[0]):
                batch = batch.to(self.device)
            mixed = self.recipe.precision == "bf16-mixed"
            with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
                total = self.module.terms(batch).total
            with part("backward"):
                total.backward()
            with part("optimiser"):
                self.optimizer.step()
                self.optimizer.zero_grad()
        self.taken += 1
        return (now_ns(self.device) - started_ns) / 1e6

    def _places(self) -> tuple[tuple[Any, str, str], ...]:
        """Where each part of the step is called: object, attribute, name of the part."""
        module = self.module
        return (
            (module.network, "forward", "depth network, forward"),
            (module.motion, "consecutive", "pose networks, forward"),
            (module.motion, "residual", "pose networks, forward"),
            (module, "warp", "warps"),
            (module.objective, "minimum_error", "photometric error"),
            (module.objective, "photometric_term", "gradient-aware mask"),
            (objective, "edge_aware_smoothness", "smoothness"),
            (module.objective, "plane_terms", "normals"),
            (objective, "planar_segments", "edge costs of segments"),
            (planarity, "segment_batch", SEGMENTATION),
            (objective, "large_segments", "planar depth"),
            (objective, "planar_depth", "planar depth"),
            (objective, "coplanar_loss", "planar depth"),
            (module.objective, "semantic_term", "semantic"),
        )


def time_steps(
    recipe: Recipe, batches: list[VideoBatch], device: torch.device, steps: int
) -> StepTimes:
    """Take steps with and without a clock in turn, after a few that do not count."""
    step = Step(recipe, batches, device)
    for _ in range(WARM_UP):
        step.take()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    plain, clocked = [], []
    for _ in range(steps):
        plain.append(step.take())
        clock = PartClock(device)
        step.take(clock)
        clocked.append(clock.spent_ms)
    parts = {
        name: float(np.median([spent.get(name, 0.0) for spent in clocked]))
        for name in (*PARTS, REST)
    }
    used = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None
    return StepTimes(float(np.median(plain)), parts, used)


def loader_rate(dataset: VideoDataset, recipe: Recipe, workers: int, batches: int) -> float:
    """Return how many clips a second the loader gives to somebody who does nothing with them."""
    loader = iter(video_loader(dataset, recipe.batch_size, recipe.seed, Place(), workers))
    for _ in range(2 * workers + 1):  # what was fetched in advance while the processes started
        next(loader)
    started_s = time.perf_counter()
    for _ in range(batches):
        next(loader)
    return batches * recipe.batch_size / (time.perf_counter() - started_s)


def clips_of(recipe: Recipe, folders: list[Path], scratch: Path, clips: int) -> list[Clip]:
    """Return at most so many clips of sequence folders, or of a room rendered into ``scratch``."""
    if not folders:
        frames = clips + recipe.offsets[-1] - recipe.offsets[0]
        folders = write_sequences(scratch / "room", 1, 1, frames=frames, size_hw=recipe.size_hw)
    return Source(tuple(folders)).clips(recipe.offsets)[:clips]


def dataset_of(
    recipe: Recipe, clips: list[Clip], prepared: Prepared, cache_bytes: int
) -> VideoDataset:
    """Return clips as a training sees them; cached frames are all read here."""
    jitter = ColourJitter() if recipe.jitter else None
    dataset = VideoDataset(
        clips, recipe.size_hw, recipe.flip, jitter, prepared, recipe.seed, cache_bytes=cache_bytes
    )
    for index in range(len(clips) if cache_bytes else 0):
        dataset[index]
    return dataset


def table(recipe: Recipe, times: StepTimes, rates: dict[str, float], title: str) -> Table:
    """Lay out what was measured."""
    shown = Table("part", "ms", "% of the parts", "images/s", title=title)
    whole_ms, images = sum(times.parts_ms.values()), 1000.0 * recipe.batch_size
    rows = {**times.parts_ms, "sum of the parts": whole_ms, "step without a clock": times.step_ms}
    for name, part_ms in rows.items():
        rate = images / max(part_ms, 1e-3)
        shown.add_row(name, f"{part_ms:.2f}", f"{100 * part_ms / whole_ms:.1f}", f"{rate:.2f}")
    shown.add_section()
    for name, rate in rates.items():
        ratio = rate * times.step_ms / images
        shown.add_row(name, f"{images / rate:.2f}", f"{ratio:.1f} × a step", f"{rate:.2f}")
    return shown


def verdicts(recipe: Recipe, times: StepTimes, rates: dict[str, float]) -> list[str]:
    """Say in words whether segmentation and loader keep up."""
    parts = times.parts_ms
    share = 100 * parts[SEGMENTATION] / sum(parts.values())
    ratio = min(rates.values()) * times.step_ms / 1000.0 / recipe.batch_size
    lines = [
        f"planar segmentation: {parts[SEGMENTATION] / recipe.batch_size:.1f} ms a picture, "
        f"{share:.1f} % of the step; the longest part is: {max(parts, key=lambda n: parts[n])}",
        f"the loader gives {ratio:.1f} times what a step takes, or more (aim: {LOADER_AIM:g})",
    ]
    if times.memory_mib is not None:
        lines.append(f"peak memory of the device: {times.memory_mib:.0f} MiB")
    return lines


def measure(options: argparse.Namespace, recipe: Recipe, scratch: Path, console: Console) -> None:
    """Measure and print."""
    device = torch.device(options.device)
    clips = clips_of(recipe, options.sequences, scratch, 4 if options.quick else CLIPS)
    prepare(clips, recipe.size_hw, scratch / "prepared", SegmenterLabels(OnnxModelSegmenter()))
    prepared = Prepared(scratch / "prepared")
    cached = dataset_of(recipe, clips, prepared, 2**30)
    anew = dataset_of(recipe, clips, prepared, 0)
    rates = {
        f"loader alone, frames {kind}": loader_rate(data, recipe, options.workers, options.steps)
        for kind, data in (("cached", cached), ("read anew", anew))
    }
    batches = [
        collate_bytes([cached[(first + i) % len(cached)] for i in range(recipe.batch_size)])
        for first in (0, recipe.batch_size)
    ]
    times = time_steps(recipe, batches, device, options.steps)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    title = f"{recipe.name}: {options.size}, batch {recipe.batch_size}, {recipe.precision}"
    console.print(table(recipe, times, rates, title))
    console.print(
        f"{where}, {torch.get_num_threads()} threads of torch, {options.workers} processes of the "
        f"loader, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    console.print(f"medians of {options.steps} steps after {WARM_UP}; {len(clips)} clips")
    console.print("\n".join(verdicts(recipe, times, rates)))


def main(arguments: list[str] | None = None, console: Console | None = None) -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sequences", type=Path, nargs="*", help="sequence folders")
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="YAML file of the method")
    parser.add_argument("--size", default="288x384", help="HEIGHTxWIDTH of the network's input")
    parser.add_argument("--batch", type=int, default=4, help="clips of a step")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="32-true")
    parser.add_argument("--workers", type=int, default=2, help="processes of the loader")
    parser.add_argument("--steps", type=int, default=5, help="steps to time")
    parser.add_argument("--quick", action="store_true", help="64x96, batch 2, two steps")
    options = parser.parse_args(arguments)
    if options.quick:
        options.size, options.batch, options.steps = "64x96", 2, 2
    size = "size_hw=[" + options.size.replace("x", ",") + "]"
    changes = [size, f"batch_size={options.batch}", f"precision={options.precision}"]
    with tempfile.TemporaryDirectory(prefix="gam_depth_bench_") as scratch:
        recipe = load_recipe(options.recipe, changes)
        measure(options, recipe, Path(scratch), console or Console(soft_wrap=True))


if __name__ == "__main__":
    main()
