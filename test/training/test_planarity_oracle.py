"""Claims about normals, segment costs and planes: those of the official functions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gam_depth_training import planarity
from gam_depth_training.geometry import backproject, disparity_to_depth


@pytest.fixture(scope="module")
def oracle() -> dict[str, torch.Tensor]:
    path = Path(__file__).parents[1] / "data" / "oracle" / "planarity.npz"
    with np.load(path) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


def _points(oracle: dict[str, torch.Tensor]) -> torch.Tensor:
    return backproject(disparity_to_depth(oracle["disp"]), oracle["K"])


def test_shifted_normals_equal_the_official_ones(oracle):
    normals = planarity.surface_normals(_points(oracle), shifted=True)
    torch.testing.assert_close(normals, oracle["normals"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("epoch", [0, 30])
def test_alignment_equals_the_official_one(oracle, epoch):
    result = planarity.align_normals(oracle["normals"], oracle["vps"], epoch)
    assert torch.equal(result.index, oracle["mmap_index"].long())
    assert torch.equal(result.mask, oracle[f"mmap_mask_ep{epoch}"])
    assert torch.equal(result.aligned, oracle["aligned_norm"])


def test_plane_offset_equals_the_official_one(oracle):
    offset = planarity.plane_offset(_points(oracle), oracle["aligned_norm"])
    torch.testing.assert_close(offset[:, 0], oracle["plane_D"], atol=1e-5, rtol=0)


def test_edge_costs_equal_the_official_ones(oracle):
    points = _points(oracle)
    offset = planarity.plane_offset(points, oracle["aligned_norm"])
    costs = planarity.segment_edge_costs(
        oracle["img_t"], oracle["aligned_norm"], offset, shifted=True
    )
    torch.testing.assert_close(costs[0], oracle["cost_down"], atol=1e-6, rtol=0)
    torch.testing.assert_close(costs[1], oracle["cost_right"], atol=1e-6, rtol=0)


def test_planar_depth_and_mask_equal_the_official_ones(oracle):
    depth = disparity_to_depth(oracle["disp"])
    planar = planarity.planar_depth(depth, oracle["K"], oracle["segments"].long())
    mask = planarity.large_segments(oracle["segments"].long())
    assert torch.equal(mask, oracle["planar_mask"])
    torch.testing.assert_close(planar, oracle["planar_depth"], atol=1e-3, rtol=0)
    loss = planarity.coplanar_loss(depth, planar, mask)
    torch.testing.assert_close(loss, oracle["planar_loss"].float(), atol=1e-5, rtol=0)


def test_manhattan_loss_equals_the_official_one(oracle):
    normals = planarity.surface_normals(_points(oracle), shifted=True)
    aligned = planarity.align_normals(normals, oracle["vps"], epoch=0)
    mask = aligned.mask & planarity.large_segments(oracle["segments"].long())
    loss = planarity.manhattan_normal_loss(normals, aligned.aligned, mask)
    torch.testing.assert_close(loss, oracle["norm_loss"].float(), atol=1e-6, rtol=0)


def test_the_unshifted_normals_are_the_official_ones_moved_back(oracle):
    straight = planarity.surface_normals(_points(oracle))
    shifted = planarity.surface_normals(_points(oracle), shifted=True)
    assert torch.equal(straight[..., 3:-3, 3:-3], shifted[..., 6:, :-6])


def test_half_precision_around_the_functions_changes_nothing(oracle):
    depth = disparity_to_depth(oracle["disp"])

    def terms() -> list[torch.Tensor]:
        points = backproject(depth, oracle["K"])
        normals = planarity.surface_normals(points)
        aligned = planarity.align_normals(normals, oracle["vps"], 0)
        planar = planarity.planar_depth(depth, oracle["K"], oracle["segments"].long())
        offset = planarity.plane_offset(points, aligned.aligned)
        costs = planarity.segment_edge_costs(oracle["img_t"], aligned.aligned, offset)
        return [normals, *aligned, planar, *costs]

    plain = terms()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = terms()
    for left, right in zip(plain, mixed, strict=True):
        assert torch.equal(left, right)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_gpu_gives_the_losses_and_gradients_of_the_cpu(oracle):
    results = []
    for device in ("cpu", "cuda"):
        arrays = {name: array.to(device) for name, array in oracle.items()}
        disparity = arrays["disp"].clone().requires_grad_()
        depth = disparity_to_depth(disparity)
        points = backproject(depth, arrays["K"])
        normals = planarity.surface_normals(points)
        aligned = planarity.align_normals(normals, arrays["vps"], 0)
        offset = planarity.plane_offset(points, aligned.aligned)
        segments = planarity.planar_segments(arrays["img_t"], aligned.aligned, offset)
        planar = planarity.planar_depth(depth, arrays["K"], arrays["segments"].long())
        mask = planarity.large_segments(arrays["segments"].long())
        loss = planarity.coplanar_loss(depth, planar, mask)
        loss = loss + planarity.manhattan_normal_loss(normals, aligned.aligned, aligned.mask)
        loss.backward()
        assert segments.device == depth.device
        results.append((loss.detach().cpu(), disparity.grad.cpu()))
    torch.testing.assert_close(results[0], results[1], atol=1e-5, rtol=1e-4)
