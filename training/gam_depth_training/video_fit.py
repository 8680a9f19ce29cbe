"""Runs a recipe: trains without labels, validates, keeps checkpoints, goes on after a stop."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from torch.utils.data import DataLoader

from gam_depth_training.batch import ShardFrames, TrainingBatches
from gam_depth_training.callbacks import FrozenStatistics, LogPictures, StepProgress
from gam_depth_training.checkpoints import (
    LAST,
    AtomicCheckpointIO,
    KeepLast,
    read_checkpoint,
    refuse_another_run,
    torch_bytes,
    write_atomically,
)
from gam_depth_training.evaluation_frames import EvaluationFrame
from gam_depth_training.fit import ReportScores, RunningMean
from gam_depth_training.provenance import DATA, TrainedOn
from gam_depth_training.recipe import Recipe
from gam_depth_training.recipe_file import save_recipe
from gam_depth_training.recipe_module import RecipeModule, network_state
from gam_depth_training.self_teaching import teacher_digest
from gam_depth_training.start_weights import weights_digest
from gam_depth_training.video_dataset import VideoDataset
from gam_depth_training.video_loader import Place, WithReplay, room_loader, video_loader
from gam_depth_training.video_validation import DepthScore, ReferenceFrames, score_network

logger = logging.getLogger(__name__)

WEIGHTS = "weights.pt"
SCORES = "scores.json"
RECIPE = "recipe.yaml"
# Frames of each validation during the run; the one at its end takes all.
VALIDATION_FRAMES = 200


@dataclass(frozen=True)
class RunOptions:
    """What changes how a run is carried out and not what it computes.

    Attributes:
        devices: Processes on each machine.
        num_nodes: Machines.
        accelerator: Lightning's name: "auto", "cpu", "gpu".
        workers: Processes that prepare batches, for each device.
        checkpoint_every: Steps between two checkpoints.
        pictures_every: Steps between two sets of pictures in TensorBoard.
        progress: Whether to show a progress bar.
    """

    devices: int = 1
    num_nodes: int = 1
    accelerator: str = "auto"
    workers: int = 0
    checkpoint_every: int = 200
    pictures_every: int = 500
    progress: bool = True


@dataclass(frozen=True)
class TrainingData:
    """What a run sees.

    Attributes:
        clips: Clips to train on.
        validation: Frames with reference depth, never trained on; None validates nothing.
        rooms: Synthetic rooms to replay, or None.
    """

    clips: VideoDataset
    validation: ReferenceFrames | None = None
    rooms: ShardFrames | None = None

    def digest(self) -> str:
        """Return 12 hexadecimal digits of which clips there are, in which order."""
        keys = "\n".join(clip.key for clip in self.clips.clips)
        rooms = 0 if self.rooms is None else len(self.rooms)
        return hashlib.sha256(f"{keys}\n{rooms}".encode()).hexdigest()[:12]


@dataclass(frozen=True)
class FitResult:
    """What a run leaves.

    Attributes:
        weights: State dict of the network that predicts; the checkpoint beside it has all.
        scores: Means over the validation frames by metric; empty without validation.
    """

    weights: Path
    scores: dict[str, float]


def fit_recipe(
    recipe: Recipe,
    data: TrainingData,
    out: Path,
    options: RunOptions = RunOptions(),
    callbacks: Sequence[Callback] = (),
) -> FitResult:
    """Train, or go on where a stopped run left; a finished run is not repeated.

    Args:
        recipe: The method.
        data: What it sees.
        out: Folder for checkpoint, weights, scores and TensorBoard logs.
        options: How it is carried out.
        callbacks: More of them.

    Raises:
        ValueError: the folder belongs to another recipe or other data, or the recipe does not fit
            the data.
        NonFiniteLossError: a loss term broke.
        OSError: the final weights cannot be written.
    """
    _check_replay(recipe, data)
    steps = recipe.total_steps(len(data.clips))
    identity = _identity(recipe, data)
    last = out / LAST
    checkpoint = read_checkpoint(last) if last.exists() else None
    if checkpoint is not None:
        refuse_another_run(checkpoint["identity"], identity, last)
    elif (out / WEIGHTS).exists():
        raise ValueError(
            f"{out}: got a folder with {WEIGHTS} and no {LAST}, expected an empty or a stopped "
            "run's folder; give another --out"
        )
    lightning.seed_everything(recipe.seed, verbose=False)
    module = RecipeModule(recipe, steps_per_epoch=recipe.steps_per_epoch(len(data.clips)))
    if checkpoint is not None and checkpoint["global_step"] >= steps:
        module.load_state_dict(checkpoint["state_dict"])
        return _finish(module, data, out)
    out.mkdir(parents=True, exist_ok=True)
    save_recipe(recipe, out / RECIPE)
    trained_on = TrainedOn.of(data.clips.clips, 0 if data.rooms is None else len(data.rooms))
    (out / DATA).write_text(trained_on.to_json())
    trainer = _trainer(recipe, module, steps, identity, out, options, callbacks)
    # The checkpoint of the first steps may be gone before there is one to resume from.
    del checkpoint
    trainer.fit(
        module,
        datamodule=_Loaders(recipe, data, options.workers),
        ckpt_path=str(last) if last.exists() else None,
        weights_only=True,
    )
    if not trainer.is_global_zero:
        return FitResult(out / WEIGHTS, {})
    return _finish(module, data, out)


def _identity(recipe: Recipe, data: TrainingData) -> dict[str, str]:
    """Say what a checkpoint must have in common with a run to be its own."""
    identity = {"recipe": f"{recipe.name} {recipe.digest()}", "data": data.digest()}
    # The recipe holds the paths of these files; what is in them may change.
    contents = {
        "teacher": teacher_digest(recipe),
        "start": weights_digest(recipe.start),
        "imagenet": weights_digest(recipe.imagenet),
    }
    return identity | {name: digest for name, digest in contents.items() if digest is not None}


def _check_replay(recipe: Recipe, data: TrainingData) -> None:
    if recipe.replay_share and data.rooms is None:
        raise ValueError(
            f"recipe {recipe.name}: got no synthetic rooms, expected some to replay; give "
            "--replay with a folder written by `synth --shards`, or --set replay_share=0"
        )


def _trainer(
    recipe: Recipe,
    module: RecipeModule,
    steps: int,
    identity: dict[str, str],
    out: Path,
    options: RunOptions,
    callbacks: Sequence[Callback],
) -> lightning.Trainer:
    several = options.devices * options.num_nodes > 1
    chosen: list[Callback] = [
        *([StepProgress()] if options.progress else []),
        *([FrozenStatistics(module.network)] if recipe.freeze_stem_and_batchnorm else []),
        *([RunningMean(recipe.ema_decay)] if recipe.ema_decay else []),
        LogPictures(options.pictures_every),
        ReportScores(),
        KeepLast(out, options.checkpoint_every, identity),
        *callbacks,
    ]
    return lightning.Trainer(
        max_steps=steps,
        accelerator=options.accelerator,
        devices=options.devices,
        num_nodes=options.num_nodes,
        # Which terms are on, and so which parameters learn, changes with the recipe and the epoch.
        strategy=DDPStrategy(find_unused_parameters=True) if several else "auto",
        # There is none for a CPU, which "auto" may mean too.
        sync_batchnorm=several and options.accelerator != "cpu" and torch.cuda.is_available(),
        use_distributed_sampler=False,
        precision=recipe.precision,
        gradient_clip_val=recipe.gradient_clip or None,
        logger=TensorBoardLogger(str(out), name="tensorboard", version=""),
        callbacks=chosen,
        plugins=[AtomicCheckpointIO()],
        val_check_interval=recipe.validate_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        enable_checkpointing=True,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=20,
    )


def _finish(module: RecipeModule, data: TrainingData, out: Path) -> FitResult:
    """Write the weights and score them on all validation frames."""
    weights = out / WEIGHTS
    write_atomically(torch_bytes(network_state(module)), weights)
    if data.validation is None:
        return FitResult(weights, {})
    frames = data.validation
    # Lightning has brought the network back to the CPU.
    module.network.to("cuda" if torch.cuda.is_available() else "cpu")
    result = score_network(module.network, frames, module.recipe.size_hw, frames.rules)
    write_atomically(json.dumps(scores_by_room(result), indent=1).encode(), out / SCORES)
    return FitResult(weights, result.summary())


def scores_by_room(result: DepthScore) -> dict[str, Any]:
    """Return the scores over all frames and in each room, for JSON."""
    rooms = {name: {"frames": result.count(name), **result.summary(name)} for name in result.groups}
    return {"frames": result.count(), **result.summary(), "rooms": rooms}


class _Loaders(lightning.LightningDataModule):
    """Batches of this process, from the step on at which the run stands."""

    def __init__(self, recipe: Recipe, data: TrainingData, workers: int) -> None:
        super().__init__()
        self.recipe = recipe
        self.data = data
        self.workers = workers

    def train_dataloader(self) -> Any:
        """Return endless batches; Lightning asks after it has restored the step."""
        assert self.trainer is not None
        recipe = self.recipe
        place = Place(
            self.trainer.global_step, self.trainer.global_rank, self.trainer.world_size
        )
        video = video_loader(
            self.data.clips, recipe.batch_size, recipe.seed, place, self.workers
        )
        if not recipe.replay_share or self.data.rooms is None:
            return video
        share = recipe.replay_share
        each = max(1, round(place.share(recipe.batch_size) * share / (1.0 - share)))
        rooms = TrainingBatches(
            self.data.rooms,
            recipe.size_hw,
            each * place.ranks,
            recipe.seed,
            crop=0.75,
        )
        return WithReplay(video, room_loader(rooms, place, self.workers))

    def transfer_batch_to_device(self, batch: Any, device: torch.device, index: int) -> Any:
        """Move a batch; frames with reference depth stay, for their size is not the network's."""
        if isinstance(batch, EvaluationFrame):
            return batch
        return super().transfer_batch_to_device(batch, device, index)

    def val_dataloader(self) -> Any:
        """Return the validation frames, thinned; every process scores all of them."""
        if self.data.validation is None:
            return []
        return DataLoader(self.data.validation.thinned(VALIDATION_FRAMES), batch_size=None)
