"""VideoBatch: what a batch promises to losses and networks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gam_depth_training.video_batch import VideoSample, collate, collate_bytes

CPU = torch.device("cpu")


def sample(key: str = "a", offsets: tuple[int, ...] = (-1, 0, 1), jittered: bool = True):
    shape = (len(offsets), 3, 4, 6)
    frames = torch.arange(len(offsets), dtype=torch.uint8).view(-1, 1, 1, 1).expand(shape) * 51
    return VideoSample(
        frames=frames,
        inputs=frames + 1 if jittered else frames,
        offsets=offsets,
        intrinsics=torch.eye(3),
        directions=torch.zeros(6, 3),
        magnitude=torch.ones(1, 4, 6),
        labels=torch.full((4, 6), 255, dtype=torch.uint8),
        keypoints=torch.ones(1, 4, 6, dtype=torch.uint8),
        key=key,
    )


def test_a_batch_has_the_documented_shapes_and_types():
    batch = collate([sample("a"), sample("b")])
    assert batch.frames.shape == batch.inputs.shape == (2, 3, 3, 4, 6)
    expected = {
        "frames": (torch.float32, (2, 3, 3, 4, 6)),
        "inputs": (torch.float32, (2, 3, 3, 4, 6)),
        "intrinsics": (torch.float32, (2, 3, 3)),
        "directions": (torch.float32, (2, 6, 3)),
        "magnitude": (torch.float64, (2, 1, 4, 6)),
        "labels": (torch.int64, (2, 4, 6)),
        "keypoints": (torch.float32, (2, 1, 4, 6)),
    }
    for name, (kind, shape) in expected.items():
        tensor = getattr(batch, name)
        assert (tensor.dtype, tuple(tensor.shape)) == (kind, shape), name
    assert batch.keys == ("a", "b")


def test_target_is_the_frame_at_offset_zero_and_sources_are_the_others_in_order():
    batch = collate([sample(offsets=(-2, -1, 0, 1, 2))])
    assert torch.allclose(batch.target, torch.tensor(2 * 51 / 255))
    assert torch.allclose(batch.target_input, torch.tensor((2 * 51 + 1) / 255))
    assert [offset for offset, _ in batch.sources] == [-2, -1, 1, 2]
    for (_, picture), level in zip(batch.sources, (0, 51, 153, 204), strict=True):
        assert torch.allclose(picture, torch.tensor(level / 255))


def test_bytes_become_the_same_batch_after_the_transfer():
    samples = [sample("a"), sample("b", jittered=False)]
    moved, plain = collate_bytes(samples).to(CPU), collate(samples)
    assert torch.equal(moved.inputs, plain.inputs)
    assert torch.equal(moved.magnitude, plain.magnitude)
    assert moved.labels.dtype == torch.int64


def test_frames_that_nobody_jittered_are_moved_and_converted_once():
    moved = collate_bytes([sample(jittered=False)]).to(CPU)
    assert moved.inputs is moved.frames


def test_a_finished_batch_stays_as_it_is_under_to():
    batch = collate([sample()])
    assert torch.equal(batch.to(CPU).frames, batch.frames)


def test_lost_clips_are_left_out():
    assert collate([None, sample("b"), None]).keys == ("b",)
    assert collate([None]) is None


def test_clips_of_different_offsets_are_refused():
    with pytest.raises(ValueError, match="expected one set"):
        collate([sample(), replace(sample(), offsets=(-2, 0, 2))])
