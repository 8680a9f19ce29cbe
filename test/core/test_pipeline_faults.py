"""Claims about what a bad frame, engine, reference or stamp costs the pipeline."""

import numpy as np
import pytest
from pipeline_frames import CAMERA, PERIOD, bytes_of, frame

from gam_depth_ros.core.engine import EngineError
from gam_depth_ros.core.frame import (
    ReferenceDepth,
)
from gam_depth_ros.core.pipeline import (
    FrameError,
    PerceptionPipeline,
    load_pipeline,
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rgb": np.zeros((0, 64, 3), np.uint8)}, "got size 64x0, expected at least one pixel"),
        ({"rgb": np.zeros((48, 0, 3), np.uint8)}, "got size 0x48, expected at least one pixel"),
        ({"rgb": np.zeros((48, 64), np.uint8)}, r"got \(48, 64\) uint8, expected H×W×3"),
        ({"rgb": np.zeros((48, 64, 4), np.uint8)}, r"got \(48, 64, 4\) uint8"),
        ({"rgb": np.zeros((48, 64, 3), np.float32)}, "float32, expected H×W×3 uint8"),
        ({"rgb": None}, "got NoneType"),
        ({"rgb": np.broadcast_to(np.uint8(0), (16385, 2, 3))}, "expected sides up to 16384"),
        ({"stamp_ns": -1}, "got stamp -1 ns"),
    ],
)
def test_a_bad_frame_is_refused_in_one_line_and_changes_nothing(pipeline, changes, words):
    pipeline.process(frame(1))
    before = bytes_of(pipeline.process(frame(2)))
    with pytest.raises(FrameError, match=words) as caught:
        pipeline.process(frame(3, None, **changes))
    assert "\n" not in str(caught.value)
    assert bytes_of(pipeline.process(frame(2, None))) == before


class FailingEngine:
    """Runs a real engine, but fails or answers nonsense when told to."""

    def __init__(self, engine):
        self._engine = engine
        self.spec, self.provider, self.precision = engine.spec, engine.provider, engine.precision
        self.sha256, self.info = engine.sha256, engine.info
        self.failure: str = ""

    def run(self, batch):
        if self.failure == "error":
            raise EngineError("engine: got 'out of memory' while running the model")
        output = self._engine.run(batch)
        if self.failure == "nan":
            output.depth[0, 0] = np.nan
        return output


@pytest.mark.parametrize("failure", ["error", "nan"])
def test_an_engine_that_fails_costs_one_frame(model, failure):
    engine = FailingEngine(load_pipeline(model).engine)
    pipeline = PerceptionPipeline(engine)
    pipeline.process(frame(0))
    pipeline.process(frame(1))
    engine.failure = failure
    with pytest.raises(FrameError, match="got"):
        pipeline.process(frame(2, 9.0))
    engine.failure = ""
    assert pipeline.process(frame(3)).scale.value == pytest.approx(2.0, rel=1e-5)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        (
            ReferenceDepth(np.full((48, 64), np.nan, np.float32), 3 * PERIOD, "camera"),
            "valid pixels",
        ),
        (ReferenceDepth(np.ones((24, 32), np.float32), 3 * PERIOD, "camera"), "got 32x24"),
        (ReferenceDepth(np.ones((48, 64), np.float32), 3 * PERIOD, "depth"), "got frame 'depth'"),
        (ReferenceDepth(np.ones((48, 64), np.float32), 0, "camera"), "got a stamp -0.099 s"),
    ],
)
def test_a_bad_reference_costs_only_a_note_and_the_state_says_it(pipeline, reference, words):
    pipeline.process(frame(1))
    pipeline.process(frame(2))
    perception = pipeline.process(frame(3, reference=reference))
    assert perception.scale.known
    assert np.isfinite(perception.depth_m).all()
    assert len(perception.notes) == 1
    assert words in perception.notes[0]
    assert "\n" not in perception.notes[0]
    following = pipeline.process(frame(4)).scale
    assert (following.state, following.reason) == ("HOLDING", perception.notes[0])
    assert following.value == pytest.approx(2.0, rel=1e-5)
    assert pipeline.process(frame(5)).scale.state == "LOCKED"


def test_calibration_for_another_size_costs_only_a_note(pipeline):
    perception = pipeline.process(frame(1, None, intrinsics=CAMERA.resized(640, 480)))
    assert perception.intrinsics is None
    assert perception.network_depth.shape == (48, 64)
    assert "got a calibration for 640x480, expected 64x48" in perception.notes[0]


def test_stamps_going_back_forget_the_scale_with_a_note(pipeline):
    pipeline.process(frame(99))
    pipeline.process(frame(100))
    assert pipeline.process(frame(101)).scale.known
    looped = pipeline.process(frame(1))
    assert not looped.scale.known
    assert looped.notes == ("stamps went back by 3.300 s: the scale starts anew",)
    pipeline.process(frame(2))
    following = pipeline.process(frame(3))
    assert following.scale.known
    assert not following.notes


def test_without_references_metres_are_never_invented(pipeline):
    for index in range(5):
        perception = pipeline.process(frame(index, None))
        assert np.isnan(perception.depth_m).all()
        assert "no reference depth accepted yet" in perception.scale.reason
