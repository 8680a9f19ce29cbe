"""Claims about the distance from synthetic pictures to recorded ones, and its command."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from gam_depth_training.cli import app
from gam_depth_training.domain_gap import (
    LEVELS,
    STATISTICS,
    distance,
    domain_gap,
    quantiles_of,
    statistics_of,
)
from gam_depth_training.picture_answers import ReferencePicture

from .noise_shards import write_noise_shards
from .sequence_files import write_sequence

SIZE = (96, 128)


def grey(level: int, depth_m: float | None = None) -> ReferencePicture:
    depth = None if depth_m is None else np.full(SIZE, depth_m, np.float32)
    return ReferencePicture(np.full((*SIZE, 3), level, np.uint8), depth)


def test_a_plain_picture_has_the_statistics_of_its_level():
    found = statistics_of(grey(51, depth_m=np.e))
    assert found["luminance"] == pytest.approx(np.full(96 * 128, 0.2))
    assert found["exposure"] == pytest.approx([0.2])
    assert found["gradient"] == pytest.approx(np.full(96 * 128, -3.0))
    for name in ("chroma", "contrast", "warmth", "depth spread"):
        assert found[name] == pytest.approx(np.zeros_like(found[name]), abs=1e-6), name
    assert found["log depth"] == pytest.approx(np.ones(96 * 128))
    assert set(found) == set(STATISTICS)


def test_a_ramp_has_its_slope_and_a_red_picture_its_warmth():
    ramp = np.repeat(np.arange(128, dtype=np.uint8)[None, :], 96, axis=0)
    found = statistics_of(ReferencePicture(cv2.merge([ramp, ramp, ramp])))
    assert found["gradient"] == pytest.approx(np.full(96 * 128, np.log10(1 / 255)))
    red = np.zeros((*SIZE, 3), np.uint8)
    red[..., 0], red[..., 2] = 200, 50
    warm = statistics_of(ReferencePicture(red))
    assert warm["warmth"] == pytest.approx([2.0], abs=0.02)
    assert warm["chroma"] == pytest.approx(np.full(96 * 128, 200 / 255))


@pytest.mark.parametrize("unknown", [0.0, np.nan, 20.0])
def test_depth_that_is_hardly_known_gives_no_statistics_of_depth(unknown):
    depth = np.full(SIZE, unknown, np.float32)
    depth[0, :99] = 2.0
    assert "log depth" not in statistics_of(ReferencePicture(grey(9).rgb, depth))
    depth[0, 99] = 2.0
    found = statistics_of(ReferencePicture(grey(9).rgb, depth))
    assert found["log depth"] == pytest.approx(np.full(100, np.log(2)))


def test_the_size_of_a_picture_does_not_matter():
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    large = cv2.resize(small, (512, 384), interpolation=cv2.INTER_NEAREST)
    one, other = (statistics_of(ReferencePicture(rgb)) for rgb in (small, large))
    for name, values in one.items():
        assert other[name] == pytest.approx(values), name


def test_a_shift_is_as_far_as_it_shifts():
    assert distance(LEVELS, LEVELS + 0.3) == pytest.approx(0.3)
    assert distance(LEVELS, LEVELS) == 0
    # Half of the mass moved by one: half.
    assert distance(np.zeros(1000), (LEVELS > 0.5).astype(float)) == pytest.approx(0.5)


def test_every_picture_and_every_room_weighs_the_same():
    dark, bright = [grey(0)], [grey(255)] * 9
    even = quantiles_of(dark + bright[:1])  # spread: half of the grey range
    once = domain_gap(even, {"a": quantiles_of(dark), "b": quantiles_of(bright)})
    assert once["exposure"].recorded == pytest.approx((0.5, 0.5))
    assert once["exposure"].distance == pytest.approx(0.0)
    assert once["exposure"].between_rooms == pytest.approx(2.0)
    assert domain_gap(even, {"a": quantiles_of(dark)})["exposure"].distance == pytest.approx(1.0)
    mixed = quantiles_of(dark + bright)["luminance"]
    assert mixed.mean() == pytest.approx(0.9)


def test_what_is_alike_has_no_gap_and_one_room_nothing_to_be_compared_with():
    rng = np.random.default_rng(1)
    pictures = [ReferencePicture(rng.integers(0, 256, (*SIZE, 3), np.uint8)) for _ in range(3)]
    samples = quantiles_of(pictures)
    found = domain_gap(samples, {"room": samples})
    assert {gap.distance for gap in found.values()} == {0.0}
    assert all(np.isnan(gap.between_rooms) for gap in found.values())
    assert "log depth" not in found


def test_synthetic_pictures_that_do_not_vary_measure_nothing():
    plain = quantiles_of([grey(100)])
    found = domain_gap(plain, {"room": quantiles_of([grey(0)])})
    assert np.isnan(found["exposure"].distance)


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="got no picture"):
        quantiles_of([])
    with pytest.raises(ValueError, match="got no recording"):
        domain_gap(quantiles_of([grey(1)]), {})


def test_the_command_prints_a_row_for_each_statistic_and_draws_them(tmp_path):
    shards = write_noise_shards(tmp_path / "shards", 2)
    data = write_sequence(tmp_path / "lab_a_1", depth=True)
    out = tmp_path / "gap"
    arguments = ["gap", "--shards", str(shards), "--data", str(data), "--out", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    found = json.loads((out / "gap.json").read_text())
    assert list(found) == list(STATISTICS)
    for name, gap in found.items():
        assert gap["between_rooms"] is None  # there is one room
        assert f"{gap['distance']:.2f}" in result.output, name
    assert cv2.imread(str(out / "gap.png")).std() > 0


@pytest.mark.parametrize("missing", ["shards", "data"])
def test_the_command_says_what_is_missing(tmp_path, missing):
    shards = write_noise_shards(tmp_path / "shards", 1)
    data = write_sequence(tmp_path / "lab_a_1")
    paths = {"shards": shards, "data": data, missing: tmp_path / "nowhere"}
    options = [text for name, path in paths.items() for text in (f"--{name}", str(path))]
    result = CliRunner().invoke(app, ["gap", *options, "--out", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "nowhere" in result.output.replace("\n", "")
    assert "Traceback" not in result.output
