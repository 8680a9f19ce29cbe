"""Claims about steps on a small clip: what they learn, and what they refuse."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import lightning
import pytest
import torch
from torch import Tensor, nn

from gam_depth_training.geometry import disparity_to_depth, pose_matrix, synthesize_view
from gam_depth_training.module import NonFiniteLossError
from gam_depth_training.networks import JointNetwork
from gam_depth_training.objective import Objective, ObjectiveOptions
from gam_depth_training.pose_networks import MotionNetwork
from gam_depth_training.quirks import OfficialQuirks
from gam_depth_training.self_supervised import SelfSupervisedModule
from gam_depth_training.video_batch import VideoBatch

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


def test_one_clip_overfits_with_every_term_on():
    options = ObjectiveOptions(photometric="adaptive_mask")
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
