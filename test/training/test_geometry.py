"""Claims about poses, projection and view synthesis, against the oracle and by law."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_training import geometry
from gam_depth_training.quirks import OfficialQuirks

ORACLE = Path(__file__).parents[1] / "data" / "oracle"
OFFSETS = (-2, -1, 0, 1, 2)
angles = st.tuples(*[st.floats(-3.0, 3.0)] * 3)
shifts = st.tuples(*[st.floats(-2.0, 2.0)] * 3)


@pytest.fixture(scope="module")
def official() -> dict[str, torch.Tensor]:
    with np.load(ORACLE / "view_synthesis.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


@pytest.fixture(scope="module")
def official_poses() -> dict[str, torch.Tensor]:
    with np.load(ORACLE / "pose_chain.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def _pose(angle: tuple[float, ...], shift: tuple[float, ...], invert: bool = False) -> torch.Tensor:
    both = torch.tensor([angle, shift], dtype=torch.float64)
    return geometry.pose_matrix(both[:1], both[1:], invert)


def _camera(size_hw: tuple[int, int], batch: int = 1) -> torch.Tensor:
    height, width = size_hw
    focal = 0.8 * width
    k = [[focal, 0.0, 0.52 * width], [0.0, 1.1 * focal, 0.47 * height], [0.0, 0.0, 1.0]]
    return torch.tensor(k, dtype=torch.float64).expand(batch, 3, 3)


def _assert_close(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0.0, atol=tolerance)


# Against the official functions.


def test_depth_and_poses_are_the_official_ones(official):
    _assert_close(geometry.disparity_to_depth(official["disp"]), official["depth"], 1e-6)
    angle, shift = official["axisangle"][:, 0], official["translation"][:, 0]
    _assert_close(geometry.rotation_matrix(angle), official["R_only"][:, :3, :3], 5e-7)
    _assert_close(geometry.pose_matrix(angle, shift), official["T_fwd"], 5e-7)
    _assert_close(geometry.pose_matrix(angle, shift, invert=True), official["T_inv"], 5e-7)


def test_points_and_pixels_are_the_official_ones(official):
    points = geometry.backproject(official["depth"], official["K"])
    _assert_close(points.flatten(2), official["cam_points"][:, :3], 1e-6)
    pixels = geometry.project(points, official["K"], official["T_fwd"])
    grid = official["pix_coords"]
    _assert_close(pixels[:, 0], (grid[..., 0] / 2 + 0.5) * 63, 5e-5)
    _assert_close(pixels[:, 1], (grid[..., 1] / 2 + 0.5) * 47, 5e-5)


@pytest.mark.parametrize("align_corners", [False, True])
def test_warped_view_is_the_official_one(official, align_corners):
    view = geometry.synthesize_view(
        official["img_s+1"], official["depth"], official["K"], official["T_fwd"], align_corners
    )
    _assert_close(view, official[f"warped_s+1_ac_{str(align_corners).lower()}"], 1e-5)


def _official_steps(arrays: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    # Of the decoder's two poses only the first counts.
    pairs = zip(arrays["pose1_axisangle"], arrays["pose1_translation"], strict=True)
    return [geometry.pose_matrix(angle[:, 0, 0], shift[:, 0, 0]) for angle, shift in pairs]


def test_forward_product_chains_as_the_official_code_does(official_poses):
    quirk = OfficialQuirks.official().forward_pose_product
    chained = geometry.chain_poses(_official_steps(official_poses), OFFSETS, quirk)
    assert list(chained) == [-2, -1, 1, 2]
    for row, (offset, first) in enumerate(chained.items()):
        _assert_close(first, official_poses[f"T_first_0_{offset:+d}"], 5e-7)
        residual = geometry.pose_matrix(
            official_poses["pose2_axisangle"][row][:, 0, 0],
            official_poses["pose2_translation"][row][:, 0, 0],
            invert=offset < 0,
        )
        final = geometry.compose(first, residual)
        _assert_close(final, official_poses[f"T_final_0_{offset:+d}"], 5e-7)


# Laws.


@settings(max_examples=40, deadline=None)
@given(angle=angles, shift=shifts)
def test_inverse_undoes_a_pose(angle, shift):
    product = geometry.compose(_pose(angle, shift), _pose(angle, shift, invert=True))
    _assert_close(product[0], torch.eye(4, dtype=torch.float64), 1e-12)


@settings(max_examples=40, deadline=None)
@given(angle=angles)
def test_rotation_is_the_matrix_exponential(angle):
    x, y, z = angle
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    rotation = geometry.rotation_matrix(torch.tensor([angle], dtype=torch.float64))[0]
    _assert_close(rotation, torch.matrix_exp(cross), 1e-9)  # matrix_exp itself is out by 2e-11


@settings(max_examples=25, deadline=None)
@given(
    poses=st.lists(st.tuples(angles, shifts), min_size=5, max_size=5),
    offsets=st.sampled_from([(-2, -1, 0, 1, 2, 3), (-5, -4, -3, -1, 0, 7), (0, 1, 2, 3, 4, 5)]),
)
def test_chained_poses_walk_a_point_through_every_frame(poses, offsets):
    steps = [_pose(*pose) for pose in poses]
    point = torch.tensor([0.3, -0.2, 1.5, 1.0], dtype=torch.float64)
    seen = {offsets[0]: point}  # the same point in each frame's coordinates
    for offset, step in zip(offsets[1:], steps, strict=True):
        point = step[0] @ point
        seen[offset] = point
    for offset, pose in geometry.chain_poses(steps, offsets).items():
        _assert_close(pose[0] @ seen[0], seen[offset], 1e-9)


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 17), width=st.integers(1, 23), batch=st.integers(1, 3),
    scale=st.floats(0.1, 50.0),
)  # fmt: skip
def test_points_project_back_to_their_pixels(height, width, batch, scale):
    size_hw = (height, width)
    depth = scale * (0.2 + torch.rand(batch, 1, *size_hw, dtype=torch.float64))
    camera = _camera(size_hw, batch)
    points = geometry.backproject(depth, camera)
    torch.testing.assert_close(points[:, 2:], depth)
    still = torch.eye(4, dtype=torch.float64).expand(batch, 4, 4)
    pixels = geometry.project(points, camera, still)
    grid = geometry.pixel_grid(size_hw, depth).expand_as(pixels)
    _assert_close(pixels, grid, 1e-3 / scale)  # z + 1e-7 moves the near points most


def test_still_camera_sees_its_own_picture():
    picture = torch.rand(2, 3, 12, 20, dtype=torch.float64)
    depth = 1 + torch.rand(2, 1, 12, 20, dtype=torch.float64)
    still = torch.eye(4, dtype=torch.float64).expand(2, 4, 4)
    view = geometry.synthesize_view(picture, depth, _camera((12, 20), 2), still)
    _assert_close(view, picture, 1e-5)
    # The official sampling does not give the picture back.
    shifted = geometry.synthesize_view(picture, depth, _camera((12, 20), 2), still, False)
    assert (shifted - picture).abs().max() > 0.05


def test_sideways_motion_shifts_a_wall_by_focal_times_motion_over_depth():
    size_hw = (8, 32)
    camera = _camera(size_hw)
    picture = torch.rand(1, 3, *size_hw, dtype=torch.float64)
    depth = torch.full((1, 1, *size_hw), 2.0, dtype=torch.float64)
    # The source camera stands left of the target, so that the wall moves right in it by 3 pixels.
    motion_m = 3 * 2.0 / camera[0, 0, 0].item()
    view = geometry.synthesize_view(picture, depth, camera, _pose((0, 0, 0), (motion_m, 0, 0)))
    _assert_close(view[..., :-3], picture[..., 3:], 1e-5)
    # The border is repeated.
    _assert_close(view[..., -3:], picture[..., -1:].expand(1, 3, 8, 3), 1e-5)


def test_points_behind_the_camera_are_out_of_view_and_carry_no_gradient():
    camera = _camera((6, 9))
    depth = torch.ones(1, 1, 6, 9, dtype=torch.float64)
    depth[..., :4] = 3.0
    depth.requires_grad_()
    back = _pose((0, 0, 0), (0, 0, -2.0))
    pixels = geometry.project(geometry.backproject(depth, camera), camera, back)
    seen = geometry.in_view(pixels, (6, 9))
    assert not seen[..., 4:].any()
    view = geometry.synthesize_view(
        torch.rand(1, 3, 6, 9, dtype=torch.float64), depth, camera, back
    )
    view.sum().backward()
    assert torch.isfinite(view).all()
    assert torch.isfinite(depth.grad).all()
    assert (depth.grad[..., 4:] == 0).all()


def test_only_points_in_front_land_in_the_picture_and_no_gradient_is_lost_to_infinity():
    # On the axis, where a mirrored point would fall on the principal point; z = −1e-7 divides by 0.
    z = torch.tensor([-1.0, -geometry.Z_EPSILON, 0.0, 1.0], dtype=torch.float64)
    points = torch.stack((0 * z, 0 * z, z))[None, :, None].requires_grad_()
    camera, still = _camera((6, 9)), torch.eye(4, dtype=torch.float64)[None]
    pixels = geometry.project(points, camera, still)
    pixels.sum().backward()
    assert (pixels[..., :3] == geometry.BEHIND_PX).all()
    _assert_close(pixels[0, :, 0, 3], camera[0, :2, 2], 1e-5)
    assert torch.isfinite(points.grad).all()


def test_in_view_counts_the_border_pixels_in_and_half_a_pixel_more_out():
    u = torch.tensor([0.0, 4.0, -0.5, 4.5, 2.0])
    v = torch.tensor([0.0, 2.0, 1.0, 1.0, 2.5])
    seen = geometry.in_view(torch.stack((u, v))[None, :, None], (3, 5))
    assert seen.flatten().tolist() == [True, True, False, False, False]


def test_homogeneous_intrinsics_mean_the_same():
    depth = 1 + torch.rand(1, 1, 5, 7, dtype=torch.float64)
    wide = torch.eye(4, dtype=torch.float64)[None].clone()
    wide[:, :3, :3] = _camera((5, 7))
    pose = _pose((0.01, 0.02, 0.0), (0.1, 0.0, 0.0))
    pixels = [geometry.project(geometry.backproject(depth, k), k, pose)
              for k in (wide, _camera((5, 7)))]  # fmt: skip
    assert torch.equal(*pixels)


# Gradients and precision.


def test_geometry_passes_gradcheck():
    torch.manual_seed(0)
    disparity = torch.rand(2, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    angle = (0.05 * torch.randn(2, 3, dtype=torch.float64)).requires_grad_()
    shift = (0.05 * torch.randn(2, 3, dtype=torch.float64)).requires_grad_()
    camera = _camera((4, 5), 2)
    picture = torch.rand(2, 3, 4, 5, dtype=torch.float64)

    def warp(d: torch.Tensor, a: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        pose = geometry.pose_matrix(a, t, invert=True)
        return geometry.synthesize_view(picture, geometry.disparity_to_depth(d), camera, pose)

    assert torch.autograd.gradcheck(warp, (disparity, angle, shift))


def test_rotation_has_its_gradient_at_no_rotation():
    # Pose networks start near no motion: d(R·e_x)/da must be [a]×·e_x there, not zero or NaN.
    jacobian = torch.autograd.functional.jacobian(
        lambda a: geometry.rotation_matrix(a[None])[0, :, 0], torch.zeros(3, dtype=torch.float64)
    )
    expected = torch.tensor([[0, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=torch.float64)
    _assert_close(jacobian, expected, 1e-12)


def test_autocast_does_not_move_a_pixel():
    depth = 1 + torch.rand(1, 1, 16, 24)
    camera, pose = _camera((16, 24)).float(), _pose((0.02, 0.1, 0.0), (0.1, 0.0, 0.2)).float()

    def pixels() -> torch.Tensor:
        chained = geometry.chain_poses([pose, pose], (0, 1, 2))[2]
        return geometry.project(geometry.backproject(depth, camera), camera, chained)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = pixels()
    assert torch.equal(mixed, pixels())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_cpu(official):
    names = ("img_s+1", "depth", "K", "T_fwd")
    ours = geometry.synthesize_view(*(official[name].cuda() for name in names))
    _assert_close(ours.cpu(), official["warped_s+1_ac_true"], 2e-5)


@pytest.mark.parametrize(
    ("offsets", "steps"), [((-1, 1), 1), ((0, -1), 1), ((-1, 0, 1), 1), ((0, 0), 1)]
)
def test_frames_out_of_order_are_refused(offsets, steps):
    with pytest.raises(ValueError, match="temporal order"):
        geometry.chain_poses([torch.eye(4)[None]] * steps, offsets)


def test_quirks_are_off_by_default_and_official_turns_all_on():
    assert not any(vars(OfficialQuirks()).values())
    assert all(vars(OfficialQuirks.official()).values())
