"""Claims about running a recipe: schedule, stops and restarts, several processes, bad folders."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from gam_depth_training import checkpoints, video_fit
from gam_depth_training.callbacks import freeze_statistics
from gam_depth_training.checkpoints import LAST, AtomicCheckpointIO
from gam_depth_training.recipe_file import load_recipe
from gam_depth_training.recipe_module import RecipeModule, network_state
from gam_depth_training.release import load_network
from gam_depth_training.video_fit import RECIPE, WEIGHTS, TrainingData, fit_recipe
from gam_depth_training.video_validation import ReferenceFrames

from . import video_runs
from .video_runs import clips_of, options, tiny_recipe, video_dataset, write_sequence


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that is removed at once: checkpoints of the whole training are large."""
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


class KilledError(RuntimeError):
    """Stands for a kill."""


class Kill(Callback):
    """Stops a run after a step as a kill would: without a word to anyone."""

    def __init__(self, after_step: int) -> None:
        self.after_step = after_step

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Kill after the step."""
        if trainer.global_step == self.after_step:
            raise KilledError


class Rates(Callback):
    """Notes the learning rates of each step."""

    def __init__(self) -> None:
        self.rates: list[list[float]] = []

    def on_train_batch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Note what the coming step will take."""
        self.rates.append([group["lr"] for group in trainer.optimizers[0].param_groups])


def test_a_run_killed_in_mid_epoch_and_resumed_gives_the_same_weights(folder):
    # Two steps an epoch: killed after the fifth step, resumed from the third. The running mean
    # takes in the first and the sixth step.
    recipe = tiny_recipe(max_steps=6, milestones=(1,), ema_decay=0.9)
    data = TrainingData(video_dataset(recipe, write_sequence(folder / "wall", frames=6)))
    assert recipe.steps_per_epoch(len(data.clips)) == 2
    whole = torch.load(fit_recipe(recipe, data, folder / "whole", options()).weights)
    shutil.rmtree(folder / "whole")
    stopped, run = folder / "stopped", options(checkpoint_every=3)
    with pytest.raises(KilledError):
        fit_recipe(recipe, data, stopped, run, [Kill(5)])
    weights = fit_recipe(recipe, data, stopped, run).weights
    resumed = torch.load(weights)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    # Nor is a finished run repeated: its weights come from the checkpoint alone.
    weights.unlink()
    again = torch.load(fit_recipe(recipe, data, stopped, run, [Kill(1)]).weights)
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_a_checkpoint_of_another_recipe_or_of_other_data_is_refused(folder):
    recipe = tiny_recipe(max_steps=1)
    sequence = write_sequence(folder / "wall", frames=4)
    data = TrainingData(video_dataset(recipe, sequence))
    out = folder / "run"
    fit_recipe(recipe, data, out, options())
    assert load_recipe(out / RECIPE) == recipe
    other = replace(recipe, learning_rate=2e-4)
    with pytest.raises(ValueError, match=f"recipe tiny {recipe.digest()}, expected tiny"):
        fit_recipe(other, data, out, options())
    more = video_dataset(recipe, sequence, write_sequence(folder / "more", frames=4))
    with pytest.raises(ValueError, match="checkpoint of data"):
        fit_recipe(recipe, TrainingData(more), out, options())
    (out / LAST).unlink()
    with pytest.raises(ValueError, match="give another --out"):
        fit_recipe(recipe, data, out, options())
    (out / LAST).write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="no checkpoint") as caught:
        fit_recipe(recipe, data, out, options())
    assert "\n" not in str(caught.value)


def test_a_full_disk_keeps_the_checkpoint_before_and_costs_a_line(folder, monkeypatch, caplog):
    path = folder / LAST
    writer = AtomicCheckpointIO()
    writer.save_checkpoint({"identity": {}, "global_step": 1}, path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoints.os, "fsync", full)
    with caplog.at_level(logging.ERROR):
        writer.save_checkpoint({"identity": {}, "global_step": 2}, path)
    assert path.read_bytes() == before
    assert list(folder.iterdir()) == [path]
    assert "No space left on device" in caplog.text
    monkeypatch.undo()
    writer.save_checkpoint({"identity": {}, "global_step": 3}, path)
    assert checkpoints.read_checkpoint(path)["global_step"] == 3


def test_the_rate_follows_the_epochs_and_depth_waits_for_the_poses(folder):
    recipe = tiny_recipe(
        max_steps=3,
        milestones=(1, 2),
        pose_first_steps=1,
        encoder_rate_factor=0.5,
        pose_rate_factor=10.0,
    )
    rates = Rates()
    data = TrainingData(video_dataset(recipe, write_sequence(folder / "wall", frames=4)))
    assert recipe.steps_per_epoch(len(data.clips)) == 1
    fit_recipe(recipe, data, folder / "run", options(), [rates])
    expected = [[0, 0, 1e-3], [0.5e-5, 1e-5, 1e-4], [0.5e-6, 1e-6, 1e-5]]
    np.testing.assert_allclose(rates.rates, expected, rtol=1e-6)


def test_a_finetuned_stem_and_its_statistics_stay_and_the_rest_moves(folder):
    sequence = write_sequence(folder / "wall", frames=4)
    plain = tiny_recipe(max_steps=1, batch_size=2)
    data = TrainingData(video_dataset(plain, sequence))
    start = fit_recipe(plain, data, folder / "first", options()).weights
    tuned = replace(plain, start=str(start), freeze_stem_and_batchnorm=True, seed=5)
    rooms = _rooms()
    replaying = replace(tuned, replay_share=0.4)
    with pytest.raises(ValueError, match="got no synthetic rooms"):
        fit_recipe(replaying, data, folder / "second", options())
    result = fit_recipe(
        replaying, TrainingData(data.clips, rooms=rooms), folder / "second", options()
    )
    before, after = torch.load(start), torch.load(result.weights)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert not {name for name in moved if "running" in name or "tracked" in name}
    assert not {name for name in moved if name.startswith(("encoder.conv1", "encoder.bn1"))}
    assert {"encoder.layer1.0.conv1.weight", "depth_decoder.before.0.conv.weight"} <= moved
    # The rooms have truth for what recordings without labels say nothing of.
    assert {"sigma_head.conv.weight", "semantic_head.conv.weight"} <= moved


def test_statistics_shared_by_several_gpus_freeze_too():
    plain = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
    for module in (plain, torch.nn.SyncBatchNorm.convert_sync_batchnorm(plain)):
        module.train()
        freeze_statistics(module)
        assert not module[1].training
        assert module[0].training


@pytest.mark.parametrize(("found", "accelerator"), [(False, "auto"), (False, "cpu"), (True, "cpu")])
def test_processes_on_cpus_do_not_share_statistics(folder, monkeypatch, found, accelerator):
    wished: dict[str, Any] = {}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found)
    monkeypatch.setattr(video_fit.lightning, "Trainer", lambda **settings: wished.update(settings))
    several = options(devices=2, accelerator=accelerator)
    video_fit._trainer(tiny_recipe(), torch.nn.Module(), 1, {}, folder, several, ())
    assert wished["sync_batchnorm"] is False


def _rooms() -> Any:
    from gam_depth_training.batch import ShardFrames

    rng = np.random.default_rng(0)
    return ShardFrames(
        rng.integers(0, 255, (4, 64, 64, 3)).astype(np.uint8),
        rng.uniform(1, 4, (4, 64, 64)).astype(np.float16),
        rng.integers(0, 13, (4, 64, 64)).astype(np.uint8),
    )


def test_a_run_scores_its_validation_frames_and_logs_terms_and_pictures(folder):
    recipe = tiny_recipe(max_steps=2, validate_every=1)
    sequence = write_sequence(folder / "wall", frames=4)
    frames = ReferenceFrames(clips_of(replace(recipe, offsets=(0, 1)), sequence))
    data = TrainingData(video_dataset(recipe, sequence), frames)
    result = fit_recipe(recipe, data, folder / "run", options(pictures_every=1))
    assert 0 < result.scores["abs_rel"] < 2
    assert load_network(folder / "run" / WEIGHTS).classes == 13
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "run" / "tensorboard"))
    events.Reload()
    assert {"val/abs_rel", "val/d1"} <= set(events.Tags()["scalars"])
    shown = {"step/depth", "step/mask", "step/warped", "step/error", "step/target"}
    assert shown <= set(events.Tags()["images"])


def _together(*arguments: str) -> tuple[list[int], list[str]]:
    """Run two processes of one training; return how each ended and what it said."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        subprocess.Popen(
            [sys.executable, video_runs.__file__, *arguments],
            env={
                **os.environ,
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "NODE_RANK": "0",
                "LOCAL_RANK": str(rank),
                "OMP_NUM_THREADS": "1",
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=120)[1] for process in processes]
    return [process.returncode for process in processes], said


def test_two_processes_compute_what_one_does_on_the_joined_batch(folder):
    # With key points and partly labelled pictures: each process divides by counts of its own.
    sequence = write_sequence(folder / "wall", frames=6)
    alone = video_runs.watched_step(sequence, folder / "alone", 1, "keypoints")
    out = folder / "together"
    out.mkdir()
    codes, said = _together(str(sequence), str(out), "keypoints")
    assert codes == [0, 0], said
    for rank in range(2):
        found = torch.load(out / f"found_{rank}.pt")
        assert found.keys() == alone.keys()
        for name, expected in alone.items():
            scale = float(expected.abs().max()) + 1e-12
            difference = float((found[name] - expected).abs().max()) / scale
            assert difference < 1e-3, f"{name}: {difference}"


def test_what_breaks_in_one_process_ends_both_with_the_same_words(folder):
    sequence = write_sequence(folder / "wall", frames=6)
    codes, said = _together(str(sequence), str(folder), "gradient_mask", "broken")
    assert 0 not in codes
    refusals = [text.rpartition("NonFiniteLossError: ")[2].splitlines()[0] for text in said]
    assert refusals[0] == refusals[1], said
    assert refusals[0].startswith("got photometric, total not finite at step 0 of clips wall/")
    # The clips of the process that has it, two of the batch's four.
    assert refusals[0].count("wall/") == 2


def test_other_weights_to_start_from_under_the_same_name_are_refused(folder):
    recipe = tiny_recipe(max_steps=2)
    start = folder / "start.pt"
    torch.save(network_state(RecipeModule(recipe, 1)), start)
    recipe = replace(recipe, start=str(start))
    data = TrainingData(video_dataset(recipe, write_sequence(folder / "wall", frames=4)))
    out, run = folder / "run", options(checkpoint_every=1)
    with pytest.raises(KilledError):
        fit_recipe(recipe, data, out, run, [Kill(2)])
    torch.save(network_state(RecipeModule(replace(recipe, start=None), 1)), start)
    with pytest.raises(ValueError, match="got a checkpoint of start"):
        fit_recipe(recipe, data, out, run)
    start.unlink()
    with pytest.raises(ValueError, match="FileNotFoundError while reading it") as caught:
        fit_recipe(recipe, data, out, run)
    assert "\n" not in str(caught.value)
