"""Claims about the sweep over widths and sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from gam_depth_training.cli import app
from gam_depth_training.network_shape import NetworkShape
from gam_depth_training.networks import JointNetwork
from gam_depth_training.search import Point, SearchOptions, mark_front, search

from .noise_shards import write_noise_shards

TINY = NetworkShape("edge", (8, 8, 16, 16, 16), (8, 8, 8), (8, 8, 8), "zeros", "relu")


def _point(latency_ms: float, abs_rel: float, rooms: float = 0.9) -> Point:
    return Point(1.0, (64, 96), "float", rooms, 0.1, abs_rel, 1, latency_ms)


def test_a_point_is_on_the_front_unless_another_is_as_fast_and_as_good():
    points = [_point(1, 0.5), _point(2, 0.3), _point(3, 0.4), _point(2, 0.35)]
    assert [p.on_front for p in mark_front(points)] == [True, True, False, False]


def test_two_equal_points_are_both_on_the_front():
    assert all(p.on_front for p in mark_front([_point(1, 0.5), _point(1, 0.5)]))


def test_without_recordings_the_rooms_decide():
    nan = float("nan")
    points = mark_front([_point(1, nan, 0.5), _point(2, nan, 0.6), _point(3, nan, 0.4)])
    assert [p.on_front for p in points] == [True, False, True]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "weights.pt"
    torch.save(JointNetwork(13, decoder_norm=True, shape=TINY).state_dict(), path)
    return path


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return write_noise_shards(tmp_path / "shards", 3)


def test_a_sweep_scores_every_point_once_and_times_it_every_time(weights, shards, tmp_path):
    out = tmp_path / "sweep"
    options = SearchOptions((1.0, 0.5), ((64, 64),), steps=1, batch_size=2, threads=1, rounds=2)
    first = search(weights, shards, [], out, options)
    assert {p.name for p in first} == {"1_64x64_float", "0.5_64x64_float"}
    assert all(np.isfinite(p.abs_rel_rooms) and p.latency_ms > 0 for p in first)
    thin, whole = (next(p for p in first if p.width == width) for width in (0.5, 1.0))
    assert thin.size_bytes < whole.size_bytes
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    again = search(weights, shards, [], out, options)
    assert written == {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert {p.abs_rel_rooms for p in again} == {p.abs_rel_rooms for p in first}


def test_the_command_prints_the_front_draws_it_and_refuses_another_sweeps_folder(
    weights, shards, tmp_path
):
    command = [
        "search",
        "--weights",
        str(weights),
        "--shards",
        str(shards),
        "--out",
        str(tmp_path / "s"),
        "--widths",
        "0.5",
        "--sizes",
        "64x64",
        "--threads",
        "1",
        "--rounds",
        "1",
    ]
    result = CliRunner().invoke(app, [*command, "--steps", "0"])
    assert result.exit_code == 0, result.output
    assert "64x64" in result.output
    assert (tmp_path / "s" / "front.png").exists()
    assert (tmp_path / "s" / "search.json").exists()
    result = CliRunner().invoke(app, [*command, "--steps", "1"])
    assert result.exit_code == 1
    assert "expected" in result.output
    assert "another --out" in result.output
