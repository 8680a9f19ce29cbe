"""Everything between trained weights and a model file: provenance, calibration, export."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gam_depth_ros.core.labels import NYU13
from gam_depth_ros.core.model_spec import ModelSpec
from gam_depth_training.batch import (
    ShardFrames,
    find_shards,
    load_shards,
    resize_sample,
    split_shards,
)
from gam_depth_training.calibration import fit_calibration, normalised_residuals
from gam_depth_training.config import TrainingConfig
from gam_depth_training.export import ParityReport, export_onnx
from gam_depth_training.fit import ValidationBatches
from gam_depth_training.model_statistics import training_statistics, write_statistics
from gam_depth_training.networks import JointNetwork
from gam_depth_training.picture_answers import ReferencePicture, measure
from gam_depth_training.provenance import PROJECT_LICENCE, Provenance
from gam_depth_training.reference_pictures import SYNTHETIC
from gam_depth_training.trained_network import load_network

PARITY_PICTURES = 8


def export_weights(
    weights: Path,
    shards: Path,
    config: TrainingConfig,
    out: Path,
    commit: str,
    day: str,
    licence: str | None = None,
) -> tuple[ParityReport, ModelSpec]:
    """Calibrate sigma on the held-out shards and write the model file.

    Its licence is this project's unless stated: it saw nothing but this project's rooms.

    Returns:
        The parity report and the contract written.

    Raises:
        ValueError: weights or shards do not fit.
        ExportError: the file does not answer as the network does.
    """
    network = load_network(weights)
    training, validation = split_shards(find_shards(shards), config.validation_shards)
    provenance = Provenance(
        config.name,
        config.digest(),
        f"{len(training)} shards of synthetic rooms, no recordings",
        commit,
        day,
        licence or PROJECT_LICENCE,
    )
    size_hw = config.stages[-1].size_hw
    return write_model(network, load_shards(validation), size_hw, provenance, out)


def write_model(
    network: JointNetwork,
    held_out: ShardFrames,
    size_hw: tuple[int, int],
    provenance: Provenance,
    out: Path,
) -> tuple[ParityReport, ModelSpec]:
    """Calibrate a network's sigma on held-out rooms, write its model file, check and measure it.

    Raises:
        ExportError: the file does not answer as the network does.
    """
    batches = list(ValidationBatches(held_out, size_hw, 16))
    calibration = fit_calibration(
        normalised_residuals(network, batches), f"{len(held_out)} held-out synthetic frames"
    )
    spec = ModelSpec(
        name=provenance.name,
        input_size_hw=size_hw,
        labels=NYU13,
        sigma_calibration=calibration,
        training=provenance.training(),
        licence=provenance.licence,
    )
    picked = np.linspace(0, len(held_out) - 1, PARITY_PICTURES).astype(int)
    pictures = np.stack(
        [
            resize_sample(held_out.rgb[i], held_out.depth_m[i], held_out.label[i], size_hw)[0]
            for i in picked
        ]
    )
    report = export_onnx(network, spec, out, pictures)
    good = (ReferencePicture(*pair) for pair in zip(held_out.rgb, held_out.depth_m, strict=True))
    reference = training_statistics(measure(out, {SYNTHETIC: good}))
    return report, write_statistics(out, reference, out)
