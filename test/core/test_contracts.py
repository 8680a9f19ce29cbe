"""Claims about labels, settings and the model spec: what other rooms rely on."""

import dataclasses
import json

import numpy as np
import pytest

from gam_depth_ros.core.config import (
    EngineConfig,
    PipelineConfig,
    RegistrationConfig,
    ScaleConfig,
)
from gam_depth_ros.core.frame import ScaleState
from gam_depth_ros.core.labels import NYU13, LabelSet
from gam_depth_ros.core.model_spec import ModelContractError, ModelSpec, SigmaCalibration

SPEC = ModelSpec(
    name="drawn",
    input_size_hw=(48, 64),
    labels=NYU13,
    sigma_calibration=SigmaCalibration(1.1, 1.9, 2.4, "rooms"),
    training={"data": "none"},
)


def test_nyu13_ids_are_alphabetical():
    assert NYU13.names == tuple(sorted(NYU13.names))
    assert (len(NYU13), NYU13.id_of("bed"), NYU13.id_of("window")) == (13, 0, 12)
    assert len(set(NYU13.palette)) == 13


def test_unlabelled_pixels_are_painted_black():
    painted = NYU13.colorize(np.array([[0, 255, 13]], np.uint8))
    assert painted.tolist() == [[list(NYU13.palette[0]), [0, 0, 0], [0, 0, 0]]]


def test_label_sets_round_trip_and_bad_ones_are_refused():
    assert LabelSet.from_json(json.loads(json.dumps(NYU13.to_json()))) == NYU13
    with pytest.raises(ValueError, match="has no class 'dragon'"):
        NYU13.id_of("dragon")
    with pytest.raises(ValueError, match="as many colours as names"):
        LabelSet("x", ("a", "b"), ((1, 2, 3),))
    with pytest.raises(ValueError, match="expected an object with name"):
        LabelSet.from_json({"name": "x"})


def test_model_spec_round_trips():
    assert ModelSpec.from_json(SPEC.to_json()) == SPEC


@pytest.mark.parametrize("field", ["name", "input_size_hw", "labels", "outputs", "training"])
def test_a_model_spec_without_a_field_is_refused(field):
    data = json.loads(SPEC.to_json())
    del data[field]
    with pytest.raises(ModelContractError, match=f"got KeyError\\('{field}'\\)"):
        ModelSpec.from_json(json.dumps(data))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input_size_hw", [0, 64]),
        ("input_size_hw", [float("inf"), 64]),
        ("depth_range", [3, 1]),
        ("depth_range", [0.1, float("inf")]),
        ("labels", {}),
        ("labels", NYU13.to_json() | {"palette": [[300, 0, 0]] * 13}),
        ("training", ["rooms"]),
        ("outputs", ["depth"]),
        ("sigma_calibration", {"k68": float("nan"), "k90": 1.6, "k95": 2.0, "data": ""}),
        ("sigma_calibration", {"k68": -1.0, "k90": 1.6, "k95": 2.0, "data": ""}),
        ("sigma_calibration", {"k68": 1.0, "k90": 0.5, "k95": 2.0, "data": ""}),
    ],
)
def test_a_model_spec_with_a_senseless_value_is_refused(field, value):
    data = json.loads(SPEC.to_json()) | {field: value}
    with pytest.raises(ModelContractError, match="while reading it"):
        ModelSpec.from_json(json.dumps(data))


@pytest.mark.parametrize("config", [EngineConfig, RegistrationConfig, ScaleConfig, PipelineConfig])
def test_every_setting_is_described(config):
    for entry in dataclasses.fields(config):
        if not dataclasses.is_dataclass(getattr(config(), entry.name)):  # a stage's own settings
            assert entry.metadata["description"].endswith("."), entry.name


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: EngineConfig(threads=-1), "threads: got -1, expected 0 to 256"),
        (lambda: ScaleConfig(source="magic"), "got 'magic', expected one of median_reference"),
        (lambda: ScaleConfig(fixed_value=float("nan")), "fixed_value: got nan"),
        (lambda: PipelineConfig(max_depth_m=1e9), "max_depth_m: got 1000000000.0"),
    ],
)
def test_a_setting_out_of_range_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_scale_is_known_only_when_it_has_a_value():
    state = ScaleState("UNKNOWN", "fixed", float("nan"), float("inf"), 0.0, "")
    assert not state.known
    assert dataclasses.replace(state, state="LOCKED", value=2.0, sigma_log=0.0).known
