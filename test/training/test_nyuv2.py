"""NYUv2, raw and labelled, on tiny files in its makers' layout."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from gam_depth_ros.core.mat5 import read_mat5
from gam_depth_training.datasets import nyuv2
from gam_depth_training.video_dataset import VideoDataset

from .dataset_files import nyu_line, write_list

# testNdxs 1, 3, 300 and trainNdxs 2, 4, written by SciPy, compressed as the original.
SPLITS = Path(__file__).parents[1] / "data" / "nyuv2_tiny_splits.mat"


def test_nyuv2_training_list_gives_frames_in_temporal_order(tmp_path):
    split = write_list(tmp_path / "train.txt", nyu_line(tmp_path, "basement_0001b"))
    (clip,) = nyuv2.read_training_list(split, tmp_path)
    assert [path.stem for path in clip.frames] == ["r-20", "r-30", "r-40", "r-50", "r-60"]
    assert clip.key == "basement_0001b/r-40"
    assert clip.group == "basement_0001"  # parts a and b are one room
    assert clip.depth is None
    sample = VideoDataset([clip], (96, 128), flip=False)[0]
    assert sample.frames.shape == (5, 3, 96, 128)


def test_nyuv2_offsets_may_be_other_columns_of_the_list(tmp_path):
    split = write_list(tmp_path / "train.txt", nyu_line(tmp_path, "office_0003"))
    (clip,) = nyuv2.read_training_list(split, tmp_path, offsets=(-1, 0, 1), gap=40)
    assert [path.stem for path in clip.frames] == ["r-00", "r-40", "r-80"]
    with pytest.raises(ValueError, match=r"got frame -15, expected one of"):
        nyuv2.read_training_list(split, tmp_path, offsets=(-1, 0, 1), gap=15)


def test_nyuv2_training_line_of_another_length_is_named(tmp_path):
    split = write_list(tmp_path / "train.txt", "a/1.jpg a/2.jpg")
    with pytest.raises(ValueError, match=r"got 2 paths in the line of a/1.jpg, expected 9"):
        nyuv2.read_training_list(split, tmp_path)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    file = tmp_path / "nyu_depth_v2_labeled.mat"
    rng = np.random.default_rng(0)
    with h5py.File(file, "w") as mat:  # MATLAB's order: 3×W×H and W×H of each frame
        mat["images"] = rng.integers(0, 256, (3, 3, 640, 480), np.uint8)
        depths = rng.uniform(1, 9, (3, 640, 480)).astype(np.float32)
        depths[0, 100, 100] = np.nan
        mat["depths"] = depths
        names = ["kitchen_0004a", "office_0001", "bedroom_0010b"]
        references = np.empty((1, 3), h5py.ref_dtype)
        for index, name in enumerate(names):
            letters = mat.create_dataset(
                f"names/{index}", data=np.array([[ord(c)] for c in name], np.uint16)
            )
            references[0, index] = letters.ref
        mat.create_dataset("scenes", data=references, dtype=h5py.ref_dtype)
    return file


def test_nyuv2_labelled_frames_are_upright_and_cropped(labelled, tmp_path):
    frames = list(nyuv2.read_labelled(labelled, write_list(tmp_path / "test.txt", "1", "3")))
    assert [frame.key for frame in frames] == ["labelled/0001", "labelled/0003"]
    assert [frame.group for frame in frames] == ["kitchen_0004", "bedroom_0010"]
    with h5py.File(labelled) as mat:
        images, depths = mat["images"][:], mat["depths"][:]
    first = frames[0]
    assert first.rgb.shape == (427, 561, 3)
    assert first.depth_m.shape == (427, 561)
    assert first.depth_m.dtype == np.float32
    # Row 44, column 40 of the whole picture is the crop's first pixel.
    assert np.array_equal(first.rgb[0, 0], images[0, :, 40, 44])
    assert first.depth_m[5, 7] == depths[0, 40 + 7, 44 + 5]


def test_nyuv2_nan_depth_is_unknown_and_costs_no_more(labelled, tmp_path):
    (frame,) = nyuv2.read_labelled(labelled, write_list(tmp_path / "test.txt", "1"))
    assert np.isnan(frame.depth_m).sum() == 1
    assert np.isnan(frame.depth_m[100 - 44, 100 - 40])


def test_nyuv2_numbers_come_from_the_original_splits_file():
    assert nyuv2.read_numbers(SPLITS) == [1, 3, 300]
    assert read_mat5(SPLITS)["trainNdxs"].ravel().tolist() == [2, 4]


def test_nyuv2_number_outside_the_set_is_named(labelled):
    with pytest.raises(ValueError, match="got number 300, expected 1 to 3"):
        list(nyuv2.read_labelled(labelled, SPLITS))


def test_nyuv2_broken_files_are_named(tmp_path, labelled):
    broken = tmp_path / "broken.mat"
    broken.write_bytes(SPLITS.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"broken\.mat: got .*expected a MATLAB 5 file"):
        nyuv2.read_numbers(broken)
    with pytest.raises(ValueError, match="got no HDF5 file"):
        list(nyuv2.read_labelled(broken, SPLITS))
    with pytest.raises(ValueError, match="expected one number a line"):
        nyuv2.read_numbers(write_list(tmp_path / "words.txt", "one"))
    with h5py.File(tmp_path / "other.mat", "w") as mat:
        mat["images"] = np.zeros(1)
    with pytest.raises(ValueError, match="got no depths"):
        list(nyuv2.read_labelled(tmp_path / "other.mat", SPLITS))
