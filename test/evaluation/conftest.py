"""One tiny model for all tests of the evaluation, and recordings to run it on."""

from __future__ import annotations

from pathlib import Path

import pytest
from plain_pipeline import plain_pipeline
from recording_maker import make_sequence
from tiny_model import write_tiny_model

from gam_depth_ros.core.pipeline import PerceptionPipeline


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    write_tiny_model(path)
    return path


@pytest.fixture
def pipeline(model: Path) -> PerceptionPipeline:
    return plain_pipeline(model)


@pytest.fixture
def sequence(tmp_path: Path) -> Path:
    return make_sequence(tmp_path / "sequence")
