"""The benchmark of faults: what it delivers, what it scores, how it counts."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from gam_depth_ros.core.frame import Frame, ReferenceDepth

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SIZE = (480, 640)


@pytest.fixture(scope="module")
def faults():
    """The script's faults as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("faults")
    for name in ("faults", "cached_engine"):
        sys.modules.pop(name, None)


def frame():
    depth_m = np.random.default_rng(1).uniform(1.0, 3.0, SIZE).astype(np.float32)
    rgb = np.full((*SIZE, 3), 100, np.uint8)
    return Frame(rgb, 5, "camera", None, ReferenceDepth(depth_m, 5, "camera"))


def test_what_fusion_is_scored_on_is_never_delivered_whatever_the_fault(faults):
    before = faults.shown(frame(), None, None, withheld=True).frame.reference.depth_m
    for fault in (None, *faults.FAULTS):
        now = faults.shown(frame(), fault, before, withheld=True)
        if now.frame.reference is None:
            continue
        scored = np.isfinite(now.truth_m)
        delivered = np.isfinite(now.frame.reference.depth_m[faults.SCORED])
        assert scored.mean() == pytest.approx(0.25, abs=0.02)
        assert not (scored & delivered).any()


def test_a_fault_of_the_reference_leaves_picture_and_truth_alone(faults):
    for fault in faults.FAULTS:
        if not fault.of_reference:
            continue
        seen = frame()
        now = faults.shown(seen, fault, seen.reference.depth_m + 1, withheld=False)
        assert now.frame.rgb is seen.rgb
        np.testing.assert_array_equal(now.truth_m, seen.reference.depth_m[faults.SCORED])


def test_a_shifted_reference_is_off_by_its_pixels(faults):
    (fault,) = [one for one in faults.FAULTS if "shifted" in one.name]
    seen = frame()
    moved = faults.shown(seen, fault, seen.reference.depth_m, withheld=False).frame.reference
    np.testing.assert_array_equal(moved.depth_m[:, 40:], seen.reference.depth_m[:, :-40])
    assert np.isnan(moved.depth_m[:, :40]).all()
