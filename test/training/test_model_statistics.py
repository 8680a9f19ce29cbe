"""Learning limits, distributions and factors from what a model file says."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import pytest
from tiny_model import SIGMA, write_tiny_model
from typer.testing import CliRunner

from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.frame_health import Familiarity, FrameHealth
from gam_depth_ros.core.labels import NYU13
from gam_depth_ros.core.model_spec import SigmaCalibration
from gam_depth_training.cli import app
from gam_depth_training.model_statistics import (
    distribution,
    feature_statistics,
    sigma_factors,
    training_statistics,
    write_statistics,
)
from gam_depth_training.picture_answers import Answer, ReferencePicture, measure, spread_of
from gam_depth_training.picture_faults import FAULTS, Fault, add_noise, expose, shake
from gam_depth_training.reference_pictures import room_of


def pictures(count: int, seed: int = 0) -> list[ReferencePicture]:
    """Random boxes with random depth."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        rgb = np.full((96, 128, 3), rng.integers(60, 160), np.uint8)
        for _ in range(30):
            y, x = rng.integers(0, 90), rng.integers(0, 120)
            rgb[y : y + rng.integers(4, 40), x : x + rng.integers(4, 40)] = rng.integers(0, 230, 3)
        found.append(ReferencePicture(rgb, rng.uniform(0.5, 5.0, (96, 128))))
    return found


def answer(noise: float, spread: float = 1.0, fault: Fault | None = None, **changes) -> Answer:
    """An answer with everything usual but the noise."""
    figures = {"covered": 0.9, "dark": 200.0, "over_exposed": 0.1, "blurred": 0.3, "noisy": noise}
    return Answer(
        figures={**figures, **changes},
        quantities={"noise": noise},
        shares=np.array([1.0, 0.0]),
        features=None,
        spread=spread,
        fault=fault,
    )


def noise_fault() -> Fault:
    return next(fault for fault in FAULTS if fault.condition == "noisy")


def test_a_limit_is_the_most_lenient_of_the_groups_quantiles():
    calm = [answer(0.01 * k) for k in range(101)]  # 0 to 1
    wild = [answer(2.0 + 0.01 * k) for k in range(101)]  # 2 to 3
    found = training_statistics({"calm": calm, "wild": wild}, quantile=0.9)
    assert found.limits["noisy"].limit == pytest.approx(2.9)
    assert found.limits["dark"].limit == 200.0
    assert found.pictures == 202
    assert found.data == "101 of calm, 101 of wild"
    assert found.label_shares == (1.0, 0.0)


def test_a_figure_that_no_picture_has_gets_no_limit_and_no_distribution():
    plain = answer(1.0, blurred=np.nan)
    plain = dataclasses.replace(plain, quantities={"noise": 1.0, "sharpness": np.nan})
    found = training_statistics({"walls": [plain]})
    assert "blurred" not in found.limits
    assert set(found.distributions) == {"noise"}


def test_other_rooms_move_limits_but_not_what_the_model_was_trained_on():
    trained = [answer(0.01 * k) for k in range(101)]
    other = [answer(2.0 + 0.01 * k) for k in range(101)]
    alone = training_statistics({"trained": trained})
    found = training_statistics({"trained": trained, "other": other}, trained_on=("trained",))
    assert found.distributions == alone.distributions
    assert found.limits["noisy"].limit > 2.9 > alone.limits["noisy"].limit


def test_pictures_made_bad_move_no_limit_and_no_distribution():
    good = [answer(0.01 * k) for k in range(101)]
    bad = [answer(50.0, fault=noise_fault()) for _ in range(500)]
    with_bad, without = (training_statistics({"room": found}) for found in (good + bad, good))
    assert with_bad.limits["noisy"].limit == without.limits["noisy"].limit
    assert with_bad.distributions == without.distributions


def test_a_factor_is_how_much_wider_errors_are_where_the_condition_is_raised():
    good = [answer(1.0, spread=0.8) for _ in range(9)]
    unseen = [answer(1.5, spread=9.0, fault=noise_fault())]
    seen = [answer(5.0, spread=2.0, fault=noise_fault()) for _ in range(3)]
    limits = {"noisy": 2.0, "dark": 10.0}
    factors = sigma_factors({"room": good + unseen + seen}, limits, None)
    # Nothing was dark: it gets what the worst of the others has.
    assert factors == {"noisy": pytest.approx(2.5), "dark": pytest.approx(2.5)}
    # Sigma never shrinks, and a room without depth says nothing.
    better = [answer(5.0, spread=0.1, fault=noise_fault())]
    assert sigma_factors({"room": good + better}, limits, None)["noisy"] == 1.0
    # A covered picture says nothing of noise.
    both = [answer(5.0, spread=8.0, fault=noise_fault(), covered=0.1)]
    found = sigma_factors({"room": good + both}, {**limits, "covered": 0.5}, None)
    assert found == {"covered": pytest.approx(10.0), "noisy": 1.0, "dark": 1.0}
    blind = [answer(1.0, spread=np.nan), answer(5.0, spread=np.nan, fault=noise_fault())]
    assert sigma_factors({"room": blind}, limits, None)["noisy"] == 1.0


def test_a_picture_that_raises_two_conditions_is_no_evidence_of_either():
    good = [answer(1.0) for _ in range(9)]
    noisy = [answer(5.0, spread=1.5, fault=noise_fault()) for _ in range(3)]
    noisy_and_dark = [answer(5.0, spread=8.0, fault=noise_fault(), dark=1.0) for _ in range(9)]
    limits = {"noisy": 2.0, "dark": 10.0}
    factors = sigma_factors({"room": good + noisy + noisy_and_dark}, limits, None)
    assert factors == {"noisy": pytest.approx(1.5), "dark": pytest.approx(1.5)}


def test_features_come_from_every_room_so_that_none_of_them_is_unfamiliar():
    rng = np.random.default_rng(0)
    rooms = {
        name: [
            dataclasses.replace(answer(1.0), features=row.astype(np.float32))
            for row in level + rng.gamma(2.0, 1.0, (100, 40))
        ]
        for name, level in (("trained", 0.0), ("other", 5.0))
    }
    found = training_statistics(rooms, trained_on=("trained",))
    familiarity = Familiarity(found.features)
    assert max(familiarity.distance(one.features) for one in rooms["other"]) < 1.5


def test_spread_is_the_quantile_of_the_error_in_sigmas_after_the_median():
    truth = np.full((96, 128), 2.0)
    depth = np.full((96, 128), 7.0)
    depth[:, :40] *= np.exp(0.3)  # 31 % of the pixels, so the 68.3 % quantile is just below
    sigma = np.full_like(depth, 0.1)
    assert spread_of(depth, sigma, truth) == pytest.approx(0.0, abs=1e-6)
    depth[:, :42] = 7.0 * np.exp(0.3)
    assert spread_of(depth, sigma, truth) == pytest.approx(3.0, rel=1e-5)
    assert np.isnan(spread_of(depth, sigma, np.zeros_like(truth)))


def test_bins_follow_the_quantiles_and_equal_edges_are_merged():
    found = distribution(np.arange(1000.0))
    assert len(found.shares) == 12
    assert found.shares[0] == pytest.approx(0.01, abs=0.002)
    assert found.shares[5] == pytest.approx(0.1, abs=0.002)
    assert distribution(np.array([3.0] * 50 + [np.nan])).edges == (3.0,)


def test_distance_is_about_one_for_the_features_it_was_fitted_to():
    rng = np.random.default_rng(0)
    seen = rng.gamma(2.0, 1.0, (300, 40)).astype(np.float32)
    fitted = feature_statistics(list(seen))
    assert fitted is not None
    familiarity = Familiarity(fitted)
    squares = [familiarity.distance(one) ** 2 for one in seen]
    assert np.mean(squares) == pytest.approx(1.0, rel=0.02)
    assert familiarity.distance(20 * seen[0]) > 1.5
    # Too few pictures for the axes, or features that never change: no distance.
    assert feature_statistics(list(seen[:20])) is None
    assert feature_statistics([seen[0]] * 100) is None


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f.condition}-{f.amount}-{f.unit}")
def test_a_fault_changes_the_picture_and_not_its_shape(fault):
    rgb = pictures(1)[0].rgb
    before = rgb.copy()
    bad = fault.apply(rgb, np.random.default_rng(0))
    assert (bad.shape, bad.dtype) == (rgb.shape, np.uint8)
    assert not np.array_equal(bad, rgb)
    np.testing.assert_array_equal(rgb, before)


def test_faults_do_what_their_amount_says():
    rng = np.random.default_rng(0)
    grey = np.full((480, 640, 3), 128, np.uint8)
    # Two stops are a quarter of the light: 128 · 0.25^(1/2.2).
    assert expose(grey, -2.0, rng)[0, 0, 0] == pytest.approx(128 * 0.25 ** (1 / 2.2), abs=1)
    assert add_noise(grey, 20.0, rng).std() == pytest.approx(20.0, rel=0.02)
    line = np.zeros((480, 640, 3), np.uint8)
    line[:, 320] = 255
    # A line across the shake is spread over its length: 40 cos(20°).
    width = np.count_nonzero(shake(line, 40.0, rng)[240, :, 0] > 2)
    assert width == pytest.approx(40 * np.cos(np.deg2rad(20)), abs=4)


def test_statistics_of_a_file_are_written_into_it_and_all_else_stays(tmp_path):
    calibration = SigmaCalibration(1.1, 2.0, 3.0, "a room")
    path = write_tiny_model(tmp_path / "m.onnx", (96, 128), features=True, calibration=calibration)
    before = onnx.load(str(path))
    answers = measure(path, {"boxes": pictures(12)}, faulty_every=6)
    assert len(answers["boxes"]) == 12 + 2 * len(FAULTS)
    assert answers["boxes"][0].quantities["sigma"] == pytest.approx(SIGMA)
    assert np.isfinite(answers["boxes"][0].spread)

    reference = training_statistics(answers)
    write_statistics(path, reference, path)
    engine = OnnxEngine(path, EngineConfig(threads=1, warmup_runs=0))
    assert engine.spec.statistics == reference
    assert engine.spec.sigma_calibration == calibration
    assert len(reference.label_shares) == len(NYU13)
    assert onnx.load(str(path)).graph == before.graph
    # What it learnt from raises nothing but a condition that half a per cent may raise.
    health = FrameHealth(None, reference)
    raised = [health.check(one.rgb, k).ok for k, one in enumerate(pictures(12))]
    assert raised.count(False) <= 5  # one at most for each of five limits


def test_the_same_pictures_give_the_same_statistics(tmp_path):
    path = write_tiny_model(tmp_path / "m.onnx", (96, 128), features=True)
    first, again = (
        training_statistics(measure(path, {"boxes": pictures(4)}, faulty_every=2)) for _ in range(2)
    )
    assert first == again


def test_nothing_to_measure_is_refused():
    with pytest.raises(ValueError, match=r"^got no picture to measure, expected some; name"):
        training_statistics({"room": []})


def test_recordings_of_one_room_go_together(tmp_path):
    names = ("tum_freiburg1_xyz", "tum_freiburg1_desk", "office_desk_d435.mcap")
    assert [room_of(tmp_path / name) for name in names] == [
        "tum_freiburg1",
        "tum_freiburg1",
        "office_desk",
    ]


def test_the_command_writes_a_copy_and_names_its_data(tmp_path):
    model = write_tiny_model(tmp_path / "m.onnx", (96, 128))
    shards = tmp_path / "shards"
    shards.mkdir()
    rgb = np.stack([one.rgb for one in pictures(6)])
    depth = np.stack([one.depth_m for one in pictures(6)]).astype(np.float16)
    np.savez(shards / "shard_000000.npz", rgb=rgb, depth_m=depth, label=np.zeros_like(rgb[..., 0]))
    before = model.read_bytes()
    out = tmp_path / "with.onnx"
    arguments = ["statistics", "--model", model, "--shards", shards, "--out", out]
    result = CliRunner().invoke(app, [str(word) for word in arguments])
    assert result.exit_code == 0, result.output
    assert "6 of synthetic rooms" in result.output
    assert model.read_bytes() == before
    found = OnnxEngine(out, EngineConfig(threads=1, warmup_runs=0)).spec.statistics
    assert found is not None
    assert found.pictures == 6
    failed = CliRunner().invoke(app, ["statistics", "--model", str(model)])
    assert failed.exit_code == 1
    assert "got no picture to measure" in failed.output
