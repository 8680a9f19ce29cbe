"""Sequence folders as clips, clips as samples, and what bad input costs."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from gam_depth_training.clip import Clip
from gam_depth_training.colour_jitter import ColourJitter
from gam_depth_training.gradient_mask import gradient_magnitude
from gam_depth_training.sequences import (
    VideoDataset,
    collate,
    find_recordings,
    read_sequence_folder,
    read_sequence_folders,
)
from gam_depth_training.video_batch import IGNORED_LABEL

from .sequence_files import CAMERA, write_sequence

SIZE = (24, 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_sequence(tmp_path / "room")


@dataclass(frozen=True)
class PreparedFrame:
    directions: np.ndarray
    magnitude: np.ndarray
    keypoints: np.ndarray
    labels: np.ndarray


@dataclass
class FakePrepared:
    frame: PreparedFrame | None

    def load(self, key: str) -> PreparedFrame | None:
        return self.frame


def prepared_frame(size: tuple[int, int] = SIZE) -> PreparedFrame:
    rng = np.random.default_rng(1)
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return PreparedFrame(
        np.concatenate([axes, -axes]).astype(np.float32),
        rng.uniform(0, 400, (1, *size)).astype(np.float32),
        rng.integers(0, 2, size).astype(np.uint8) * 255,
        rng.integers(0, 13, size).astype(np.uint8),
    )


def test_every_frame_with_all_neighbours_is_a_target(folder):
    clips = read_sequence_folder(folder)
    assert [clip.key for clip in clips] == [f"room/{n:06d}" for n in range(2, 7)]
    names = [path.stem for path in clips[0].frames]
    assert names == [f"{n:06d}" for n in range(5)]
    assert clips[0].target.stem == "000002"


def test_a_folder_of_sequences_stands_for_each_of_them_and_a_bag_for_itself(tmp_path):
    rooms = [write_sequence(tmp_path / "data" / name) for name in ("kitchen", "hall")]
    bag = tmp_path / "walk.mcap"
    assert find_recordings([tmp_path / "data", rooms[0], bag]) == [*sorted(rooms), rooms[0], bag]


def test_gap_widens_the_neighbours(folder):
    clips = read_sequence_folder(folder, offsets=(-1, 0, 1), gap=3)
    assert [path.stem for path in clips[0].frames] == ["000000", "000003", "000006"]


def test_gap_and_room_come_from_what_extract_wrote(folder):
    (folder / "sequence.json").write_text(json.dumps({"frame_gap": 2, "room": "kitchen"}))
    clip = read_sequence_folder(folder)[0]
    assert clip.target.stem == "000004"
    assert clip.group == "kitchen"


def test_recordings_of_one_tum_laboratory_share_a_group(tmp_path):
    for name in ("tum_freiburg1_desk", "tum_freiburg1_xyz"):
        write_sequence(tmp_path / name)
    assert {clip.group for clip in read_sequence_folders([tmp_path])} == {"freiburg1"}


def test_frames_are_in_the_order_of_their_times(folder):
    table = folder / "frames.csv"
    head, *rows = table.read_text().splitlines()
    table.write_text("\n".join([head, *reversed(rows)]))
    assert read_sequence_folder(folder)[0].frames[0].stem == "000000"


def test_too_few_frames_say_how_many_are_needed(tmp_path):
    short = write_sequence(tmp_path / "short", frames=4)
    with pytest.raises(ValueError, match=r"got 4 frames, expected at least 5 .*smaller gap"):
        read_sequence_folder(short)


def test_missing_intrinsics_are_named(folder):
    (folder / "intrinsics.json").unlink()
    with pytest.raises(ValueError, match=r"got no intrinsics\.json, .*calibrate"):
        read_sequence_folder(folder)


def test_key_frames_with_neighbours_of_unknown_order_are_refused(folder):
    fps = "unknown; frame 000000 is the key frame"
    (folder / "intrinsics.json").write_text(json.dumps({**CAMERA, "fps": fps}))
    with pytest.raises(ValueError, match="expected temporal order"):
        read_sequence_folder(folder)


def test_depth_that_is_not_in_millimetres_is_refused(folder):
    (folder / "intrinsics.json").write_text(json.dumps({**CAMERA, "depth_scale": 5000}))
    with pytest.raises(ValueError, match=r"got depth_scale 5000, expected 1000, .*convert"):
        read_sequence_folder(folder)


def test_two_frames_of_one_time_are_refused(folder):
    table = folder / "frames.csv"
    table.write_text(table.read_text().replace("0.300", "0.200"))
    with pytest.raises(ValueError, match="two frames of one time"):
        read_sequence_folder(folder)


def test_offsets_without_the_target_are_refused(folder):
    with pytest.raises(ValueError, match="expected rising numbers with 0"):
        read_sequence_folder(folder, offsets=(-1, 1))


def test_folders_without_sequences_are_named(tmp_path):
    with pytest.raises(ValueError, match="got no sequence folder"):
        read_sequence_folders([tmp_path])


def test_a_missing_picture_costs_the_clips_around_it(folder):
    (folder / "color" / "000001.jpg").unlink()
    targets = [clip.target.stem for clip in read_sequence_folder(folder)]
    assert targets == ["000004", "000005", "000006"]


@pytest.mark.parametrize("damage", ["cut off", "empty", "text"])
def test_an_unreadable_picture_costs_its_clips_alone_and_is_counted(folder, caplog, damage):
    file = folder / "color" / "000000.jpg"
    whole = file.read_bytes()
    content = {"cut off": whole[: len(whole) // 2], "empty": b"", "text": b"no picture"}
    file.write_bytes(content[damage])
    data = VideoDataset(read_sequence_folder(folder), SIZE)
    with caplog.at_level(logging.WARNING):
        samples = [data[index] for index in range(len(data))]
    assert [sample is None for sample in samples] == [True, False, False, False, False]
    assert data.lost_clips == 1
    assert "got no readable picture" in caplog.text
    assert len(collate(samples).keys) == 4


def test_loader_processes_share_counts_and_give_the_batches_of_one_process(folder):
    (folder / "color" / "000000.jpg").write_bytes(b"")
    clips = read_sequence_folder(folder)
    loaders = [VideoDataset(clips, SIZE, jitter=ColourJitter()) for _ in range(2)]
    alone = list(DataLoader(loaders[0], batch_size=2, collate_fn=collate))
    workers = list(DataLoader(loaders[1], batch_size=2, collate_fn=collate, num_workers=2))
    assert loaders[1].lost_clips == 1
    for one, other in zip(alone, workers, strict=True):
        assert torch.equal(one.inputs, other.inputs)
        assert one.keys == other.keys


def test_a_sample_depends_on_seed_epoch_and_index_alone(folder):
    clips = read_sequence_folder(folder)
    jitter = ColourJitter(probability=1)
    first, second = (VideoDataset(clips, SIZE, jitter=jitter, seed=5) for _ in range(2))
    second[3]
    assert torch.equal(first[1].inputs, second[1].inputs)
    looks = set()
    for epoch in range(8):
        first.epoch = epoch
        looks.add(first[1].inputs.numpy().tobytes())
    assert len(looks) == 8


def test_a_cached_frame_is_the_frame_itself(folder):
    clips = read_sequence_folder(folder)
    fresh = VideoDataset(clips, SIZE, cache_bytes=0)
    cached = VideoDataset(clips, SIZE)
    for _ in range(2):
        for index in range(len(clips)):
            assert torch.equal(fresh[index].frames, cached[index].frames)


def test_jitter_leaves_frames_alone_and_is_one_for_the_clip(folder):
    data = VideoDataset(
        read_sequence_folder(folder), SIZE, flip=False, jitter=ColourJitter(probability=1)
    )
    plain = VideoDataset(data.clips, SIZE, flip=False)
    assert torch.equal(data[0].frames, plain[0].frames)
    assert not torch.equal(data[0].inputs, data[0].frames)
    alike = [replace(clip, frames=(clip.target,) * 5) for clip in data.clips]
    sample = VideoDataset(alike, SIZE, jitter=ColourJitter(probability=1))[0]
    assert all(torch.equal(sample.inputs[0], frame) for frame in sample.inputs)
    sample = VideoDataset(alike, SIZE, jitter=ColourJitter(probability=1, per_frame=True))[0]
    assert not torch.equal(sample.inputs[0], sample.inputs[1])


def test_a_flip_mirrors_pictures_camera_directions_and_maps_together(folder):
    known = prepared_frame()
    clips = read_sequence_folder(folder)
    straight = VideoDataset(clips, SIZE, flip=False, prepared=FakePrepared(known))[0]
    mirrored = None
    for seed in range(20):
        candidate = VideoDataset(clips, SIZE, prepared=FakePrepared(known), seed=seed)[0]
        if not torch.equal(candidate.frames, straight.frames):
            mirrored = candidate
    assert mirrored is not None
    for name in ("frames", "magnitude", "labels", "keypoints"):
        assert torch.equal(getattr(mirrored, name), getattr(straight, name).flip(-1)), name
    assert torch.equal(
        mirrored.directions, straight.directions * torch.tensor([-1.0, 1.0, 1.0])
    )
    # A direction's vanishing point moves to the mirrored place.
    point = straight.intrinsics @ straight.directions[0]
    other = mirrored.intrinsics @ mirrored.directions[0]
    assert other[0] / other[2] == pytest.approx(SIZE[1] - 1 - float(point[0] / point[2]), rel=1e-4)


def test_keypoints_are_zero_or_one(folder):
    data = VideoDataset(read_sequence_folder(folder), SIZE, prepared=FakePrepared(prepared_frame()))
    assert set(data[0].keypoints.unique().tolist()) == {0, 1}


def test_without_preparation_the_magnitude_is_that_of_the_target(folder):
    sample = VideoDataset(read_sequence_folder(folder), SIZE, flip=False)[0]
    target = sample.frames[2].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(sample.magnitude, gradient_magnitude(target), rtol=1e-6)
    assert sample.directions.isnan().all()
    assert (sample.labels == IGNORED_LABEL).all()


def test_a_frame_that_was_not_prepared_is_counted(folder):
    data = VideoDataset(read_sequence_folder(folder), SIZE, prepared=FakePrepared(None))
    assert data[0] is not None
    assert data.unprepared_clips == 1


def test_proxy_labels_of_another_size_are_refused(folder):
    data = VideoDataset(
        read_sequence_folder(folder), SIZE, prepared=FakePrepared(prepared_frame((12, 16)))
    )
    with pytest.raises(ValueError, match=r"proxy labels of 12x16, expected 24x32; run `prepare`"):
        data[0]


def test_a_picture_of_another_size_than_its_camera_costs_its_clips(folder):
    cv2.imwrite(str(folder / "color" / "000008.jpg"), np.zeros((10, 10, 3), np.uint8))
    data = VideoDataset(read_sequence_folder(folder), SIZE)
    assert data[4] is None
    assert data[0] is not None


def test_a_calibration_of_twice_the_size_is_scaled_to_the_pictures(folder):
    double = {name: 2 * value for name, value in CAMERA.items()}
    double |= {"cx": 63.5, "cy": 47.5}
    (folder / "intrinsics.json").write_text(json.dumps(double))
    camera = read_sequence_folder(folder)[0].geometry.intrinsics
    assert (camera.width, camera.fx, camera.cx) == (64, 60.0, 31.5)


def test_no_clips_are_refused():
    with pytest.raises(ValueError, match="got no clips"):
        VideoDataset([], SIZE)


def test_a_clip_with_a_frame_too_few_is_refused(folder):
    clip = read_sequence_folder(folder)[0]
    with pytest.raises(ValueError, match="one for each offset"):
        Clip("a", clip.frames[:2], clip.offsets, clip.geometry)


def test_recorded_rooms_give_whole_batches(shared_dir):
    names = ("tum_freiburg1_xyz", "tum_freiburg1_rpy", "cmu_lab_d435_robot", "office_desk_d435")
    for name in names:
        clips = read_sequence_folder(shared_dir / "sequences" / name)
        batch = collate([VideoDataset(clips, (96, 128), jitter=ColourJitter())[9]])
        assert batch.frames.shape == (1, 5, 3, 96, 128)
        # Undistorted corners are cropped away: no black border in any frame.
        assert batch.frames[:, :, :, 0].mean() > 0.05
        focal = batch.intrinsics[0, 0, 0] / 128
        assert 0.8 < float(focal) < 1.0
