"""The whole recipe of config/training/default_model.yaml at toy size: does every stage hand on?

Runs the very commands, with a few steps of small batches of small pictures, and says how long each
took. Its networks know nothing; that they come out at the other end is what is shown.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

CONFIGS = Path(__file__).resolve().parents[1] / "config/training"
TRAIN = Path(sys.executable).parent / "gam-depth-train"
# Two that validate, and two to train on.
SHARDS = 4
STEPS = 2
SIZE_HW = (64, 96)
TOY = ["--set", f"size_hw=[{SIZE_HW[0]},{SIZE_HW[1]}]", "--set", "batch_size=2", "--set",
       f"max_steps={STEPS}", "--set", "pose_first_steps=0", "--set", "guard=100"]


def main() -> None:
    """Run every stage in a folder of its own and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=Path, default=Path("data/shards"))
    parser.add_argument("--recording", type=Path, required=True, help="sequence folder with depth")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        run_all(Path(folder), options.shards, options.recording)


def run_all(out: Path, all_shards: Path, recording: Path) -> None:
    """Run the stages in order; the first that fails ends the run."""
    shards, rooms, prepared = out / "shards", out / "rooms", out / "prepared"
    shards.mkdir()
    for path in sorted(all_shards.glob("*.npz"))[:SHARDS]:
        shutil.copy(path, shards)
    r18, edge = toy_config(out, "default_model"), toy_config(out, "edge_distilled")
    video, sigma = CONFIGS / "default_model_video.yaml", CONFIGS / "default_model_sigma.yaml"
    data = ["--data", recording, "--data", rooms]
    start = ["--start", out / "r18/0_toy.pt"]
    plain, small = out / "float.onnx", out / "int8.onnx"
    quiet = ["--no-progress", "--workers", "0"]
    run("0 video of rooms", "synth", "--out", rooms, "--sequences", 1, "--frames", 16,
        "--size", "96x128", "--workers", 1)
    run("0 prepare", "prepare", recording, rooms, "--out", prepared, "--size",
        f"{SIZE_HW[0]}x{SIZE_HW[1]}", "--workers", 1)
    run("1 supervised", "fit", "--config", r18, "--shards", shards, "--out", out / "r18", *quiet)
    run("2 video", "fit", "--config", video, *start, *data, "--prepared", prepared, "--replay",
        shards, "--out", out / "video", *TOY, *quiet)
    run("3 sigma", "fit", "--config", sigma, *start, "--teacher", out / "video/weights.pt",
        *data, "--replay", shards, "--out", out / "sigma", *TOY, *quiet)
    run("4 export", "export", "--weights", out / "sigma/weights.pt", "--config",
        out / "sigma/recipe.yaml", "--shards", shards, "--out", plain)
    run("4 quantize", "quantize", "--model", plain, "--data", recording, "--frames", 4, "--out",
        small, "--most-worse", 100)
    run("4 statistics", "statistics", "--model", small, "--shards", shards, "--frames", 8,
        "--data", recording)
    run("4 calibrate", "calibrate", "--model", small, "--data", recording, "--out", small)
    run("5 edge", "fit", "--config", edge, "--teacher", out / "sigma/weights.pt", "--shards",
        shards, "--out", out / "edge", *quiet)
    run("5 export", "export", "--weights", out / "edge/0_toy.pt", "--config", edge, "--shards",
        shards, "--out", out / "edge.onnx")
    run("5 quantize", "quantize", "--model", out / "edge.onnx", "--data", recording, "--frames", 4,
        "--out", out / "edge_int8.onnx", "--most-worse", 100)


def toy_config(out: Path, name: str) -> Path:
    """Write a supervised config with one tiny stage in the place of its own."""
    values: dict[str, Any] = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    values["stages"] = [
        {"name": "toy", "size_hw": list(SIZE_HW), "steps": STEPS, "batch_size": 2}
    ]
    values["validate_every"] = STEPS
    path = out / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def run(stage: str, *arguments: object) -> None:
    """Run one command; prints its output only where it fails."""
    started = time.monotonic()
    done = subprocess.run(
        [str(TRAIN), *(str(argument) for argument in arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    took_s = time.monotonic() - started
    print(f"{stage:20}{'ok' if done.returncode == 0 else 'FAILED':8}{took_s:7.1f} s", flush=True)
    if done.returncode:
        raise SystemExit(f"{done.stdout}\n{done.stderr}")


if __name__ == "__main__":
    main()
