"""What tests of the whole pipeline share."""

from __future__ import annotations

import pytest
from plain_pipeline import PLAIN
from tiny_model import write_tiny_model

from gam_depth_ros.core.model_spec import SigmaCalibration
from gam_depth_ros.core.pipeline import load_pipeline


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny model whose sigma is calibrated."""
    calibration = SigmaCalibration(k68=1.5, data="drawn")
    return write_tiny_model(tmp_path_factory.mktemp("model") / "m.onnx", calibration=calibration)


@pytest.fixture
def pipeline(model):
    """The pipeline of that model, without health and filter."""
    return load_pipeline(model, PLAIN)
