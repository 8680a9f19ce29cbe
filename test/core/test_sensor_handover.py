"""Claims about a sensor that goes and comes back: covered, frozen, dead, returned."""

import math

import numpy as np
import pytest
from fusion_frames import SIZE, fused_once, fusion, metres, picture, reference, textured

from gam_depth_ros.core.config import FusionConfig
from gam_depth_ros.core.frame import SOURCE_FUSED, SOURCE_NETWORK, SOURCE_SENSOR

FRAME_NS = 33_000_000
SECOND = 1_000_000_000


def drive(camera, frames, depth_m, sigma_m, sensor_m, start=0):
    """Run frames in a row; sensor_m is a function of the index."""
    results = []
    for index in range(start, start + frames):
        given = sensor_m(index)
        stamp = index * FRAME_NS
        linked = None if given is None else reference(given, stamp)
        results.append(camera.update(stamp, depth_m, sigma_m, linked, picture(37 * index % 200)))
    return results


def noisy(index, value=2.0):
    rng = np.random.default_rng(index)
    return (metres(value) + rng.normal(0, 0.002, SIZE)).astype(np.float32)


def frozen(index):
    return noisy(5)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda index: None, None),
        (lambda index: metres(np.nan), "got 0.0% of the readings"),
        (lambda index: metres(0.1), "100.0% nearer"),
        (lambda index: noisy(index, 2000.0), "100.0% farther"),
        (frozen, "the same readings again"),
        (lambda index: np.random.default_rng(index).uniform(0.5, 8, SIZE).astype(np.float32),
         "neighbours contradict each other"),
        (lambda index: metres(2.0, (24, 32)), "expected float32 of shape"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["fill", "fuse"])
def test_a_dead_sensor_hands_over_at_the_next_frame(mode, fault, words):
    camera = fusion(mode, blend_time_s=0.0)
    depth_m, sigma_m = metres(2.6), metres(0.5)
    drive(camera, 6, depth_m, sigma_m, noisy)
    (after,) = drive(camera, 1, depth_m, sigma_m, fault, start=6)
    assert (after.source == SOURCE_NETWORK).all()
    assert (after.depth_m == depth_m).all()
    assert (after.sigma_m == sigma_m).all()
    assert len(after.notes) == (words is not None)
    for note in after.notes:
        assert words in note
        assert "\n" not in note


def test_the_same_readings_under_the_same_picture_are_not_frozen():
    camera = fusion("fill")
    for index in range(5):
        result = camera.update(
            index * FRAME_NS, metres(2.0), metres(0.2), reference(metres(2.0)), picture()
        )
        assert result.notes == ()
        assert (result.source == SOURCE_SENSOR).all()


@pytest.mark.parametrize("mode", ["fill", "fuse"])
def test_hand_over_and_taking_back_go_by_small_steps(mode):
    camera = fusion(mode, blend_time_s=0.33)  # ten frames
    depth_m, sigma_m = metres(2.6), metres(0.5)

    def sensor_m(index):
        return None if 10 <= index < 30 else noisy(index)

    results = drive(camera, 50, depth_m, sigma_m, sensor_m)
    level = np.array([math.log(float(np.median(result.depth_m))) for result in results])
    gap = math.log(2.6 / 2.0)
    assert level[9] == pytest.approx(math.log(2.0), abs=0.01)
    assert level[25] == pytest.approx(math.log(2.6), abs=1e-6)
    assert level[45] == pytest.approx(math.log(2.0), abs=0.01)
    assert np.abs(np.diff(level)).max() < 0.12 * gap
    assert (np.diff(level[9:20]) > 0).all()
    assert (np.diff(level[29:39]) < 0).all()
    assert (results[30].source == SOURCE_FUSED).all()


@pytest.mark.parametrize("every", [2, 3])
def test_a_sensor_slower_than_the_camera_holds_between_its_frames_and_comes_back(every):
    camera = fusion("fill", blend_time_s=0.33)  # ten frames
    depth_m, sigma_m = metres(2.6), metres(0.5)

    def sensor_m(index):
        return None if index % every or 12 <= index < 36 else noisy(index)

    results = drive(camera, 72, depth_m, sigma_m, sensor_m)
    level = np.array([float(np.median(result.depth_m)) for result in results])
    # How often it comes is known from its second frame on.
    np.testing.assert_allclose(level[every:12], 2.0, rtol=0.01)
    assert (level[24:36] == np.float32(2.6)).all()
    np.testing.assert_allclose(level[48:], 2.0, rtol=0.01)
    assert np.abs(np.diff(np.log(level))).max() < 0.12 * every * math.log(2.6 / 2.0)


def test_once_faded_the_output_is_the_prediction_itself():
    camera = fusion(blend_time_s=0.33)
    depth_m, sigma_m = metres(2.6), metres(0.5)
    drive(camera, 3, depth_m, sigma_m, noisy)
    results = drive(camera, 11, depth_m, sigma_m, lambda index: None, start=3)
    assert results[8].depth_m is not depth_m
    assert results[10].depth_m is depth_m


def test_on_return_what_is_clearly_nearer_is_let_in_at_once():
    camera = fusion(blend_time_s=1.0)
    depth_m, sigma_m = metres(3.0), metres(0.3)
    drive(camera, 3, depth_m, sigma_m, lambda index: None)
    obstacle = metres(3.1)
    obstacle[10:40, 10:40] = 1.0
    (result,) = drive(camera, 1, depth_m, sigma_m, lambda index: obstacle, start=3)
    np.testing.assert_allclose(result.depth_m[16:34, 16:34], 1.0, atol=0.02)
    assert (result.source[16:34, 16:34] == SOURCE_SENSOR).all()


def test_while_a_way_is_still_to_go_sigma_covers_it():
    camera = fusion("fill", blend_time_s=1.0)
    depth_m, sigma_m = metres(3.0), metres(0.3)
    drive(camera, 3, depth_m, sigma_m, lambda index: None)
    (result,) = drive(camera, 1, depth_m, sigma_m, lambda index: metres(3.5), start=3)
    # 3.3 % of the way: nearly the prediction, with nearly its sigma and a little for the way.
    share = 0.033
    var = (1 - share) * 0.3**2 + share * (1 - share) * 0.5**2
    assert result.sigma_m[24, 32] == pytest.approx(math.sqrt(var), rel=0.01)
    assert result.depth_m[24, 32] == pytest.approx(3.0 * (3.5 / 3.0) ** share, rel=1e-3)


def test_the_first_frame_takes_the_sensor_at_once():
    result = fused_once(2.0, 3.0, 0.6, mode="fill", blend_time_s=5.0)
    assert (result.depth_m == 2.0).all()


def test_stamps_that_go_back_forget_the_sensor():
    camera = fusion(blend_time_s=5.0)
    depth_m, sigma_m = metres(2.6), metres(0.5)
    camera.update(SECOND, depth_m, sigma_m, reference(metres(2.0)), picture())
    assert camera.update(0, depth_m, sigma_m, None, picture()).depth_m is depth_m


def test_reset_forgets_the_sensor():
    camera = fusion(blend_time_s=5.0)
    depth_m, sigma_m = metres(2.6), metres(0.5)
    camera.update(0, depth_m, sigma_m, reference(metres(2.0)), picture())
    camera.reset()
    assert camera.update(FRAME_NS, depth_m, sigma_m, None, picture()).depth_m is depth_m


def test_changing_the_blend_time_keeps_the_sensor_and_changing_the_mode_does_not():
    camera = fusion(blend_time_s=5.0)
    depth_m, sigma_m = metres(2.6), metres(0.5)
    camera.update(0, depth_m, sigma_m, reference(metres(2.0)), picture())
    camera.configure(FusionConfig(mode="fuse", sensor="kinect", blend_time_s=6.0))
    held = camera.update(FRAME_NS, depth_m, sigma_m, None, picture())
    np.testing.assert_allclose(held.depth_m, 2.0, rtol=0.01)
    camera.configure(FusionConfig(mode="fill", sensor="kinect", blend_time_s=6.0))
    assert camera.update(2 * FRAME_NS, depth_m, sigma_m, None, picture()).depth_m is depth_m


def test_the_same_frames_give_the_same_bytes():
    def run():
        return drive(fusion(), 4, textured(7), metres(0.3), noisy)

    for first, second in zip(run(), run(), strict=True):
        assert first.depth_m.tobytes() == second.depth_m.tobytes()
        assert first.sigma_m.tobytes() == second.sigma_m.tobytes()


def test_a_result_is_not_changed_by_later_frames():
    camera = fusion()
    depth_m, sigma_m = textured(7), metres(0.3)
    (first,) = drive(camera, 1, depth_m, sigma_m, noisy)
    before = first.depth_m.tobytes(), first.sigma_m.tobytes(), first.source.tobytes()
    drive(camera, 3, 2 * depth_m, sigma_m, noisy, start=1)
    assert (first.depth_m.tobytes(), first.sigma_m.tobytes(), first.source.tobytes()) == before
