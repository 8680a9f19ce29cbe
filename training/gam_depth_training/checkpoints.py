"""Checkpoints that survive a full disk, and that no other run resumes from by mistake."""

from __future__ import annotations

import io
import logging
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint

logger = logging.getLogger(__name__)

LAST = "last.ckpt"
# What torch raises on a file that it cannot read.
UNREADABLE = (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError)


def write_atomically(content: bytes, path: Path) -> None:
    """Write a file so that a full disk or a kill leaves the one before it intact.

    Raises:
        OSError: the disk is full, or the folder cannot be written; no partial file is left.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def torch_bytes(state: Any) -> bytes:
    """Return what ``torch.save`` would write."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints atomically; one that cannot be written costs a line, not the run.

    The next checkpoint tries again, and meanwhile the one before stays as it was.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint, or say why not."""
        target = Path(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(torch_bytes(checkpoint), target)
        except OSError as error:
            # Not raised: in a run on several devices the others would wait for this one forever.
            logger.error(
                "%s: got '%s' while writing the checkpoint of step %s, expected free space; the "
                "one before is intact and the run goes on: free some space",
                target,
                error.strerror or error,
                checkpoint.get("global_step", "?"),
            )


class KeepLast(Checkpoint):
    """Keeps one checkpoint, the newest, that says which run it belongs to.

    Args:
        folder: Where ``last.ckpt`` is written.
        every_steps: Steps between two.
        identity: What a run must have in common with a checkpoint to resume from it: words by
            name, see :func:`refuse_another_run`.
    """

    def __init__(self, folder: Path, every_steps: int, identity: Mapping[str, str]) -> None:
        self.path = folder / LAST
        self.every_steps = every_steps
        self.identity = dict(identity)

    def on_save_checkpoint(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Say in the checkpoint whose it is."""
        checkpoint["identity"] = self.identity

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save after every so many steps, and after the last one."""
        step = trainer.global_step
        if step % self.every_steps == 0 or step == trainer.max_steps:
            trainer.save_checkpoint(self.path, weights_only=False)  # optimiser and loops too


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of this program.

    Raises:
        ValueError: the file cannot be read, or is something else.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE:
        checkpoint = None
    if not isinstance(checkpoint, dict) or "identity" not in checkpoint:
        raise ValueError(
            f"{path}: got a file that is no checkpoint of `gam-depth-train fit`, expected one; "
            "delete it to start anew"
        )
    return checkpoint


def refuse_another_run(
    found: Mapping[str, str], expected: Mapping[str, str], where: Path
) -> None:
    """Check that a checkpoint belongs to this run.

    Args:
        found: The checkpoint's identity.
        expected: This run's.
        where: The checkpoint, for the message.

    Raises:
        ValueError: they differ; names the first thing that does.
    """
    for name, value in expected.items():
        if found.get(name) != value:
            raise ValueError(
                f"{where}: got a checkpoint of {name} {found.get(name, 'unknown')}, expected "
                f"{value}; resume with the {name} it began with, or give another --out"
            )
