"""Influence by gradients: contributions by hand, their sum, and that the weights speak."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from typer.testing import CliRunner

from gam_depth_ros.core.labels import NYU13
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.evaluation.explain import Region
from gam_depth_training.attention_gates import attention_gates
from gam_depth_training.cli import app
from gam_depth_training.explain import (
    ExplainOptions,
    explain_network,
    label_set_of,
    randomised_correlations,
)
from gam_depth_training.explain_report import write_explained
from gam_depth_training.influence import METHODS, Influence, Question, influence
from gam_depth_training.network_shape import NetworkShape
from gam_depth_training.networks import JointNetwork, JointPrediction
from gam_depth_training.trained_network import load_network
from gam_depth_training.weight_randomisation import cascade

SMALL = NetworkShape(
    encoder_channels=(8, 8, 8, 8, 8), depth_channels=(8,) * 5, semantic_channels=(8,) * 5
)
HERE = Question("depth", slice(1, 2), slice(2, 3))


class PlainNetwork(nn.Module):
    """Log depth is three times the red of the pixel, plus its green squared; two classes."""

    def forward(self, image: torch.Tensor) -> JointPrediction:
        red, green, blue = image[:, :1], image[:, 1:2], image[:, 2:]
        depth = (3.0 * red + green**2).exp()
        logits = torch.cat((2.0 * blue, torch.zeros_like(blue)), 1)
        return JointPrediction(depth, depth, depth, logits, depth.mean((2, 3)))


def small_network(attention: bool = False) -> JointNetwork:
    torch.manual_seed(3)
    network = JointNetwork(5, cross_task_attention=attention, shape=SMALL)
    return network.eval().requires_grad_(False)


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.zeros(1, 3, 4, 4)
    image[0, :, 1, 2] = torch.tensor([0.5, 0.8, 0.6])
    return image, torch.full_like(image, 0.2)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        # 3 (0.5 - 0.2) and 0.8² - 0.2²; to first order 2 · 0.8 (0.8 - 0.2).
        ("integrated", 0.9 + 0.6),
        ("gradient", 0.9 + 0.96),
    ],
)
def test_contribution_of_a_pixel_is_that_by_hand(method: str, expected: float) -> None:
    found = influence(PlainNetwork(), *pictures(), HERE, method=method, steps=4)
    assert found.pixels[1, 2] == pytest.approx(expected, rel=1e-5)
    assert np.count_nonzero(found.pixels) == 1
    assert found.score - found.baseline_score == pytest.approx(1.5, rel=1e-5)
    assert found.runs == (1 if method == "gradient" else 4) + 2


def test_smooth_gradient_averages_over_its_noise() -> None:
    found = influence(PlainNetwork(), *pictures(), HERE, method="smooth", steps=400)
    # The mean of 2 green is 2 · 0.8 whatever the noise, whose spread is 0.15 · 0.8.
    assert found.pixels[1, 2] == pytest.approx(0.9 + 0.96, abs=4 * 2 * 0.12 * 0.6 / 20)
    again = influence(PlainNetwork(), *pictures(), HERE, method="smooth", steps=400)
    np.testing.assert_array_equal(found.pixels, again.pixels)


def test_a_label_s_answer_is_its_log_odds() -> None:
    question = Question("label", slice(1, 2), slice(2, 3), label_id=0)
    found = influence(PlainNetwork(), *pictures(), question, steps=2)
    assert found.score == pytest.approx(2.0 * 0.6)
    other = Question("label", slice(1, 2), slice(2, 3), label_id=1)
    assert influence(PlainNetwork(), *pictures(), other, steps=2).score == pytest.approx(-1.2)
    assert found.pixels[1, 2] == pytest.approx(2.0 * (0.6 - 0.2), rel=1e-5)


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 1000), quantity=st.sampled_from(["depth", "label"]))
def test_integrated_contributions_add_up_to_the_difference_of_answers(
    seed: int, quantity: str
) -> None:
    """Completeness (Sundararajan et al. 2017, proposition 1), for a whole network."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(1, 3, 64, 64, generator=generator)
    baseline = torch.rand(1, 3, 1, 1, generator=generator).expand_as(image)
    question = Question(quantity, slice(10, 30), slice(5, 50), label_id=2)
    found = influence(small_network(), image, baseline, question, steps=24)
    difference = found.score - found.baseline_score
    size = np.abs(found.pixels).sum()
    assert found.pixels.sum() == pytest.approx(difference, abs=0.02 * size)


def test_a_pixel_that_is_as_the_baseline_contributes_nothing() -> None:
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    baseline = image.clone()
    baseline[..., 32:] = 0.5
    question = Question("depth", slice(0, 64), slice(0, 64))
    for method in METHODS:
        found = influence(small_network(), image, baseline, question, method=method, steps=2)
        assert not found.pixels[:, :32].any()
        assert found.pixels[:, 32:].any()


def test_a_patch_is_the_sum_of_its_pixels() -> None:
    pixels = np.zeros((6, 6))
    pixels[2, 2], pixels[2, 3] = 2.0, -0.5
    patches = Influence(pixels, 0.0, 0.0, 1).patches(3)
    assert patches[2, 2] == patches[3, 3] == 1.5
    assert patches[2, 1] == 2.0
    assert patches[2, 4] == -0.5
    assert patches[5, 5] == 0.0
    np.testing.assert_allclose(Influence(pixels, 0.0, 0.0, 1).patches(1), pixels)


@pytest.mark.parametrize(
    ("method", "steps", "expected"),
    [("magic", 4, "got method 'magic' with 4 steps"), ("smooth", 0, "at least one step")],
)
def test_what_cannot_be_asked_of_gradients_is_refused(
    method: str, steps: int, expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        influence(PlainNetwork(), *pictures(), HERE, method=method, steps=steps)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"quantity": "colour"}, "expected one of depth, label"),
        ({"fill": "noise"}, "one of mean, blur"),
        ({"size_hw": (100, 128)}, "expected multiples of 32"),
        ({"patch_px": 65}, "expected 1 to 64"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        ExplainOptions(**{"size_hw": (64, 96), **options})


def room() -> np.ndarray:
    """Return coarse colours above and a plain floor, as the test of occlusion uses."""
    rgb = cv2.resize(np.random.default_rng(5).integers(0, 255, (6, 8, 3), np.uint8), (128, 96))
    rgb[52:] = (120, 100, 80)
    return rgb


def test_the_map_changes_when_the_weights_are_randomised_part_by_part() -> None:
    """Adebayo et al. (NeurIPS 2018), on the model in the box."""
    network = load_network(default_model_path()).requires_grad_(False)
    options = ExplainOptions((96, 128), steps=2)
    explained = explain_network(room(), network, Region(56, 38, 16, 16), options)
    found = randomised_correlations(room(), network, explained, options)
    assert list(found) == ["heads", "decoders", *(f"encoder layer{n}" for n in (4, 3, 2, 1)),
                           "encoder conv1"]  # fmt: skip
    assert found.pop("heads") < 0.9  # the features, and where they look, are still there
    assert all(abs(value) < 0.7 for value in found.values()), found
    again = explain_network(room(), network, Region(56, 38, 16, 16), options)
    np.testing.assert_array_equal(again.found.influence, explained.found.influence)


def test_a_cascade_ends_at_a_network_without_a_trained_weight_and_leaves_the_first_alone() -> None:
    network = small_network(attention=True)
    before = {name: value.clone() for name, value in network.named_parameters()}
    *_, (_, last) = cascade(network, seed=1)
    for name, value in last.named_parameters():
        assert torch.equal(network.get_parameter(name), before[name])
        if value.dim() > 1 and before[name].unique().numel() > 8:
            assert not torch.equal(value, before[name]), name
            assert torch.equal(value.flatten().sort()[0], before[name].flatten().sort()[0])


def test_gates_tell_how_far_they_are_open_and_what_comes_through() -> None:
    network = small_network(attention=True)
    for direction in (network.attention.to_depth, network.attention.to_semantic):
        nn.init.zeros_(direction.gate.weight)
        nn.init.constant_(direction.gate.bias, math.log(3.0))  # sigmoid: 3/4
    image = torch.rand(1, 3, 64, 96)
    depth, semantic = attention_gates(network, image)
    assert (depth.name, semantic.name) == ("semantics to depth, 1/4", "depth to semantics, 1/4")
    assert depth.opening.shape == (16, 24)
    np.testing.assert_allclose(depth.opening, 0.75, rtol=1e-6)
    assert depth.share == 0.0  # its factors start at 0
    nn.init.ones_(network.attention.to_depth.factor)
    assert attention_gates(network, image)[0].share > 0.0
    assert not network.attention.to_depth._forward_hooks


def test_a_network_without_gates_has_none() -> None:
    assert attention_gates(small_network(), torch.rand(1, 3, 64, 96)) == []


def test_label_sets_fit_every_network() -> None:
    assert label_set_of(13) is NYU13
    assert label_set_of(40).names[:2] == ("wall", "floor")
    assert label_set_of(3).names == ("class 0", "class 1", "class 2")
    assert len(set(label_set_of(40).palette)) == 40


def test_page_shows_gates_and_shares_add_up(tmp_path: Path) -> None:
    options = ExplainOptions((64, 96), steps=2, patch_px=8)
    network, rgb = small_network(attention=True), room()
    explained = explain_network(rgb, network, Region(0, 0, 20, 20), options)
    about = {"source": {"path": "a", "name": "a", "index": 0},
             "model": {"name": "m", "path": "m", "sha256": "0"}}  # fmt: skip
    report, (_, page) = write_explained(
        explained, rgb, label_set_of(5), about, tmp_path, options, {"heads": math.nan}
    )
    assert sum(row["influence"] for row in report["labels"]) == pytest.approx(1.0)
    assert report["randomised"] == {"heads": None}
    assert [gate["name"] for gate in report["gates"]] == [g.name for g in explained.gates]
    text = page.read_text()
    assert "Gate: semantics to depth, 1/4" in text
    assert "Integrated gradients" in text
    # Bar, picture, influence, depth, labels, two gates.
    assert len(re.findall(r'src="data:image/', text)) == 7


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["explain", *(str(argument) for argument in arguments)])
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "weights.pt"
    torch.save(small_network().state_dict(), path)
    return path


def test_command_explains_a_picture(weights: Path, tmp_path: Path) -> None:
    picture = tmp_path / "room.png"
    cv2.imwrite(str(picture), room())
    code, text = run(picture, "--weights", weights, "--at", "60,40", "--of", "label", "--steps", 2,
                     "--size", "64x96", "--out", tmp_path / "out")  # fmt: skip
    assert code == 0, text
    report = json.loads((tmp_path / "out" / "explain.json").read_text())
    assert (report["quantity"], report["method"], report["steps"]) == ("label", "integrated", 2)
    assert report["size_hw"] == [64, 96]
    assert "contributions add up to" in text


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--at", "here"], "got 'here', expected X,Y"),
        (["--at", "3,3", "--method", "x"], "expected one of integrated, smooth, gradient"),
        (["--at", "3,3", "--size", "65x96"], "expected multiples of 32"),
        (["--at", "0,0,999,9"], "expected it within the picture"),
        (["--at", "3,3", "--weights", "none.pt"], "got FileNotFoundError"),
    ],
)
def test_mistakes_of_the_command_cost_one_line(
    weights: Path, tmp_path: Path, options: list[str], expected: str
) -> None:
    picture = tmp_path / "room.png"
    cv2.imwrite(str(picture), room())
    code, text = run(picture, "--weights", weights, "--size", "64x96", "--out", tmp_path, *options)
    assert code == 1
    assert expected in text
    assert "Traceback" not in text
