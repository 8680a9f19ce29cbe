"""Claims about normals, segment costs and planes, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gam_depth_training import planarity
from gam_depth_training.geometry import backproject

INTRINSICS = torch.tensor([[[50.0, 0, 31.5], [0, 52.0, 23.5], [0, 0, 1]]], dtype=torch.float64)
AXES = torch.eye(3, dtype=torch.float64)
ROOM = torch.cat([AXES, -AXES])[None]


def _plane_depth(normal: list[float], offset_m: float, size_hw=(48, 64)) -> torch.Tensor:
    """Depth of the plane n·X = offset."""
    rays = backproject(torch.ones(1, 1, *size_hw, dtype=torch.float64), INTRINSICS)
    return offset_m / torch.einsum("c,bchw->bhw", torch.tensor(normal).double(), rays)[:, None]


@pytest.mark.parametrize("normal", [[0.0, 0.0, 1.0], [0.0, 0.8, 0.6], [-0.6, 0.0, 0.8]])
def test_normals_of_a_plane_are_its_normal_inside_and_zero_in_the_margin(normal):
    points = backproject(_plane_depth(normal, 20.0), INTRINSICS)
    normals = planarity.surface_normals(points, distance=2)
    expected = torch.tensor(normal).double()[:, None, None].expand(3, 44, 60)
    torch.testing.assert_close(normals[0, :, 2:-2, 2:-2], expected)
    inside = torch.zeros(48, 64, dtype=torch.bool)
    inside[2:-2, 2:-2] = True
    assert not normals[0, :, ~inside].any()


def test_normals_of_points_that_coincide_are_zero_with_a_finite_gradient():
    points = torch.ones(1, 3, 9, 9, dtype=torch.float64, requires_grad=True)
    normals = planarity.surface_normals(points)
    normals.sum().backward()
    assert not normals.any()
    assert torch.isfinite(points.grad).all()


def test_normals_refuse_a_picture_smaller_than_the_neighbourhood():
    with pytest.raises(ValueError, match="more than 6 rows"):
        planarity.surface_normals(torch.ones(1, 3, 6, 20))


def test_the_tolerance_shrinks_from_26_to_11_degrees():
    angles = [np.degrees(np.arccos(planarity.alignment_threshold(e))) for e in (0, 49)]
    assert angles == pytest.approx([25.84, 11.5], abs=0.05)


def test_a_tilted_normal_aligns_early_and_not_late():
    tilt = np.radians(20)
    normals = torch.zeros(1, 3, 48, 64, dtype=torch.float64)
    normals[:, 0], normals[:, 2] = -np.cos(tilt), np.sin(tilt)
    early = planarity.align_normals(normals, ROOM, epoch=0)
    assert early.mask.sum() == (48 - 20 - 8) * (64 - 8 - 8)
    assert not early.mask[..., :20, :].any()
    assert (early.index == 3).all()  # row 3 is -x
    assert not planarity.align_normals(normals, ROOM, epoch=49).mask.any()


def test_unknown_directions_give_no_pixel_and_no_nan():
    points = backproject(_plane_depth([0.0, 0.0, 1.0], 2.0), INTRINSICS).repeat(2, 1, 1, 1)
    normals = planarity.surface_normals(points)
    directions = torch.cat([torch.full_like(ROOM, torch.nan), ROOM])
    aligned = planarity.align_normals(normals, directions, epoch=0)
    assert not aligned.mask[0].any()
    assert aligned.mask[1].any()
    loss = planarity.manhattan_normal_loss(normals, aligned.aligned, aligned.mask)
    assert loss == 0
    image = torch.rand(2, 3, 48, 64, dtype=torch.float64)
    offset = planarity.plane_offset(points, aligned.aligned)
    assert planarity.planar_segments(image, aligned.aligned, offset).max() > 0


def test_masked_pixels_dilute_the_manhattan_loss():
    normals = AXES[0].view(1, 3, 1, 1).expand(1, 3, 2, 2)
    aligned = AXES[1].view(1, 3, 1, 1).expand(1, 3, 2, 2)  # at a right angle: 1 - cos = 1
    mask = torch.tensor([[[[True, False], [False, False]]]])
    assert planarity.manhattan_normal_loss(normals, aligned, mask) == 0.25


def test_plane_offset_is_minus_the_distance_along_the_normal():
    points = backproject(_plane_depth([0.0, 0.0, 1.0], 2.0), INTRINSICS)
    offset = planarity.plane_offset(points, AXES[2].view(1, 3, 1, 1).expand_as(points))
    torch.testing.assert_close(offset, torch.full_like(offset, -2.0))


@pytest.mark.parametrize("shifted", [False, True])
def test_segments_part_at_a_colour_edge_and_at_a_change_of_plane(shifted):
    # Wall (z) above row 30, floor (y) below; a poster from column 32 on the wall.
    aligned = AXES[2].view(1, 3, 1, 1).repeat(1, 1, 48, 64)
    aligned[:, :, 30:] = AXES[1].view(3, 1, 1)
    offset = torch.full((1, 1, 48, 64), -2.0, dtype=torch.float64)
    image = torch.full((1, 3, 48, 64), 0.2, dtype=torch.float64)
    image[:, :, :30, 32:] = 0.9
    segments = planarity.planar_segments(image, aligned, offset, shifted)[0]
    wall, poster, floor = segments[20, 20], segments[20, 50], segments[40, 20]
    assert (wall, poster, floor) == (1, 2, 3)
    inside = planarity._inside(image, shifted, 3)[1:]
    expected = torch.where(torch.arange(64) < 32, 1, 2).repeat(48, 1)
    expected[30:] = 3
    assert torch.equal(segments[inside], expected[inside])
    margin = torch.ones(48, 64, dtype=torch.bool)
    margin[inside] = False
    assert margin.sum() == 48 * 64 - 42 * 58
    assert not segments[margin].any()


def test_planar_depth_of_two_planes_is_the_depth():
    wall, floor = _plane_depth([0.0, 0.0, 1.0], 3.0), _plane_depth([0.0, 1.0, 0.0], 1.2)
    depth = torch.where(torch.arange(48)[:, None] < 38, wall, floor)
    segments = (torch.arange(48)[:, None] >= 38).long().expand(1, 48, 64) + 1
    planar = planarity.planar_depth(depth, INTRINSICS, segments)
    torch.testing.assert_close(planar, depth, atol=1e-3, rtol=0)  # 0.01·I pulls a little


def test_planar_depth_smooths_noise_and_ignores_other_segments_and_pictures():
    generator = torch.Generator().manual_seed(0)
    truth = _plane_depth([0.0, 0.6, 0.8], 3.0).repeat(2, 1, 1, 1)
    noise = 0.05 * torch.randn(truth.shape, generator=generator, dtype=torch.float64)
    depth = truth + noise
    segments = torch.ones(2, 48, 64, dtype=torch.int64)
    segments[:, :, 40:] = 2
    planar = planarity.planar_depth(depth, INTRINSICS, segments)
    assert (planar - truth).abs().mean() < 0.2 * noise.abs().mean()
    spoilt = depth.clone()
    spoilt[0, :, :, 40:] = 9.0
    spoilt[1] = 9.0
    again = planarity.planar_depth(spoilt, INTRINSICS, segments)
    torch.testing.assert_close(again[0, :, :, :40], planar[0, :, :, :40])


def test_planar_depth_keeps_to_the_range():
    depth = _plane_depth([0.0, 0.0, 1.0], 30.0)
    segments = torch.zeros(1, 48, 64, dtype=torch.int64)
    assert (planarity.planar_depth(depth, INTRINSICS, segments) == 10.0).all()


def test_large_segments_need_more_than_the_area_and_stay_off_the_border():
    segments = torch.ones(2, 40, 40, dtype=torch.int64)
    segments[0, 10:20, 10:20] = 2  # 100 pixels
    segments[1] = 0  # no segment, however large
    large = planarity.large_segments(segments, min_area=100, border=8)
    assert large[0].sum() == 24 * 24 - 100
    assert not large[1].any()
    assert planarity.large_segments(segments, min_area=99, border=0)[0].all()


def test_coplanar_loss_counts_masked_pixels_in_the_mean():
    depth, planar = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[1.5, 7.0]]]])
    assert planarity.coplanar_loss(depth, planar, torch.tensor([[[[True, False]]]])) == 0.25


# Gradients ------------------------------------------------------------------------------------


def _bumpy_depth(size_hw: tuple[int, int], batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    depth = 2 + torch.rand(batch, 1, *size_hw, generator=generator, dtype=torch.float64)
    return depth.requires_grad_()


def test_normal_loss_has_the_gradient_of_finite_differences():
    mask = torch.rand(2, 1, 9, 10, generator=torch.Generator().manual_seed(2)) < 0.7
    aligned = AXES[2].view(1, 3, 1, 1).expand(2, 3, 9, 10)
    intrinsics = INTRINSICS.repeat(2, 1, 1)

    def loss(depth):
        normals = planarity.surface_normals(backproject(depth, intrinsics))
        return planarity.manhattan_normal_loss(normals, aligned, mask)

    assert torch.autograd.gradcheck(loss, _bumpy_depth((9, 10)))


def test_planar_loss_has_the_gradient_of_finite_differences_through_the_fit():
    segments = torch.zeros(2, 6, 7, dtype=torch.int64)
    segments[:, 2:, 3:], segments[1, :2] = 1, 4
    mask = segments[:, None] < 2
    intrinsics = INTRINSICS.repeat(2, 1, 1)

    def loss(depth):
        planar = planarity.planar_depth(depth, intrinsics, segments)
        return planarity.coplanar_loss(depth, planar, mask)

    assert torch.autograd.gradcheck(loss, _bumpy_depth((6, 7)))


@pytest.mark.parametrize(("batch", "size_hw"), [(1, (33, 41)), (3, (64, 50))])
def test_every_function_takes_other_sizes_and_batches(batch, size_hw):
    depth = _bumpy_depth(size_hw, batch)
    intrinsics = INTRINSICS.repeat(batch, 1, 1)
    points = backproject(depth, intrinsics)
    normals = planarity.surface_normals(points)
    aligned = planarity.align_normals(normals, ROOM.repeat(batch, 1, 1), 0)
    offset = planarity.plane_offset(points, aligned.aligned)
    image = torch.rand(batch, 3, *size_hw, dtype=torch.float64)
    segments = planarity.planar_segments(image, aligned.aligned, offset)
    planar = planarity.planar_depth(depth, intrinsics, segments)
    mask = planarity.large_segments(segments)
    assert segments.shape == (batch, *size_hw)
    assert planar.shape == mask.shape == depth.shape
    loss = planarity.coplanar_loss(depth, planar, mask)
    loss += planarity.manhattan_normal_loss(normals, aligned.aligned, aligned.mask)
    loss.backward()
    assert torch.isfinite(depth.grad).all()
