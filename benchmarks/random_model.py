"""A model of the shipped shape at any size, its weights random: for how long things take.

python benchmarks/random_model.py OUT.onnx --size 288x384
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from network_speed import CONFIGS, with_statistics

from gam_depth_ros.core.labels import NYU13
from gam_depth_ros.core.model_spec import ModelSpec
from gam_depth_training.config import load_config
from gam_depth_training.export import DeployedNetwork, export_plain
from gam_depth_training.networks import JointNetwork


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", default="288x384", help="HEIGHTxWIDTH of its input")
    parser.add_argument("--recipe", default="default_model", help="of config/training")
    options = parser.parse_args()
    height, width = (int(side) for side in options.size.split("x"))
    torch.manual_seed(0)
    config = load_config(CONFIGS / f"{options.recipe}.yaml")
    network = JointNetwork(
        len(NYU13), config.decoders, decoder_norm=config.decoder_norm, shape=config.network
    )
    spec = ModelSpec("random weights", (height, width), NYU13)
    export_plain(DeployedNetwork.of(with_statistics(network)), spec, options.out)


if __name__ == "__main__":
    main()
