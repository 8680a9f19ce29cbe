"""Claims about a network that learns from truth and from a teacher at once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from gam_depth_training.batch import Batch
from gam_depth_training.config import LossWeights, StageConfig, TrainingConfig, load_config
from gam_depth_training.fit import fit
from gam_depth_training.module import SupervisedModule
from gam_depth_training.network_shape import NetworkShape
from gam_depth_training.networks import JointNetwork, JointPrediction
from gam_depth_training.trained_network import Teacher, load_network, taught_terms

from .noise_shards import write_noise_shards

CONFIGS = Path(__file__).resolve().parents[2] / "config/training"
TINY = NetworkShape("edge", (8, 8, 16, 16, 16), (8, 8, 8, 8), (8, 8, 8, 8), "zeros", "relu")
TAUGHT = LossWeights(taught_depth=0.5, taught_sigma=0.1, taught_semantic=0.2)


def _prediction(depth: float, log_b: float, logits: tuple[float, float]) -> JointPrediction:
    full = torch.ones(1, 1, 2, 2)
    scores = torch.tensor(logits).view(1, 2, 1, 1).expand(1, 2, 2, 2)
    return JointPrediction(full, depth * full, log_b * full, scores, torch.zeros(1, 4))


def test_the_terms_of_a_teacher_are_what_they_say():
    student, teacher = _prediction(2.0, -1.0, (0.0, 0.0)), _prediction(1.0, -1.5, (1.0, 0.0))
    terms = taught_terms(student, teacher)
    assert float(terms["taught_depth"]) == pytest.approx(np.log(2.0))
    assert float(terms["taught_sigma"]) == pytest.approx(0.5)
    share = np.array([np.e, 1.0]) / (np.e + 1.0)
    divergence = float((share * np.log(2 * share)).sum())
    assert float(terms["taught_semantic"]) == pytest.approx(divergence)
    assert all(float(term) == pytest.approx(0) for term in taught_terms(student, student).values())


def test_one_batch_overfits_truth_and_teacher_together():
    torch.manual_seed(0)
    ramp = torch.linspace(0.2, 1.0, 96).expand(2, 1, 64, 96)
    label = (torch.arange(64) // 32).view(1, 64, 1).expand(2, 64, 96)
    batch = Batch(ramp.expand(2, 3, 64, 96).contiguous(), 1 + 4 * ramp, label)
    teacher = Teacher(JointNetwork(13, decoder_norm=True, shape=TINY))
    stage = StageConfig("one", (64, 96), 60, augmentation_strength=(0.0, 0.0))
    config = TrainingConfig("tiny", (stage,), weights=TAUGHT, network=TINY)
    network = JointNetwork(13, decoder_norm=True, shape=TINY)
    module = SupervisedModule(network, config, stage, 1, teacher)
    module.log_dict = module.log = lambda *_, **__: None
    before = {name: value.clone() for name, value in teacher.network.state_dict().items()}
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    totals = []
    for _ in range(40):
        total = module.training_step(batch, 0)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(float(total.detach()))
    assert totals[-1] < 0.7 * totals[0]
    assert not any(name.startswith("teacher") for name in module.state_dict())
    after = teacher.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return write_noise_shards(tmp_path / "shards", 2)


def _config(weights: LossWeights, name: str = "taught") -> TrainingConfig:
    stage = StageConfig("one", (64, 96), 1, batch_size=2)
    return TrainingConfig(
        name, (stage,), validation_shards=1, weights=weights, network=TINY, decoders="split_late"
    )


def test_a_student_is_trained_from_a_teachers_file_and_goes_on_from_its_own(shards, tmp_path):
    teacher = tmp_path / "teacher.pt"
    torch.save(JointNetwork(13, shape=TINY).state_dict(), teacher)
    weights = fit(_config(TAUGHT), shards, tmp_path / "a", progress=False, teacher=teacher)
    student = load_network(weights)
    assert student.shape == TINY
    assert student.semantic_decoder.first_step == 3
    again = fit(_config(LossWeights()), shards, tmp_path / "b", progress=False, start=weights)
    moved = load_network(again).state_dict()["semantic_head.conv.weight"]
    first = student.state_dict()["semantic_head.conv.weight"]
    assert 0 < float((moved - first).abs().max()) < 0.05


def test_a_teacher_without_terms_and_terms_without_a_teacher_are_refused(shards, tmp_path):
    with pytest.raises(ValueError, match=r"got no teacher and weights .* give --teacher"):
        fit(_config(TAUGHT), shards, tmp_path / "a", progress=False)
    with pytest.raises(ValueError, match="got a teacher and no weights"):
        fit(_config(LossWeights()), shards, tmp_path / "a", teacher=tmp_path / "t.pt")


def test_weights_of_another_network_to_start_from_are_refused_in_one_line(shards, tmp_path):
    other = tmp_path / "other.pt"
    torch.save(JointNetwork(13).state_dict(), other)
    with pytest.raises(ValueError, match=r"expected those of the network of config") as caught:
        fit(_config(LossWeights()), shards, tmp_path / "a", start=other)
    assert "\n" not in str(caught.value)


def test_a_network_of_other_decoders_starts_from_the_encoder_alone(shards, tmp_path):
    start = tmp_path / "start.pt"
    wider = dataclasses.replace(TINY, depth_channels=(16, 16, 16, 16))
    torch.save(JointNetwork(13, "split_late", shape=wider).state_dict(), start)
    config = dataclasses.replace(
        _config(LossWeights()), stages=(StageConfig("one", (64, 96), 1, 2, 1e-6),)
    )
    trained = load_network(fit(config, shards, tmp_path / "a", progress=False, start=start))
    assert trained.shape == TINY
    given = load_network(start).encoder.state_dict()
    for name, value in trained.encoder.named_parameters():
        torch.testing.assert_close(value, given[name], rtol=0, atol=1e-4)


def test_the_digest_of_a_config_without_the_new_settings_is_as_it_was():
    # Read from the contract of the model shipped before there were any.
    config = load_config(CONFIGS / "synthetic_supervised.yaml")
    assert config.digest() == "1ab44bc91d5c"
    assert dataclasses.replace(config, network=TINY).digest() != config.digest()
    assert dataclasses.replace(config, weights=TAUGHT).digest() != config.digest()


@pytest.mark.parametrize(
    "name", ["default_model", "default_model_cpu", "edge_distilled", "edge_distilled_cpu"]
)
def test_the_recipes_of_the_shipped_models_read_and_build(name):
    config = load_config(CONFIGS / f"{name}.yaml")
    network = JointNetwork(
        13, config.decoders, decoder_norm=config.decoder_norm, shape=config.network
    )
    assert network.shape.activation == "relu"
    assert config.weights.teach == name.startswith("edge_distilled")
