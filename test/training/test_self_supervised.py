"""Claims about the whole step of training without labels."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gam_depth_training import objective as objective_file
from gam_depth_training.geometry import disparity_to_depth, pose_matrix, synthesize_view
from gam_depth_training.module import NonFiniteLossError
from gam_depth_training.networks import JointNetwork, JointPrediction
from gam_depth_training.objective import Objective, ObjectiveOptions
from gam_depth_training.pose_networks import MotionNetwork
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


def test_the_first_warp_teaches_depth_and_first_poses_through_the_residual():
    torch.manual_seed(0)
    module = _tiny_module(ObjectiveOptions(photometric="mean", normal=0, planar=0))
    batch = _clip()
    disparity = torch.full((1, 1, *SIZE), 0.4, requires_grad=True)
    poses = module.first_poses(batch)
    refined = module.refined_poses(poses, disparity_to_depth(disparity), batch)
    refined[1][:, :3, 3].sum().backward()
    assert disparity.grad.abs().sum() > 0
    assert module.motion.first.decoder.pose.weight.grad.abs().sum() > 0


def _no_motion(pairs: Tensor) -> tuple[Tensor, Tensor]:
    return torch.zeros(*pairs.shape[:2], 3), torch.zeros(*pairs.shape[:2], 3)


@pytest.mark.parametrize("quirk", [False, True])
def test_the_residual_sees_two_pictures_of_one_look_unless_the_quirk_is_on(monkeypatch, quirk):
    clip = _clip()
    clip = replace(clip, inputs=clip.frames * 0.5)
    module = _tiny_module(ObjectiveOptions(quirks=OfficialQuirks(unjittered_residual_source=quirk)))
    seen: list[Tensor] = []
    monkeypatch.setattr(
        module.motion, "residual", lambda pairs: seen.append(pairs) or _no_motion(pairs)
    )
    module.refined_poses(module.first_poses(clip), torch.full((1, 1, *SIZE), 2.0), clip)
    target, warped = seen[0][1].split(3, dim=1)
    assert (warped.mean() > 1.5 * target.mean()) == quirk


# A small clip whose depth is known: a textured slanted wall, seen by a camera moving right.
SIZE = (64, 64)


def _intrinsics() -> Tensor:
    height, width = SIZE
    return torch.tensor([[[80.0, 0.0, width / 2], [0.0, 80.0, height / 2], [0.0, 0.0, 1.0]]])


def _true_depth() -> Tensor:
    return torch.linspace(1.5, 3.0, SIZE[1]).expand(1, 1, *SIZE).contiguous()


def _clip(seed: int = 0) -> VideoBatch:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, SIZE[0] // 4, SIZE[1] // 4, generator=generator)
    texture = nn.functional.interpolate(coarse, SIZE, mode="bicubic").clamp(0, 1)
    # The sources are warps of one picture, so the target's depth explains them all well.
    frames = []
    for offset in (-1, 0, 1):
        translation = torch.tensor([[-0.06 * offset, 0.0, 0.0]])
        pose = pose_matrix(torch.zeros(1, 3), translation, invert=True)
        frames.append(synthesize_view(texture, _true_depth(), _intrinsics(), pose))
    stacked = torch.stack(frames, 1)
    axes = torch.eye(3)
    return VideoBatch(
        frames=stacked,
        inputs=stacked,
        offsets=(-1, 0, 1),
        intrinsics=_intrinsics(),
        directions=torch.cat((axes, -axes))[None],
        magnitude=torch.full((1, 1, *SIZE), 100.0, dtype=torch.float64),
        labels=torch.zeros(1, *SIZE, dtype=torch.int64),
        keypoints=torch.ones(1, 1, *SIZE),
        keys=("wall/000000",),
    )


def _tiny_module(options: ObjectiveOptions, **motion: object) -> SelfSupervisedModule:
    torch.manual_seed(0)
    return SelfSupervisedModule(JointNetwork(5), MotionNetwork(**motion), Objective(options))


def test_one_clip_overfits_with_every_term_on():
    options = ObjectiveOptions(photometric="adaptive_mask", planar_min_area=20)
    module = _tiny_module(options, residual_encoder="shared")
    clip = _clip()
    clip = replace(clip, frames=clip.frames[:, 1:], inputs=clip.inputs[:, 1:], offsets=(0, 1))
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-4)
    history: dict[str, list[float]] = {}
    for _ in range(7):
        terms = module.terms(clip)
        optimizer.zero_grad()
        terms.total.backward()
        optimizer.step()
        for name, term in terms.scalars.items():
            history.setdefault(name, []).append(term.item())
    assert set(history) == {"photometric", "smoothness", "normal", "planar", "semantic"}
    assert history["photometric"][-1] < 0.3 * history["photometric"][0]
    assert history["semantic"][-1] < 0.3 * history["semantic"][0]
    assert history["planar"][-1] < 0.5 * history["planar"][0]
    # Sigma is taught in a later stage; all else learns.
    assert all(p.grad is not None for name, p in module.named_parameters() if "sigma" not in name)


def test_nan_depth_is_refused_with_the_clip_named():
    module = _tiny_module(ObjectiveOptions())
    module.network.disparity_head.conv.bias.data.fill_(float("nan"))
    with pytest.raises(NonFiniteLossError, match=r"got disparity not finite .*wall/000000"):
        module.terms(_clip())


def test_nan_pose_is_refused_with_the_pose_named():
    module = _tiny_module(ObjectiveOptions(), residual_passes=0)
    module.motion.first.decoder.pose.bias.data.fill_(float("nan"))
    with pytest.raises(NonFiniteLossError, match=r"got pose -1, pose \+1 not finite"):
        module.terms(_clip())


def test_nan_term_is_refused_with_the_term_and_the_clip_named():
    clip = _clip()
    magnitude = clip.magnitude.clone()
    magnitude[..., 3, 3] = float("nan")
    module = _tiny_module(ObjectiveOptions(normal=0, planar=0))
    with pytest.raises(NonFiniteLossError) as caught:
        module.terms(replace(clip, magnitude=magnitude))
    assert "got photometric, total not finite" in str(caught.value)
    assert "wall/000000" in str(caught.value)
    assert "\n" not in str(caught.value)


class BrokenGradient(SelfSupervisedModule):
    def training_step(self, batch: VideoBatch, batch_index: int) -> Tensor:
        total = super().training_step(batch, batch_index)
        weight = self.motion.first.decoder.pose.weight
        # Finite, with a gradient of 0 · infinity.
        return total + torch.sqrt((weight - weight).square()).sum()


def _fit(module: SelfSupervisedModule, batches: list[VideoBatch | None], tmp_path: Path) -> dict:
    module.configure_optimizers = lambda: torch.optim.Adam(module.parameters(), lr=1e-4)
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        default_root_dir=tmp_path,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = torch.utils.data.DataLoader(batches, batch_size=None)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    trainer.fit(module, loader)
    return {"step": trainer.global_step, **trainer.callback_metrics}


def test_nan_gradient_stops_before_the_weights_are_lost(tmp_path):
    torch.manual_seed(0)
    options = ObjectiveOptions(normal=0, planar=0)
    module = BrokenGradient(JointNetwork(5), MotionNetwork(residual_passes=0), Objective(options))
    with pytest.raises(NonFiniteLossError, match=r"motion\.first\.decoder\.pose\.weight"):
        _fit(module, [_clip()], tmp_path)
    assert all(torch.isfinite(p).all() for p in module.parameters())


def test_a_batch_whose_clips_are_all_lost_costs_no_step(tmp_path):
    module = _tiny_module(ObjectiveOptions(normal=0, planar=0), residual_passes=0)
    logged = _fit(module, [None, _clip()], tmp_path)
    assert logged["step"] == 1
    assert {"loss/photometric", "loss/semantic", "loss/smoothness", "loss/total"} <= set(logged)


def test_mixed_precision_keeps_depth_and_poses_fine():
    module = _tiny_module(ObjectiveOptions()).eval()
    batch = _clip()
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        disparity = module.network(batch.target_input).disparity
        poses = module.first_poses(batch)
    assert disparity.dtype == poses[1].dtype == torch.float32
    # bfloat16 has some 60 values in this range, of 4096 pixels.
    assert len(disparity.unique()) > 2000
