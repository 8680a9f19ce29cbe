"""Claims about what lies between the official functions' inputs and their losses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from gam_depth_training import geometry, losses, planarity
from gam_depth_training.datasets import nyuv2
from gam_depth_training.frame_geometry import FrameGeometry
from gam_depth_training.gradient_mask import (
    gradient_aware_mask,
    gradient_magnitude,
    weighted_photometric,
)
from gam_depth_training.pixel_sizes import PixelSizes

Arrays = dict[str, np.ndarray]


def _arrays(path: Path) -> Arrays:
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}


@pytest.fixture(scope="module")
def elementary(shared_dir: Path) -> Arrays:
    return _arrays(shared_dir / "oracle" / "01_elementary.npz")


@pytest.fixture(scope="module")
def step(shared_dir: Path) -> Arrays:
    return _arrays(shared_dir / "oracle" / "02_training_step.npz")


@pytest.fixture(scope="module")
def pictures(shared_dir: Path) -> Arrays:
    return _arrays(shared_dir / "oracle" / "03_gradient_mask.npz")


def _assert_close(ours: Tensor | np.ndarray, theirs: np.ndarray, tolerance: float) -> None:
    np.testing.assert_allclose(np.asarray(ours), theirs, rtol=0, atol=tolerance)


def _points(step: Arrays) -> Tensor:
    depth = geometry.disparity_to_depth(torch.from_numpy(step["disp"]))
    return geometry.backproject(depth, torch.from_numpy(step["K"]))


def test_the_inverse_of_a_pose_is_the_official_one(elementary):
    inverse = geometry.invert_pose(torch.from_numpy(elementary["T_fwd"]))
    _assert_close(inverse, elementary["inv_SE3_of_T_fwd"], 1e-6)


def test_the_motions_between_neighbours_and_their_product_are_the_official_ones(step):
    # Of each pair's two poses the first counts.
    angles, shifts = (
        torch.from_numpy(step[f"pose1_{part}"][:, :, 0, 0]) for part in ("axisangle", "translation")
    )
    motions = [geometry.pose_matrix(a, t) for a, t in zip(angles, shifts, strict=True)]
    for pair, name in ((0, "m2_m1"), (1, "m1_0"), (3, "1_2")):
        _assert_close(motions[pair], step[f"T_chain_{name}"], 1e-6)
    _assert_close(geometry.compose(motions[0], motions[1]), step["T_chain_m2_0"], 1e-6)


def test_mask_and_weighted_errors_are_the_official_ones(step):
    mask = gradient_aware_mask(torch.from_numpy(step["magnitude"]))
    _assert_close(mask, step["B2_GAM_mask"], 1e-9)
    minimum = torch.from_numpy(step["combined_min"])[:, None].double()
    official = step["B2_GAM_weighted"]  # of each picture's mask and each picture's error
    term = weighted_photometric(minimum, mask, batch_broadcasting=True)
    assert term.item() == pytest.approx(official.mean(), abs=1e-7)
    intended = np.mean([official[0, 0].mean(), official[1, 1].mean()])
    assert weighted_photometric(minimum, mask).item() == pytest.approx(intended, abs=1e-7)


def test_the_minimum_teaches_the_source_that_the_official_one_chose(step):
    errors, identity = (
        torch.from_numpy(step[name]).requires_grad_()
        for name in ("reproj_losses", "identity_losses")
    )
    losses.minimum_reprojection(errors, identity).sum().backward()
    taught = torch.cat((identity.grad, errors.grad), 1)
    chosen = torch.from_numpy(step["combined_argmin"])
    assert torch.equal(taught, one_hot(chosen, 8).movedim(-1, 1).float())


def test_planes_are_solved_for_with_the_official_inverse(elementary):
    matrices = torch.from_numpy(elementary["mat3"]).double()
    columns = [
        planarity._solve_symmetric(matrices, axis.expand(len(matrices), 3))
        for axis in torch.eye(3, dtype=torch.float64)
    ]
    _assert_close(torch.stack(columns, 2), elementary["mat3_inv"], 2e-6)


def test_segmentation_gets_the_official_costs_and_its_labels_land_where_they_did(step, monkeypatch):
    asked = {}

    def segment(down, right, scale, min_size):
        asked.update(down=np.stack(down), right=np.stack(right), scalars=(scale, min_size))
        return step["planar_labels"]

    monkeypatch.setattr(planarity, "segment_batch", segment)
    points = _points(step)
    normals = planarity.surface_normals(points, shifted=True)
    _assert_close(normals, step["pred_norm"], 1e-5)
    aligned = planarity.align_normals(normals, torch.from_numpy(step["vps"]), epoch=0)
    assert np.array_equal(aligned.mask, step["mmap_mask"].astype(bool))
    offset, sizes = planarity.plane_offset(points, aligned.aligned), PixelSizes()
    segments = planarity.planar_segments(
        torch.from_numpy(step["img_t"]),
        aligned.aligned,
        offset,
        shifted=True,
        scale=sizes.segment_scale,
        min_size=sizes.segment_min_area,
    )
    _assert_close(asked["down"], step["felz_cost_down"], 1e-6)
    _assert_close(asked["right"], step["felz_cost_right"], 1e-6)
    assert asked["scalars"] == tuple(step["felz_scalar_args"][-2:])
    assert np.array_equal(segments, step["segment_padded"])


def test_each_pictures_plane_terms_are_the_official_maps_means(step):
    points, segments = _points(step), torch.from_numpy(step["segment_padded"])
    normals = planarity.surface_normals(points, shifted=True)
    aligned = planarity.align_normals(normals, torch.from_numpy(step["vps"]), epoch=0)
    mask = planarity.large_segments(segments)
    planes = torch.from_numpy(step["planar_depth"])
    for index in range(2):
        one = slice(index, index + 1)
        normal = planarity.manhattan_normal_loss(
            normals[one], aligned.aligned[one], (aligned.mask & mask)[one]
        )
        assert normal.item() == pytest.approx(step["norm_loss_map"][one].mean(), abs=1e-6)
        planar = planarity.coplanar_loss(points[one, 2:], planes[one], mask[one])
        assert planar.item() == pytest.approx(step["planar_loss_map"][one].mean(), abs=1e-6)


def test_a_mirrored_picture_has_the_official_window_and_magnitude(pictures):
    window = nyuv2.TRAINING_GEOMETRY.rectify(pictures["rgb_480x640"])[:, ::-1]
    assert np.abs(window.astype(int) - pictures["crop_448x608_flip"]).max() <= 2
    mirrored = np.ascontiguousarray(pictures["rgb_288x384_flip"])
    magnitude = gradient_magnitude(mirrored, swapped_grey_weights=True)
    # OpenCV turns colours grey in fixed point: a level more or less, times the kernels' weights.
    assert np.abs(magnitude - pictures["magnitude_flip"]).max() < 8.1
    assert np.abs(magnitude - pictures["magnitude_flip"]).mean() < 0.1


def test_published_cameras_are_ours_but_for_half_pixels(pictures):
    training = nyuv2.TRAINING_GEOMETRY
    size_hw, shrunk = (288, 384), training.resized((288, 384))
    half = (np.array([384 / 608, 288 / 448]) - 1) / 2
    published = pictures["K_384x288"][:3, :3]
    _assert_close(shrunk.matrix()[:2, 2], published[:2, 2] + half, 1e-4)
    # Mirrored, theirs maps u to W - u, ours to W - 1 - u.
    flipped = pictures["K_384x288_flip"][:3, :3]
    assert shrunk.matrix(True)[0, 2] == pytest.approx(flipped[0, 2] - 1 - half[0], abs=1e-4)
    assert shrunk.matrix(True)[1, 2] == pytest.approx(flipped[1, 2] + half[1], abs=1e-4)
    product = pictures["inv_K_384x288"][:3, :3] @ published
    _assert_close(product, np.eye(3), 1e-5)
    assert published[0, 0] == pytest.approx(pictures["K_train_normalised"][0, 0] * size_hw[1])
    x, y, width, height = nyuv2.RULES.crop_xywh
    test = FrameGeometry.cropped(nyuv2.CAMERA, (x, y, width, height)).matrix()
    scaled = np.diag([1 / width, 1 / height, 1]) @ test
    _assert_close(scaled, pictures["K_test_normalised"][:3, :3], 1e-6)
