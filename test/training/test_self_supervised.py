"""Claims about the whole step of training without labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gam_depth_training import objective as objective_file
from gam_depth_training.geometry import disparity_to_depth
from gam_depth_training.networks import JointPrediction
from gam_depth_training.objective import Objective, ObjectiveOptions
from gam_depth_training.quirks import OfficialQuirks
from gam_depth_training.self_supervised import SelfSupervisedModule
from gam_depth_training.video_batch import VideoBatch

ORACLE = "oracle/02_training_step.npz"
OFFSETS = (-2, -1, 0, 1, 2)
SOURCES = (-2, -1, 1, 2)
OFFICIAL = ObjectiveOptions(quirks=OfficialQuirks.official())
TERMS = {
    "loss_seg": "semantic",
    "smooth_loss/0": "smoothness",
    "planar_reg_loss/0": "planar",
    "norm_reg_loss/0": "normal",
}


class StoredPrediction(nn.Module):
    """Gives the oracle's outputs; the disparity keeps its gradient."""

    def __init__(self, oracle: dict[str, np.ndarray], samples: slice) -> None:
        super().__init__()
        self.disparity = nn.Parameter(torch.from_numpy(oracle["disp"][samples]))
        # The softmax of the logarithm of a distribution is the distribution.
        self.logits = torch.from_numpy(oracle["seg_prob"][samples]).log()

    def forward(self, image: Tensor) -> JointPrediction:
        depth = disparity_to_depth(self.disparity)
        zeros = torch.zeros_like(depth)
        return JointPrediction(self.disparity, depth, zeros, self.logits, zeros.mean((2, 3)))


class StoredMotion(nn.Module):
    """Gives the oracle's poses and notes what it was asked."""

    residual_passes = 1

    def __init__(self, oracle: dict[str, np.ndarray], samples: slice) -> None:
        super().__init__()
        self.stored = {
            name: torch.from_numpy(oracle[name][:, samples, 0, 0])
            for name in (
                "pose1_axisangle", "pose1_translation", "pose2_axisangle", "pose2_translation",
            )
        }
        self.frames: Tensor | None = None
        self.pairs: Tensor | None = None

    def consecutive(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        self.frames = frames
        return self.stored["pose1_axisangle"], self.stored["pose1_translation"]

    def residual(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        self.pairs = pairs
        return self.stored["pose2_axisangle"], self.stored["pose2_translation"]


@pytest.fixture(scope="module")
def oracle(shared_dir: Path) -> dict[str, np.ndarray]:
    return dict(np.load(shared_dir / ORACLE))


def _oracle_batch(oracle: dict[str, np.ndarray], samples: slice) -> VideoBatch:
    names = ("img_s-2", "img_s-1", "img_t", "img_s+1", "img_s+2")
    frames = torch.from_numpy(np.stack([oracle[name][samples] for name in names], 1))
    return VideoBatch(
        frames=frames,
        inputs=frames,
        offsets=OFFSETS,
        intrinsics=torch.from_numpy(oracle["K"][samples, :3, :3]),
        directions=torch.from_numpy(oracle["vps"][samples]),
        magnitude=torch.from_numpy(oracle["magnitude"][samples]),
        labels=torch.from_numpy(oracle["seg_proxy"][samples].astype(np.int64)),
        keypoints=torch.from_numpy(oracle["svo_map"][samples, None]).float(),
        keys=("first", "second")[samples],
    )


class OracleModule(SelfSupervisedModule):
    epoch = 0


@pytest.fixture
def oracle_step(oracle, monkeypatch):
    """Build the step with the oracle's networks and its stand-in for the segmentation."""

    def build(options: ObjectiveOptions = OFFICIAL, samples: slice = slice(0, 2)):
        segments = torch.from_numpy(oracle["segment_padded"][samples])
        monkeypatch.setattr(objective_file, "planar_segments", lambda *args: segments)
        network, motion = StoredPrediction(oracle, samples), StoredMotion(oracle, samples)
        module = OracleModule(network, motion, Objective(options))
        return module, _oracle_batch(oracle, samples)

    return build


NO_SEMANTIC = replace(OFFICIAL, semantic=0.0)


@pytest.mark.parametrize(
    ("run", "options", "epoch", "samples"),
    [
        ("B2_GAM_ep0", OFFICIAL, 0, slice(0, 2)),
        ("B2_keypoints_ep0", replace(OFFICIAL, photometric="keypoints"), 0, slice(0, 2)),
        ("B2_averaging_ep0", replace(OFFICIAL, photometric="mean"), 0, slice(0, 2)),
        ("B2_GAM_noseg_ep0", NO_SEMANTIC, 0, slice(0, 2)),
        ("B2_GAM_noseg_ep30", NO_SEMANTIC, 30, slice(0, 2)),
        ("B2_GAM_noseg_ep30", OFFICIAL, 30, slice(0, 2)),  # off by the schedule
        ("B1_sample0_GAM_ep0", OFFICIAL, 0, slice(0, 1)),
        ("B1_sample1_GAM_ep0", OFFICIAL, 0, slice(1, 2)),
    ],
)
def test_the_whole_step_equals_the_official_one(
    oracle, oracle_step, run, options, epoch, samples
):
    module, batch = oracle_step(options, samples)
    module.epoch = epoch
    terms = module.terms(batch)
    for official, ours in TERMS.items():
        if ours in terms.scalars:
            expected = float(oracle[f"{run}/{official}"])
            assert terms.scalars[ours].item() == pytest.approx(expected, abs=1e-5), ours
    assert ("semantic" in terms.scalars) == ("noseg" not in run)
    assert terms.total.item() == pytest.approx(float(oracle[f"{run}/loss"]), abs=1e-5)
    terms.total.backward()
    gradient = module.network.disparity.grad.numpy()
    if epoch == 30:
        return  # the official gradient was not stored for this run
    # Semantics have no path to the disparity.
    expected = oracle[f"{run.replace('_noseg', '')}/grad_disp"]
    np.testing.assert_allclose(gradient, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(("index", "samples"), [(0, slice(0, 1)), (1, slice(1, 2))])
def test_one_picture_alone_has_the_official_photometric_term_without_the_broadcasting(
    oracle, oracle_step, index, samples
):
    quirks = replace(OfficialQuirks.official(), batch_broadcasting=False)
    module, batch = oracle_step(replace(OFFICIAL, quirks=quirks), samples)
    expected = float(oracle[f"B1_sample{index}_GAM_photo_term"])
    assert module.terms(batch).scalars["photometric"].item() == pytest.approx(expected, abs=1e-6)


def test_without_the_broadcasting_a_batch_is_the_mean_of_its_pictures(oracle, oracle_step):
    quirks = replace(OfficialQuirks.official(), batch_broadcasting=False)
    module, batch = oracle_step(replace(OFFICIAL, quirks=quirks))
    alone = [float(oracle[f"B1_sample{index}_GAM_photo_term"]) for index in (0, 1)]
    term = module.terms(batch).scalars["photometric"].item()
    assert term == pytest.approx(np.mean(alone), abs=1e-6)
    assert abs(term - float(oracle["B2_GAM_photo_term"])) > 0.004


def test_poses_before_and_after_the_residual_equal_the_official_ones(oracle, oracle_step):
    module, batch = oracle_step()
    first = module.first_poses(batch)
    depth = module.network(batch.target_input).depth
    final = module.refined_poses(first, depth, batch)
    for offset in SOURCES:
        np.testing.assert_allclose(first[offset], oracle[f"T_first_0_{offset:+d}"], atol=1e-6)
        np.testing.assert_allclose(final[offset], oracle[f"T_final_0_{offset:+d}"], atol=1e-6)
    warped = module.warp(dict(batch.sources), depth, final, batch)
    for offset in SOURCES:
        expected = oracle[f"warp2_{offset:+d}"]
        np.testing.assert_allclose(warped[offset].detach(), expected, atol=1e-5)


def test_the_residual_network_sees_pairs_in_temporal_order(oracle, oracle_step):
    module, batch = oracle_step()
    module.terms(batch)
    first_pair = torch.cat((module.motion.frames[:, 0], module.motion.frames[:, 1]), 1)
    np.testing.assert_array_equal(first_pair, oracle["pose1_input_first_call"])
    for index, offset in enumerate(SOURCES):
        warped, target = module.motion.pairs[index].split(3, dim=1)
        if offset > 0:
            warped, target = target, warped
        expected = oracle[f"warp1_{offset:+d}"]
        np.testing.assert_allclose(warped.detach(), expected, atol=1e-5)
        assert torch.equal(target, batch.target)
