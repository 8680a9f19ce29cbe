"""The population stability index and its running form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_ros.core.drift import DriftMonitor, population_stability_index
from gam_depth_ros.core.health_config import DriftConfig
from gam_depth_ros.core.model_statistics import Distribution, ModelStatistics

QUARTERS = Distribution((-1.0, 0.0, 1.0), (0.25, 0.25, 0.25, 0.25))
THIRDS = Distribution((10.0, 11.0), (0.3334, 0.3333, 0.3333))


def reference(**distributions: Distribution) -> ModelStatistics:
    return ModelStatistics(distributions, (0.5, 0.5), {}, None, 0.995, 100, "by hand")


def monitor(outside_warn: float = 0.6, **distributions: Distribution) -> DriftMonitor:
    # Half of the frames lie in the outer bins of QUARTERS, unlike the 2 % of a real reference.
    config = DriftConfig(window_frames=400, min_frames=40, outside_warn=outside_warn)
    return DriftMonitor(reference(**distributions), config)


def test_index_by_hand():
    found = population_stability_index(np.array([0.8, 0.2]), np.array([0.5, 0.5]))
    assert float(found) == pytest.approx(0.3 * math.log(1.6) - 0.3 * math.log(0.4))
    assert float(population_stability_index(np.array([0.5, 0.5]), np.array([0.5, 0.5]))) == 0.0


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(0.01, 1.0), min_size=4, max_size=4),
    st.lists(st.floats(0.01, 1.0), min_size=4, max_size=4),
)
def test_index_is_symmetric_and_never_negative(left, right):
    a, b = (np.array(values) / sum(values) for values in (left, right))
    forth = float(population_stability_index(a, b))
    assert forth >= 0.0
    assert forth == pytest.approx(float(population_stability_index(b, a)))


def test_frames_like_those_of_training_do_not_drift():
    drift = monitor(noise=QUARTERS)
    for k in range(2000):
        state = drift.update({"noise": (-2.0, -0.5, 0.5, 2.0)[k % 4]}, np.array([0.5, 0.5]))
    assert state.worst in ("noise", "label_shares")
    assert state.psi["noise"] < 0.01
    assert state.outside["noise"] == pytest.approx(0.5, abs=0.01)
    assert state.line.startswith("drift: as in training, ")


def test_frames_of_another_world_drift_and_the_worst_quantity_is_named():
    drift = monitor(noise=QUARTERS, sigma=THIRDS)
    for k in range(200):
        state = drift.update({"noise": 5.0, "sigma": 9.5 + (k % 3)})
    assert state.worst == "noise"
    assert state.psi["noise"] > 2.0 > 0.01 > state.psi["sigma"]
    assert state.outside["noise"] == 1.0
    assert state.strangest == "noise"
    assert state.line.startswith("drift: beyond training, 100% of the frames")
    assert "in noise; noise has PSI" in state.line


def test_one_corner_of_training_is_special_but_not_beyond_it():
    drift = monitor(noise=QUARTERS)
    for _ in range(200):
        state = drift.update({"noise": 0.5})
    assert state.psi["noise"] > 2.0
    assert state.outside["noise"] == 0.0
    assert state.line.startswith("drift: a part of training, noise has PSI")


def test_old_rooms_are_forgotten():
    drift = monitor(noise=QUARTERS)
    for _ in range(400):
        drift.update({"noise": 5.0})
    for k in range(4000):
        state = drift.update({"noise": (-2.0, -0.5, 0.5, 2.0)[k % 4]})
    assert state.psi["noise"] < 0.01


def test_labels_that_shift_show_as_label_shares():
    drift = monitor(noise=QUARTERS)
    for k in range(100):
        quantities = {"noise": (-2.0, -0.5, 0.5, 2.0)[k % 4]}
        state = drift.update(quantities, np.array([0.95, 0.05]))
    assert state.worst == "label_shares"
    expected = 0.45 * math.log(0.95 / 0.5) - 0.45 * math.log(0.05 / 0.5)
    assert state.psi["label_shares"] == pytest.approx(expected, rel=1e-6)


def test_too_few_frames_or_no_reference_say_so_and_nothing_else():
    few = monitor(noise=QUARTERS).update({"noise": 5.0})
    assert (few.psi, few.worst) == ({}, "")
    assert few.line == "drift: unknown until 40 frames"
    nothing = DriftMonitor(None).update({"noise": 5.0})
    assert nothing.psi == {}
    assert "gam-depth-train statistics" in nothing.line


def test_unknown_values_and_names_leave_a_quantity_out():
    drift = monitor(noise=QUARTERS, sigma=THIRDS)
    for _ in range(100):
        state = drift.update({"noise": math.nan, "sigma": 11.0, "other": 3.0})
    assert set(state.psi) == {"sigma"}


def test_reset_forgets_and_the_same_frames_give_the_same_state():
    drift = monitor(noise=QUARTERS)
    first = [drift.update({"noise": k / 50}, np.array([0.3, 0.7])) for k in range(100)]
    drift.reset()
    again = [drift.update({"noise": k / 50}, np.array([0.3, 0.7])) for k in range(100)]
    assert first == again


def test_memory_does_not_grow_with_frames():
    drift = monitor(noise=QUARTERS)
    drift.update({"noise": 0.0})
    size = {name: np.asarray(value).nbytes for name, value in vars(drift).items()
            if isinstance(value, np.ndarray)}  # fmt: skip
    for _ in range(3000):
        drift.update({"noise": 0.0})
    assert size == {name: np.asarray(value).nbytes for name, value in vars(drift).items()
                    if isinstance(value, np.ndarray)}  # fmt: skip
    assert drift.state().frames <= 400.0
