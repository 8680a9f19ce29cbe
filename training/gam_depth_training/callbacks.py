"""What happens beside the training steps: frozen parts, progress, pictures."""

from __future__ import annotations

import time
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from gam_depth_training.networks import ResNetEncoder
from gam_depth_training.pictures import first_pictures

_REDRAW_S = 0.5


def freeze_stem(encoder: ResNetEncoder) -> None:
    """Let the encoder's first convolution and its normalisation stay as they are."""
    for module in (encoder.conv1, encoder.bn1):
        module.requires_grad_(False)


def freeze_statistics(module: nn.Module) -> None:
    """Let every batch normalisation inside use its stored statistics and not change them."""
    for part in module.modules():
        # On several GPUs Lightning has put the other kind in the place of each.
        if isinstance(part, nn.BatchNorm2d | nn.SyncBatchNorm):
            part.eval()


class FrozenStatistics(Callback):
    """Keeps the batch statistics of a module as they are.

    Args:
        module: Its batch normalisations use their stored statistics.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Freeze again: Lightning puts modules into training mode after a validation."""
        freeze_statistics(self.module)


class StepProgress(Callback):
    """A progress bar over the optimiser steps of the whole run."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._drawn_s = 0.0

    @rank_zero_only
    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Show the bar, from the step where the run resumes."""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._progress.start()
        self._progress.add_task("fit", total=trainer.max_steps, completed=trainer.global_step)

    @rank_zero_only
    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Move the bar; the loss is read now and then, for reading it waits for the device."""
        if self._progress is None:
            return
        task = self._progress.task_ids[0]
        self._progress.update(task, completed=trainer.global_step)
        if time.monotonic() - self._drawn_s > _REDRAW_S:
            self._drawn_s = time.monotonic()
            loss = trainer.callback_metrics.get("loss/total")
            text = "fit" if loss is None else f"loss {float(loss):.4f}"
            self._progress.update(task, description=text)

    @rank_zero_only
    def teardown(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str
    ) -> None:
        """Take the bar away, after a failure too."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


class LogPictures(Callback):
    """Shows what the losses see in TensorBoard: depth, mask, warped source, error, labels.

    Args:
        every_steps: Steps between two looks; the first is at the first step.
    """

    def __init__(self, every_steps: int) -> None:
        self.every_steps = every_steps

    @rank_zero_only
    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Ask the step for its pictures."""
        pl_module.pictures_wanted = trainer.global_step % self.every_steps == 0

    @rank_zero_only
    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Draw the first clip of the batch."""
        pictures: dict[str, Tensor] = getattr(pl_module, "pictures", {})
        writer = getattr(trainer.logger, "experiment", None)
        if pictures and isinstance(writer, SummaryWriter):
            for name, picture in first_pictures(pictures).items():
                writer.add_image(f"step/{name}", picture, trainer.global_step, dataformats="HWC")
        pictures.clear()
