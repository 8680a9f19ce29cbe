"""Networks side by side in one run: official layout, the shipped shapes, what others would take.

Weights are random: how long a network takes does not hang on them. Every row answers in turn,
batch 1, so that whatever else the machine does weighs on all alike. Beside the time that passed
stands the processors' time, which other programs do not lengthen much.

Rows of other projects need `pip install -r requirements/bench.txt`, and are left out without.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
import torch
from other_networks import OtherNetworkError, export_other

from gam_depth_ros.core.labels import NYU13
from gam_depth_ros.core.model_spec import ModelSpec
from gam_depth_training.config import load_config
from gam_depth_training.export import DeployedNetwork, export_plain
from gam_depth_training.networks import JointNetwork
from gam_depth_training.picture_answers import ReferencePicture
from gam_depth_training.quantize import QuantizeOptions, quantize_model

SIZES_HW = ((288, 384), (96, 128))
WARM_UP = 3
CALIBRATION_FRAMES = 4
CONFIGS = Path(__file__).resolve().parents[1] / "config/training"
ANY = float("inf")


@dataclass(frozen=True)
class Row:
    """What one network took.

    Attributes:
        name: Of the network.
        size_hw: Its input.
        wall_ms: Median time that passed.
        p10_ms: Tenth percentile of it.
        p90_ms: Ninetieth percentile of it.
        cpu_ms: Median processor time over all threads.
    """

    name: str
    size_hw: tuple[int, int]
    wall_ms: float
    p10_ms: float
    p90_ms: float
    cpu_ms: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=40, help="rounds; each times every row once")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", default="", help="HEIGHTxWIDTH alone, instead of both sizes")
    parser.add_argument("--no-others", action="store_true", help="leave out other projects' rows")
    parser.add_argument("--json", type=Path, default=None, help="file for the figures")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sizes = (tuple(int(s) for s in options.size.split("x")),) if options.size else SIZES_HW
    rows: list[Row] = []
    with TemporaryDirectory() as folder:
        for height, width in sizes:
            print(f"building at {height}x{width}", flush=True)
            runs = dict(our_networks(Path(folder), (height, width), options.threads))
            if (height, width) == sizes[0] and not options.no_others:
                runs |= dict(other_networks(Path(folder), options.threads))
            load_before = os.getloadavg()[0]
            found = measure(runs, options.frames, (height, width))
            show(found, options.threads, load_before)
            rows += found
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


def our_networks(
    folder: Path, size_hw: tuple[int, int], threads: int
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield each of our rows by name: eager, and ONNX Runtime in float and in 8 bits."""
    torch.manual_seed(0)
    pictures = np.random.default_rng(0).integers(0, 256, (CALIBRATION_FRAMES, *size_hw, 3))
    frames = [ReferencePicture(picture.astype(np.uint8)) for picture in pictures]
    batch = frames[0].rgb[None]
    spec = ModelSpec("bench", size_hw, NYU13)
    official = JointNetwork(len(NYU13)).eval()
    planes = torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255.0

    def eager() -> object:
        with torch.inference_mode():
            return official(planes)

    yield "official layout, eager PyTorch", eager
    networks = {"official layout": official}
    for name in ("default_model", "edge_distilled"):
        config = load_config(CONFIGS / f"{name}.yaml")
        networks[config.name] = with_statistics(
            JointNetwork(
                len(NYU13),
                config.decoders,
                decoder_norm=config.decoder_norm,
                shape=config.network,
            )
        )
    for name, network in networks.items():
        plain = folder / f"{name.replace(' ', '_')}_{size_hw[0]}.onnx"
        export_plain(DeployedNetwork.of(network), spec, plain)
        yield f"{name}, ONNX Runtime fp32", session_run(plain, batch, threads)
        if network is official:
            continue
        small = plain.with_suffix(".int8.onnx")
        # Random weights on random pictures: nothing to be faithful to, and the time is the same.
        quantize_model(plain, frames, frames, small, QuantizeOptions(most_worse=ANY))
        yield f"{name}, ONNX Runtime INT8", session_run(small, batch, threads)


def with_statistics(network: JointNetwork) -> JointNetwork:
    """Give the normalisations statistics, so that activations are neither 0 nor endless."""
    with torch.no_grad():
        for _ in range(2):
            network.train()(torch.rand(2, 3, 96, 128))
    return network.eval()


def other_networks(folder: Path, threads: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the rows of what a user would pick instead; says why where one is left out."""
    for name, side in (("Depth Anything V2 Small", 518), ("SegFormer-B0", 512)):
        path = folder / f"{name.replace(' ', '_')}.onnx"
        try:
            export_other(name, side, path)
        except OtherNetworkError as error:
            print(f"{name} left out: {error}")
            continue
        batch = np.random.default_rng(0).random((1, 3, side, side), np.float32)
        yield f"{name} at {side}, ONNX Runtime fp32", session_run(path, batch, threads)


def session_run(path: Path, batch: np.ndarray, threads: int) -> Callable[[], object]:
    """Return what runs a model file once, in a session of its own."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Threads that spin while another row runs would weigh on it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: batch})


def measure(
    runs: dict[str, Callable[[], object]], rounds: int, size_hw: tuple[int, int]
) -> list[Row]:
    """Time every row once a round."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for index in range(WARM_UP + rounds):
        for name, run in runs.items():
            wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
            run()
            took = (time.perf_counter_ns() - wall_ns, time.process_time_ns() - cpu_ns)
            if index >= WARM_UP:
                times[name].append((took[0] / 1e6, took[1] / 1e6))
    rows = []
    for name, pairs in times.items():
        wall, cpu = np.array(pairs).T
        low, middle, high = np.percentile(wall, [10, 50, 90])
        rows.append(Row(name, size_hw, middle, low, high, float(np.median(cpu))))
    return rows


def show(rows: list[Row], threads: int, load: float) -> None:
    """Print the rows and how much faster each is than the first."""
    height, width = rows[0].size_hw
    print(f"\nnetwork input {height}x{width} (others as named), batch 1, {threads} threads, "
          f"{os.cpu_count()} cores, load {load:.1f} before and {os.getloadavg()[0]:.1f} after")
    print(f"{'':46}{'p10':>8}{'p50':>8}{'p90':>8}{'ratio':>8}{'cpu ms':>9}{'ratio':>8}")
    first = rows[0]
    for row in rows:
        print(
            f"{row.name:46}{row.p10_ms:8.1f}{row.wall_ms:8.1f}{row.p90_ms:8.1f}"
            f"{first.wall_ms / row.wall_ms:8.2f}{row.cpu_ms:9.1f}{first.cpu_ms / row.cpu_ms:8.2f}"
        )


if __name__ == "__main__":
    main()
