"""Checkpoints and prepared targets from outside are data: what would run is refused."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from gam_depth_training.checkpoints import read_checkpoint
from gam_depth_training.encoder import ResNetEncoder
from gam_depth_training.prepared import read_target
from gam_depth_training.refinenet import load_refinenet
from gam_depth_training.start_weights import read_state


class Hostile:
    """Unpickled, it writes a file."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.flag,)


def hostile_file(folder: Path, kind: str) -> tuple[Path, Path]:
    """Write one; return it and the file that must not appear."""
    path, flag = folder / "weights.pt", folder / "was_run"
    if kind == "torch.save":
        torch.save({"state_dict": {"a": torch.zeros(1)}, "identity": Hostile(flag)}, path)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"a": Hostile(flag)}))
    else:  # what torch.jit.save writes holds code: it is no checkpoint
        torch.jit.save(torch.jit.script(torch.nn.Identity()), str(path))
    return path, flag


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["torch.save", "pickle", "torchscript"])
@pytest.mark.parametrize("read", [read_state, read_checkpoint, load_refinenet])
def test_weights_that_would_run_are_refused_in_one_line(tmp_path, read, kind):
    path, flag = hostile_file(tmp_path, kind)
    with pytest.raises(ValueError, match="expected") as caught:
        read(path)
    assert not flag.exists()
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_prepared_target_of_objects_is_refused_and_not_run(tmp_path):
    flag, path = tmp_path / "was_run", tmp_path / "target.npz"
    objects = np.array([Hostile(flag)], object)
    np.savez(path, magnitude=objects, keypoints=objects, directions=objects)
    with pytest.raises(ValueError, match=r"target\.npz") as caught:
        read_target(path)
    assert not flag.exists()
    assert "\n" not in str(caught.value)


def test_a_prepared_target_with_a_claim_of_its_own_is_refused(tmp_path):
    path = tmp_path / "target.npz"
    head = b"\x93NUMPY\x01\x00"
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (4000000000000,), }"
    text = text.ljust(117) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("magnitude.npy", head + len(text).to_bytes(2, "little") + text)
    with pytest.raises(ValueError, match=r"target\.npz"):
        read_target(path)


def test_imagenet_weights_that_would_run_are_refused_in_one_line(tmp_path):
    path, flag = hostile_file(tmp_path, "torch.save")
    with pytest.raises(ValueError, match="expected torchvision's ResNet-18 state dict") as caught:
        ResNetEncoder().load_imagenet(path)
    assert not flag.exists()
    assert "\n" not in str(caught.value)
