"""Claims about a training run, from shards to a model file that the engine loads."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_training.batch import (
    ShardFrames,
    TrainingBatches,
    augment,
    find_shards,
    load_shards,
    split_shards,
)
from gam_depth_training.calibration import fit_calibration
from gam_depth_training.config import (
    AugmentationConfig,
    LossWeights,
    StageConfig,
    TrainingConfig,
    load_config,
)
from gam_depth_training.export import fuse_batch_norm
from gam_depth_training.fit import RunningMean, fit
from gam_depth_training.module import SupervisedModule, supervised_terms, weighted_total
from gam_depth_training.networks import JointNetwork
from gam_depth_training.release import export_weights, load_network

REPOSITORY = Path(__file__).resolve().parents[2]


def _frames(count: int, seed: int = 0) -> ShardFrames:
    """Pictures whose brightness is their depth: something that can be learnt."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0.2, 1.0, 96)[None, None] * rng.uniform(0.6, 1.0, (count, 64, 1))
    rgb = np.repeat((255 * ramp)[..., None], 3, axis=3).astype(np.uint8)
    depth = (1 + 4 * ramp).astype(np.float16)
    label = np.broadcast_to(np.arange(64)[None, :, None] // 32, depth.shape).astype(np.uint8)
    return ShardFrames(rgb, depth, np.ascontiguousarray(label))


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    for index in range(3):
        frames = _frames(8, index)
        np.savez(
            folder / f"{index:05d}.npz",
            rgb=frames.rgb,
            depth_m=frames.depth_m,
            label=frames.label,
        )
    return folder


def _config(steps: int = 4) -> TrainingConfig:
    return TrainingConfig(
        name="tiny",
        validate_every=steps,
        validation_shards=1,
        stages=(
            StageConfig("coarse", (64, 96), steps, batch_size=2, shared_decoder=True),
            StageConfig("full", (64, 96), steps, batch_size=2),
        ),
    )


def test_the_shipped_config_reads():
    config = load_config(REPOSITORY / "config/training/synthetic_supervised.yaml")
    assert config.name == "gam-depth-r18"
    assert not config.stages[-1].shared_decoder


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stages: 3", "expected a mapping with a list under 'stages'"),
        ("name: x\nstages: [{name: a, size_hw: [50, 64], steps: 1}]", "multiples of 32"),
        ("name: x\nspeed: 1\nstages: []", "unknown key 'speed'"),
        (": : :", "expected a YAML file"),
    ],
)
def test_a_bad_config_gets_one_clear_line(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


def test_a_config_that_is_no_text_gets_one_clear_line(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(ValueError, match="got UnicodeDecodeError while reading it") as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


def test_no_shards_is_said_with_the_remedy(tmp_path):
    with pytest.raises(ValueError, match="run `gam-depth-train synth"):
        find_shards(tmp_path)


def test_the_first_shards_validate(shards):
    training, validation = split_shards(find_shards(shards), 1)
    assert [path.stem for path in validation] == ["00000"]
    assert len(load_shards(training)) == 16


def test_batches_go_on_where_a_stopped_run_left():
    frames = _frames(9)
    whole = iter(TrainingBatches(frames, (64, 64), 2, seed=3, crop=0.7))
    for _ in range(3):
        next(whole)
    resumed = iter(TrainingBatches(frames, (64, 64), 2, seed=3, crop=0.7, first_step=3))
    assert torch.equal(next(whole).image, next(resumed).image)


def test_an_epoch_shows_every_frame_once():
    batches = TrainingBatches(_frames(8), (64, 64), 2, seed=0, crop=1.0)
    seen = np.concatenate([batches._indices(step) for step in range(4)])
    assert sorted(seen) == list(range(8))


@pytest.mark.parametrize("decoder_norm", [False, True])
def test_folding_the_normalisation_changes_no_answer(decoder_norm):
    torch.manual_seed(0)
    network = JointNetwork(13, decoder_norm=decoder_norm)
    picture = torch.rand(2, 3, 64, 96)
    network(picture)  # so that the statistics are not those of an untouched network
    folded = fuse_batch_norm(network)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    with torch.no_grad():
        before, after = network.eval()(picture), folded(picture)
    torch.testing.assert_close(after.depth, before.depth, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after.logits, before.logits, rtol=1e-4, atol=1e-4)


def test_augmentation_grows_over_a_stage_as_the_config_says():
    stage = StageConfig("one", (64, 96), 10, augmentation_strength=(0.2, 0.6))
    module = SupervisedModule(JointNetwork(13, "shared"), _config(), stage, seed=1)
    assert module._strength() == pytest.approx(0.2)
    module.trainer = SimpleNamespace(global_step=5)
    assert module._strength() == pytest.approx(0.4)


def test_augmentation_of_strength_zero_changes_nothing_and_full_keeps_the_range():
    image = torch.rand(2, 3, 32, 32) * 0.9 + 0.05
    generator = torch.Generator().manual_seed(0)
    same = augment(image, AugmentationConfig(), 0.0, generator)
    torch.testing.assert_close(same, image)
    changed = augment(image, AugmentationConfig(), 1.0, generator)
    assert (changed - image).abs().mean() > 0.01
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_one_batch_overfits():
    torch.manual_seed(0)
    frames = _frames(2)
    batch = next(iter(TrainingBatches(frames, (64, 96), 2, seed=0, crop=1.0)))
    network = JointNetwork(13, "shared")
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    totals = []
    for _ in range(25):
        terms = supervised_terms(network(batch.image), batch)
        total = weighted_total(terms, LossWeights())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(terms["depth"].item())
    assert totals[-1] < 0.25 * totals[0]


@pytest.mark.parametrize(
    "choice", [{}, {"optimizer": "muon", "decoder_norm": True, "ema_decay": 0.0}]
)
def test_a_run_trains_exports_and_the_engine_gives_the_same_answers(shards, tmp_path, choice):
    config = dataclasses.replace(_config(), **choice)
    weights = fit(config, shards, tmp_path / "run", progress=False)
    model = tmp_path / "tiny.onnx"
    licence = "CC0-1.0" if choice else None
    origin = ("abc1234", "2026-01-01", licence)
    report, spec = export_weights(weights, shards, config, model, *origin)
    assert report.median_depth_change < 0.01
    assert str(REPOSITORY).encode() not in model.read_bytes(), "a path of this machine is inside"
    engine = OnnxEngine(model, EngineConfig(warmup_runs=0))
    assert engine.spec.training["commit"] == "abc1234"
    assert engine.spec.licence == (licence or "Apache-2.0"), "synthetic rooms alone are our own"
    assert engine.spec.sigma_calibration == spec.sigma_calibration
    assert engine.spec.sigma_calibration.k68 > 0
    picture = _frames(1).rgb
    output = engine.run(np.ascontiguousarray(picture))
    with torch.no_grad():
        prediction = load_network(weights)(torch.from_numpy(picture).permute(0, 3, 1, 2) / 255.0)
    np.testing.assert_allclose(output.depth, prediction.depth[0, 0], rtol=0.05)
    # The way back: the file's own weights in the network answer as the file.
    with torch.no_grad():
        again = load_network(model)(torch.from_numpy(picture).permute(0, 3, 1, 2) / 255.0)
    np.testing.assert_allclose(output.depth, again.depth[0, 0], rtol=1e-3)
    np.testing.assert_array_equal(output.label, again.logits[0].argmax(0))


def test_a_stopped_run_resumes_and_a_finished_one_is_not_repeated(shards, tmp_path):
    out = tmp_path / "run"
    weights = fit(_config(), shards, out, progress=False)
    first = weights.read_bytes()
    weights.unlink()  # as if killed between the last checkpoint and the final weights
    other = dataclasses.replace(_config(), seed=2)
    with pytest.raises(ValueError, match=r"got a checkpoint of config tiny .*, expected tiny"):
        fit(other, shards, out, progress=False)
    again = fit(_config(), shards, out, progress=False)
    assert again.read_bytes() == first


def test_the_running_mean_forgets_where_a_short_stage_started():
    callback = RunningMean(0.99)
    average = callback._kwargs["avg_fn"]
    mean = torch.zeros(1)
    for updates in range(1, 73):  # a stage of 360 steps
        mean = average(mean, torch.ones(1), updates)
    assert mean.item() > 0.99


def test_calibration_of_a_known_laplace_is_one():
    draws = np.abs(np.random.default_rng(0).laplace(size=200_000)) / 1.149
    calibration = fit_calibration(draws, "drawn")
    assert calibration.k68 == pytest.approx(1.0, abs=0.02)
    assert calibration.k90 == pytest.approx(np.log(10) / 1.149, abs=0.03)
