"""The benchmark of a training step: what it names, and whether its figures fit together."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console

from .video_runs import write_sequence

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "training_step.py"


@pytest.fixture(scope="module")
def benchmark():
    """The script as a module; dataclasses look themselves up among the modules."""
    spec = importlib.util.spec_from_file_location("training_step_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_every_part_has_a_time_and_the_parts_add_up_to_a_step(benchmark, monkeypatch, tmp_path):
    seen = []
    measured = benchmark.time_steps
    monkeypatch.setattr(
        benchmark, "time_steps", lambda *given: seen.append(measured(*given)) or seen[0]
    )
    console = Console(record=True, width=120)
    sequence = write_sequence(tmp_path / "wall", frames=10)
    benchmark.main(["--quick", "--workers", "1", str(sequence)], console)
    (times,) = seen

    said = console.export_text()
    for name in benchmark.PARTS:
        assert times.parts_ms[name] > 0, name
        assert name in said
    whole_ms = sum(times.parts_ms.values())
    assert times.parts_ms[benchmark.REST] < 0.3 * whole_ms
    # Steps with a clock and steps without take turns, but other programs may run too.
    assert 0.3 < whole_ms / times.step_ms < 3
    assert "loader alone" in said
    assert "planar segmentation:" in said


def test_what_runs_inside_another_part_is_not_charged_twice(benchmark, monkeypatch):
    ticks = iter([0, 10, 30, 60, 100, 150])
    monkeypatch.setattr(benchmark, "now_ns", lambda device: next(ticks) * 1_000_000)
    clock = benchmark.PartClock(torch.device("cpu"))
    with clock.part("outer"), clock.part("inner"):
        pass
    clock._charge()
    assert clock.spent_ms == {benchmark.REST: 10 + 50, "outer": 20 + 40, "inner": 30}
