"""What each part of the augmentation is worth on real recordings, in short trainings from scratch.

    python benchmarks/augmentation_ablation.py RECORDING... --shards data/shards --out out/ablation

Every row trains the small network on the same rooms for the same steps, with one part of the
augmentation left out, and is scored on recordings with depth, each frame under its own median, and
on rooms that were held out. Seeds are of weights, order and draws. A row that is done is kept, so
that a stopped run goes on. Short trainings of a small network at a small size: what helps here
need not help a long one, what differs by less than the seeds do says nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from gam_depth_ros.core.metrics import evaluate_depth
from gam_depth_ros.core.preprocessing import prepare, to_image_size
from gam_depth_training.batch import find_shards, load_shards, split_shards
from gam_depth_training.cli_data import parse_size
from gam_depth_training.config import TrainingConfig, load_config
from gam_depth_training.fit import fit
from gam_depth_training.guard import old_scores
from gam_depth_training.networks import JointNetwork
from gam_depth_training.picture_answers import ReferencePicture
from gam_depth_training.reference_pictures import recorded_pictures
from gam_depth_training.trained_network import load_network

CONFIG = Path(__file__).resolve().parents[1] / "config/training/edge_distilled_cpu.yaml"
UNTAUGHT = {"taught_depth": 0.0, "taught_sigma": 0.0, "taught_semantic": 0.0}
LEFT_OUT: dict[str, dict[str, float]] = {
    "all of it": {},
    "without tone (brightness, contrast, gamma)": {"brightness": 0, "contrast": 0, "gamma": 0},
    "without colour (saturation, white balance)": {"saturation": 0, "white_balance": 0},
    "without noise and blur": {"noise": 0, "blur_probability": 0},
    "without crops": {"crop": 1},
    "none of it": {
        "brightness": 0,
        "contrast": 0,
        "gamma": 0,
        "saturation": 0,
        "white_balance": 0,
        "noise": 0,
        "blur_probability": 0,
        "crop": 1,
    },
}


def main() -> None:
    """Train and score every row, print the table and write it beside the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", default="64x96", help="of the network's input")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    base = short(load_config(CONFIG), parse_size(options.size), options.steps, options.batch_size)
    frames = {path.stem: list(recorded_pictures(path, 64)) for path in options.recordings}
    scores: dict[str, list[dict[str, float]]] = {}
    for seed in options.seeds:
        for index, (row, change) in enumerate(LEFT_OUT.items()):
            augmentation = dataclasses.replace(base.augmentation, **change)
            config = dataclasses.replace(base, seed=seed, augmentation=augmentation)
            folder = options.out / f"{index}_{seed}"
            found = scored(config, options.shards, frames, folder)
            scores.setdefault(row, []).append(found)
    (options.out / "ablation.json").write_text(json.dumps(scores, indent=1))
    Console(width=180).print(table(scores))


def short(
    config: TrainingConfig, size_hw: tuple[int, int], steps: int, batch_size: int
) -> TrainingConfig:
    """Return a config of one stage, without a teacher."""
    stage = dataclasses.replace(
        config.stages[0],
        size_hw=size_hw,
        steps=steps,
        batch_size=batch_size,
    )
    weights = dataclasses.replace(config.weights, **UNTAUGHT)
    return dataclasses.replace(config, stages=(stage,), weights=weights, validate_every=steps)


def scored(
    config: TrainingConfig,
    shards: Path,
    recordings: dict[str, list[ReferencePicture]],
    folder: Path,
) -> dict[str, float]:
    """Train one row with one seed and score it; one that has been scored is read back."""
    kept = folder / f"scores_{config.digest()}.json"
    if kept.exists():
        return dict(json.loads(kept.read_text()))
    network = load_network(fit(config, shards, folder, progress=False))
    size_hw = config.stages[0].size_hw
    _, held_out = split_shards(find_shards(shards), config.validation_shards)
    rooms = old_scores(network, load_shards(held_out), size_hw)
    found = {f"rooms {name}": rooms[name] for name in ("abs_rel", "miou")}
    for name, pictures in recordings.items():
        found[name], found[f"{name} contrast"] = on_recording(network, pictures, size_hw)
    found["mean"] = float(np.mean([found[name] for name in recordings]))
    kept.write_text(json.dumps(found))
    return found


def on_recording(
    network: JointNetwork, pictures: Sequence[ReferencePicture], size_hw: tuple[int, int]
) -> tuple[float, float]:
    """Return AbsRel by each frame's median, and the spread of log depth over that of the truth."""
    errors, contrasts = [], []
    for picture in pictures:
        if picture.depth_m is None:
            continue
        truth_m = np.asarray(picture.depth_m, np.float32)
        image = torch.from_numpy(prepare(picture.rgb, size_hw)).permute(0, 3, 1, 2) / 255
        with torch.no_grad():
            small = network(image).depth[0, 0].numpy()
        depth = to_image_size(small, (truth_m.shape[0], truth_m.shape[1]))
        score = evaluate_depth(truth_m, depth)
        if score is not None:
            known = (truth_m > 0.1) & (truth_m < 10)
            errors.append(score.abs_rel)
            contrasts.append(np.log(depth[known]).std() / np.log(truth_m[known]).std())
    return float(np.mean(errors)), float(np.median(contrasts))


def table(scores: dict[str, list[dict[str, float]]]) -> Table:
    """Return a row for each row of the ablation: means over seeds, and each seed's mean AbsRel."""
    every = list(next(iter(scores.values()))[0])
    contrasts = [name for name in every if name.endswith(" contrast")]
    names = [name for name in every if name not in contrasts]
    shown = Table("", "mean by seed", *names, "mean contrast")
    for row, seeds in scores.items():
        means = [np.mean([seed[name] for seed in seeds]) for name in names]
        contrast = np.mean([seed[name] for seed in seeds for name in contrasts])
        each = " ".join(f"{seed['mean']:.3f}" for seed in seeds)
        shown.add_row(row, each, *(f"{value:.3f}" for value in means), f"{contrast:.2f}")
    return shown


if __name__ == "__main__":
    main()
