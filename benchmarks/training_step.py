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
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from training_step_parts import SEGMENTATION, WARM_UP, StepTimes, time_steps

from gam_depth_training.clip import Clip
from gam_depth_training.colour_jitter import ColourJitter
from gam_depth_training.label_sources import SegmenterLabels
from gam_depth_training.prepare import prepare
from gam_depth_training.prepared import Prepared
from gam_depth_training.proxy_labels import OnnxModelSegmenter
from gam_depth_training.recipe import Recipe
from gam_depth_training.recipe_file import load_recipe
from gam_depth_training.synthetic import write_sequences
from gam_depth_training.video_batch import collate_bytes
from gam_depth_training.video_data import Source
from gam_depth_training.video_dataset import VideoDataset
from gam_depth_training.video_loader import Place, video_loader

RECIPE = Path(__file__).parents[1] / "config" / "training" / "gam_depth.yaml"
LOADER_AIM = 2.0
CLIPS = 24


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
