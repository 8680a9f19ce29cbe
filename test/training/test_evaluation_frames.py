"""Reference depth of recorded frames: metres, NaN where unknown."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gam_depth_training.clip import DepthFile, UnreadableFrameError, read_depth
from gam_depth_training.evaluation_frames import EvaluationRules, read_evaluation_frame
from gam_depth_training.sequences import (
    read_sequence_folder,
)

from .sequence_files import write_sequence


def test_reference_depth_is_metres_with_nan_where_unknown(tmp_path):
    clip = read_sequence_folder(write_sequence(tmp_path / "deep", depth=True))[0]
    frame = read_evaluation_frame(clip, EvaluationRules())
    assert np.isnan(frame.depth_m[:5]).all()
    assert (frame.depth_m[5:] == 3.0).all()
    assert frame.rgb.shape == (48, 64, 3)


def test_depth_beyond_the_limit_is_unknown(tmp_path):
    clip = read_sequence_folder(write_sequence(tmp_path / "deep", depth=True))[0]
    frame = read_evaluation_frame(clip, EvaluationRules(largest_known_m=2.5))
    assert np.isnan(frame.depth_m).all()


def test_depth_without_a_reading_is_refused(tmp_path):
    file = tmp_path / "empty.png"
    cv2.imwrite(str(file), np.zeros((4, 4), np.uint16))
    with pytest.raises(UnreadableFrameError, match="got no depth above zero"):
        read_depth(DepthFile(file))


def test_depth_of_eight_bits_is_refused(tmp_path):
    file = tmp_path / "wrong.png"
    cv2.imwrite(str(file), np.ones((4, 4), np.uint8))
    with pytest.raises(UnreadableFrameError, match="expected a 16-bit"):
        read_depth(DepthFile(file))
