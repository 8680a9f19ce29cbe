"""Runs a training config stage by stage, with checkpoints that a stopped run resumes from."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from gam_depth_ros.core.labels import NYU13
from gam_depth_training.batch import (
    Batch,
    ShardFrames,
    TrainingBatches,
    collate,
    find_shards,
    load_shards,
    resize_sample,
    split_shards,
)
from gam_depth_training.checkpoints import (
    LAST,
    AtomicCheckpointIO,
    KeepLast,
    read_checkpoint,
    refuse_another_run,
    torch_bytes,
    write_atomically,
)
from gam_depth_training.config import StageConfig, TrainingConfig
from gam_depth_training.module import SupervisedModule
from gam_depth_training.networks import JointNetwork
from gam_depth_training.start_weights import network_part
from gam_depth_training.trained_network import Teacher, load_network, start_from

logger = logging.getLogger(__name__)

MAX_VALIDATION_FRAMES = 384
CHECKPOINT_EVERY_STEPS = 200
# On two cores an update of the mean costs a sixth of a step, and every fifth does as well.
EMA_EVERY_STEPS = 5


class ValidationBatches(torch.utils.data.IterableDataset[Batch]):
    """The held-out frames once, in order, evenly thinned to MAX_VALIDATION_FRAMES."""

    def __init__(self, frames: ShardFrames, size_hw: tuple[int, int], batch_size: int) -> None:
        step = max(1, len(frames) // MAX_VALIDATION_FRAMES)
        self.frames = frames
        self.indices = list(range(0, len(frames), step))
        self.size_hw = size_hw
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[Batch]:
        for first in range(0, len(self.indices), self.batch_size):
            chosen = self.indices[first : first + self.batch_size]
            yield collate(
                [
                    resize_sample(
                        self.frames.rgb[i],
                        self.frames.depth_m[i],
                        self.frames.label[i],
                        self.size_hw,
                    )
                    for i in chosen
                ]
            )


class RunningMean(WeightAveraging):
    """Exponential mean of the weights that forgets where the stage started.

    A constant decay would leave half of a short stage's result at its first weights; so the decay
    grows with the number of updates n as (1 + n) / (10 + n) until it reaches its value.

    Args:
        decay: Decay in the long run.
    """

    def __init__(self, decay: float) -> None:
        def average(mean: torch.Tensor, current: torch.Tensor, updates: Any) -> torch.Tensor:
            kept = min(decay, float((1 + updates) / (10 + updates)))
            return kept * mean + (1 - kept) * current

        # Buffers too: batch statistics must fit the averaged weights.
        super().__init__(use_buffers=True, avg_fn=average)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Say whether to update: after every fifth step."""
        return step_idx is not None and step_idx % EMA_EVERY_STEPS == 0


class ReportScores(Callback):
    """Says each validation's scores in the log, for runs without a screen."""

    def on_validation_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Log the scores of the validation that just ended."""
        scores = {
            name.removeprefix("val/"): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("val/")
        }
        text = "  ".join(f"{name} {value:.4f}" for name, value in sorted(scores.items()))
        logger.info("step %d: %s", trainer.global_step, text)


def fit(
    config: TrainingConfig,
    shards: Path,
    out: Path,
    progress: bool = True,
    teacher: Path | None = None,
    start: Path | None = None,
) -> Path:
    """Train every stage; a stage that has its final weights is skipped, a started one resumed.

    Args:
        config: The run.
        shards: Folder of shards.
        out: Folder for checkpoints, weights and TensorBoard logs.
        progress: Whether to show a progress bar.
        teacher: Weights of the network that teaches, where the config has terms for one.
        start: Weights to start from; the first stage that has no weights of its own yet begins
            with them, or with their encoder alone where the decoders are of another shape.

    Returns:
        The last stage's weights: a state dict of :class:`JointNetwork`.

    Raises:
        ValueError: no or too few shards, a checkpoint of another config, a teacher without
            terms or the other way round, or weights that do not fit.
        NonFiniteLossError: a loss term broke.
    """
    taught = _load_teacher(config, teacher)
    out.mkdir(parents=True, exist_ok=True)
    lightning.seed_everything(config.seed, verbose=False)
    network = _first_network(config, start)
    weights = out / "weights.pt"
    for index, stage in enumerate(config.stages):
        if not stage.shared_decoder:
            network.split_decoder()
        weights = out / f"{index}_{stage.name}.pt"
        if weights.exists():
            network.load_state_dict(torch.load(weights, weights_only=True))
        else:
            _fit_stage(network, config, stage, index, shards, out, progress, taught)
            # A trainer and what it trains refer to each other, and Python counts such circles by
            # objects, not by the gigabytes of frames that they keep alive.
            gc.collect()
            write_atomically(torch_bytes(network.state_dict()), weights)
    return weights


def _first_network(config: TrainingConfig, start: Path | None) -> JointNetwork:
    first = "shared" if config.stages[0].shared_decoder else config.decoders
    network = JointNetwork(
        len(NYU13), first, decoder_norm=config.decoder_norm, shape=config.network
    )
    if start is not None:
        start_from(network, start, f"config {config.name}")
    return network


def _load_teacher(config: TrainingConfig, path: Path | None) -> Teacher | None:
    if config.weights.teach != (path is not None):
        raise ValueError(
            f"config {config.name}: got {'no' if path is None else 'a'} teacher and "
            f"{'' if config.weights.teach else 'no '}weights for what it says, expected both or "
            "neither; give --teacher FILE, or weights.taught_depth and the like"
        )
    return None if path is None else Teacher(load_network(path))


def _fit_stage(
    network: JointNetwork,
    config: TrainingConfig,
    stage: StageConfig,
    index: int,
    shards: Path,
    out: Path,
    progress: bool,
    teacher: Teacher | None,
) -> None:
    # Read anew for each stage, so that rendering may go on while the first ones train.
    training, validation = split_shards(find_shards(shards), config.validation_shards)
    frames, held_out = load_shards(training), load_shards(validation)
    logger.info("%s: %d frames train, %d validate", stage.name, len(frames), len(held_out))
    seed = config.seed + index
    lightning.seed_everything(seed, verbose=False)
    folder = out / f"{index}_{stage.name}"
    last = folder / LAST
    identity = {"config": f"{config.name} {config.digest()}", "stage": stage.name}
    # Convolutions on a CPU are a tenth faster with the channels last.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    first_step = 0
    if last.exists():
        found = read_checkpoint(last)
        refuse_another_run(found["identity"], identity, last)
        first_step = int(found["global_step"])
        if first_step >= stage.steps:  # killed just before the weights were written
            network.load_state_dict(network_part(found["state_dict"]))
            return
        logger.info("stage %s resumes at step %d", stage.name, first_step)
    module = SupervisedModule(network, config, stage, seed, teacher)
    checkpoints = KeepLast(folder, CHECKPOINT_EVERY_STEPS, identity)
    averaging = [RunningMean(config.ema_decay)] if config.ema_decay > 0 else []
    trainer = lightning.Trainer(
        max_steps=stage.steps,
        accelerator="auto",
        devices=1,
        precision=config.precision,
        logger=TensorBoardLogger(str(out), name="tensorboard", version=f"{index}_{stage.name}"),
        callbacks=[*averaging, checkpoints, ReportScores()],
        plugins=[AtomicCheckpointIO()],
        val_check_interval=config.validate_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        enable_progress_bar=progress,
        enable_model_summary=False,
        log_every_n_steps=20,
    )
    batches = TrainingBatches(
        frames, stage.size_hw, stage.batch_size, seed, config.augmentation.crop, first_step
    )
    trainer.fit(
        module,
        DataLoader(batches, batch_size=None, num_workers=config.loader_workers),
        DataLoader(ValidationBatches(held_out, stage.size_hw, stage.batch_size), batch_size=None),
        ckpt_path=str(last) if last.exists() else None,
        weights_only=True,  # a checkpoint from outside must not run code
    )
