"""The room generator: exact depth, honest labels, the recorded format, determinism."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("embreex")

from gam_depth_ros.core.labels import NYU13
from gam_depth_training.synthetic import (
    read_shard,
    render_training_shard,
    semantics,
    write_training_shards,
)
from gam_depth_training.synthetic.colour_noise import CameraStyle, develop, is_blank
from gam_depth_training.synthetic.layout import Finish, Room, shell
from gam_depth_training.synthetic.lighting import Lamp, gather_lights
from gam_depth_training.synthetic.materials import MaterialKit
from gam_depth_training.synthetic.mesh import box, merge
from gam_depth_training.synthetic.render import Pinhole, render_view
from gam_depth_training.synthetic.scene import Scene, build_scene
from gam_depth_training.synthetic.surface import Tracer
from gam_depth_training.synthetic.textures import make_texture_bank
from gam_depth_training.synthetic.viewpoint import _screens, interest, look, random_pose
from gam_depth_training.synthetic.walls import ceiling_lights

SMALL_HW = (48, 64)


@pytest.fixture(scope="module")
def bank():
    return make_texture_bank(3)


@pytest.fixture(scope="module")
def box_room(bank):
    """An empty room 4 m × 5 m × 3 m with a 1 m cube on the floor at (2, 4)."""
    kit = MaterialKit(bank, np.random.default_rng(0))
    wall, floor, ceiling, cube = (
        kit.add("plain", label)
        for label in (semantics.WALL, semantics.FLOOR, semantics.CEILING, semantics.FURNITURE)
    )
    room = Room((0.0, 0.0), (4.0, 5.0), 3.0)
    mesh = merge(
        [
            shell(room, [], Finish((wall,) * 4, floor, ceiling, wall)),
            box((2, 4, 0.5), (1, 1, 1), cube),
        ]
    )
    lamp = Lamp((2, 2.5, 2.9), (0.3, 0, 0), (0, 0.3, 0), (0, 0, -1), (1, 1, 1))
    lights = gather_lights([lamp], 20.0, (0.3, 0.3, 0.3), None, (0, 0, 0))
    return Tracer(Scene(mesh, kit.table(), bank, lights, (room,), np.zeros((0, 3), np.float32)))


def _camera(hw=SMALL_HW, focal=60.0):
    return Pinhole((focal, focal), ((hw[1] - 1) / 2, (hw[0] - 1) / 2), hw)


def test_class_ids_are_those_of_the_project():
    names = [name.lower() for name in NYU13.names]
    for index, name in enumerate(names):
        assert getattr(semantics, name.upper()) == index
    assert NYU13.unlabelled_id == semantics.UNLABELLED
    assert len(names) == semantics.CLASS_COUNT


def test_depth_is_the_distance_along_the_optical_axis(box_room):
    pose = look(np.array([0.7, 1.0, 1.4]), np.pi / 2, 0.0, 0.0)  # looks along +y, level
    camera = _camera()
    view = render_view(box_room, camera, pose, np.random.default_rng(0))
    far_wall = np.zeros(SMALL_HW, bool)
    far_wall[14:22, 28:60] = True
    np.testing.assert_allclose(view.depth_m[far_wall], 4.0, atol=1e-4)
    v, _ = np.nonzero(view.label == semantics.FLOOR)
    expected = 1.4 / ((v - camera.center_px[1]) / camera.focal_px[1])
    np.testing.assert_allclose(view.depth_m[view.label == semantics.FLOOR], expected, rtol=1e-4)


def test_depth_ignores_roll_at_the_image_centre_and_labels_the_cube(box_room):
    camera = _camera((49, 65))
    for roll in (0.0, 0.7):
        pose = look(np.array([2.0, 1.0, 0.5]), np.pi / 2, 0.0, roll)
        view = render_view(box_room, camera, pose, np.random.default_rng(0))
        assert view.depth_m[24, 32] == pytest.approx(2.5, abs=1e-4)
        assert view.label[24, 32] == semantics.FURNITURE


def test_a_camera_inside_a_thing_or_at_a_wall_has_no_interest(box_room):
    inside = look(np.array([2.0, 4.0, 0.5]), 0.0, 0.0, 0.0)
    at_wall = look(np.array([2.0, 0.05, 1.5]), np.pi / 2, 0.0, 0.0)
    fine = look(np.array([2.0, 0.8, 1.5]), np.pi / 2, -0.3, 0.0)
    assert interest(box_room, inside, 0.9) == 0
    assert interest(box_room, at_wall, 0.9) == 0
    assert interest(box_room, fine, 0.9) > 0


def test_shadow_lies_beside_the_cube(box_room):
    pose = look(np.array([2.0, 2.5, 2.85]), np.pi / 2, -0.9, 0.0)
    view = render_view(box_room, _camera(), pose, np.random.default_rng(0))
    floor = view.radiance[view.label == semantics.FLOOR].mean(-1)
    assert floor.max() > 2 * floor.min() > 0


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    first, again = (render_training_shard(5, 3, SMALL_HW, 3) for _ in range(2))
    other = render_training_shard(6, 3, SMALL_HW, 3)
    for name in first.__dataclass_fields__:
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
    assert first.rgb.tobytes() != other.rgb.tobytes()


def test_shard_has_the_documented_shapes_and_ranges():
    shard = render_training_shard(8, 5, SMALL_HW, 5)
    assert shard.rgb.shape == (5, *SMALL_HW, 3)
    assert shard.rgb.dtype == np.uint8
    assert shard.depth_m.dtype == np.float16
    assert shard.focal_px.dtype == np.float32
    assert set(np.unique(shard.label)) <= {*range(13), 255}
    fov = 2 * np.degrees(np.arctan(SMALL_HW[1] / 2 / shard.focal_px))
    assert fov.min() >= 47.9
    assert fov.max() <= 80.1
    np.testing.assert_allclose(np.linalg.norm(shard.gravity, axis=1), 1, atol=1e-5)
    assert (shard.height_m > 0).all()
    assert np.nanmin(shard.depth_m) > 0.02


def test_all_classes_occur_in_a_few_dozen_rooms(bank):
    seen = set()
    for seed in range(30):
        scene = build_scene(bank, [17, seed])
        seen |= set(scene.materials.label[np.unique(scene.mesh.material)].tolist())
        if len(seen) == 13:
            break
    assert seen == set(range(13))


@pytest.mark.parametrize("height_m", [2.05, 2.19, 2.5, 4.0])
def test_lamps_hang_in_rooms_of_any_height(bank, height_m):
    for seed in range(20):
        kit = MaterialKit(bank, np.random.default_rng(seed))
        _, lamps = ceiling_lights(kit, (3.0, 2.0), height_m, 0.0)
        assert lamps
        assert all(1.5 < lamp.center_m[2] < height_m for lamp in lamps)


def test_views_from_a_desk_see_a_screen_near_by(bank):
    rng = np.random.default_rng(0)
    near = []
    for room in range(40):
        scene = build_scene(bank, [8, room])
        tracer = Tracer(scene)
        if not len(_screens(tracer)):
            continue
        pose = random_pose(rng, tracer, "seated")
        gap = min(float(np.linalg.norm(pose[:3, 3] - center)) for center, _ in _screens(tracer))
        near.append(gap)
        assert abs(np.rad2deg(np.arcsin(pose[2, 2]))) < 45, "a seated camera looks about level"
        if len(near) == 5:
            break
    assert len(near) == 5
    assert max(near) < 2.0


def test_existing_shards_are_kept(tmp_path):
    first = write_training_shards(tmp_path, 4, 2, 1, SMALL_HW, frames_per_shard=2)
    stamps = [path.stat().st_mtime_ns for path in first]
    first[1].unlink()
    again = write_training_shards(tmp_path, 4, 2, 1, SMALL_HW, frames_per_shard=2)
    assert again == first
    assert again[0].stat().st_mtime_ns == stamps[0]
    assert read_shard(again[1]).rgb.shape == (2, *SMALL_HW, 3)


def test_blank_frames_are_rejected():
    depth = np.full(SMALL_HW, 2.0, np.float32)
    grey = np.full((*SMALL_HW, 3), 128, np.uint8)
    busy = np.random.default_rng(0).integers(0, 255, (*SMALL_HW, 3)).astype(np.uint8)
    assert is_blank(grey, depth)
    assert is_blank(busy, np.full(SMALL_HW, np.nan, np.float32))
    assert is_blank(busy, np.full(SMALL_HW, 0.05, np.float32))
    assert not is_blank(busy, depth)


def test_exposure_brings_any_brightness_to_the_same_picture():
    radiance = np.random.default_rng(1).uniform(0.2, 1, (*SMALL_HW, 3)).astype(np.float32)
    style = CameraStyle(key=0.4)
    dim, bright = (
        develop(scale * radiance, style, np.random.default_rng(0)) for scale in (0.01, 9)
    )
    assert np.abs(dim.astype(int) - bright).max() <= 1
