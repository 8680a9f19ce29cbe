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
PARTS = "training_step_parts"


@pytest.fixture(scope="module")
def benchmark():
    """The script as a module, its own folder first on the path as when it is run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPT.parent)
        spec = importlib.util.spec_from_file_location("training_step_benchmark", SCRIPT)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    del sys.modules[PARTS]


@pytest.fixture(scope="module")
def parts(benchmark):
    """What the script takes a step apart with."""
    return sys.modules[PARTS]


def test_every_part_has_a_time_and_the_parts_add_up_to_a_step(
    benchmark, parts, monkeypatch, tmp_path
):
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
    for name in parts.PARTS:
        assert times.parts_ms[name] > 0, name
        assert name in said
    whole_ms = sum(times.parts_ms.values())
    assert times.parts_ms[parts.REST] < 0.3 * whole_ms
    # Steps with a clock and steps without take turns, but other programs may run too.
    assert 0.3 < whole_ms / times.step_ms < 3
    assert "loader alone" in said
    assert "planar segmentation:" in said


def test_what_runs_inside_another_part_is_not_charged_twice(parts, monkeypatch):
    ticks = iter([0, 10, 30, 60, 100, 150])
    monkeypatch.setattr(parts, "now_ns", lambda device: next(ticks) * 1_000_000)
    clock = parts.PartClock(torch.device("cpu"))
    with clock.part("outer"), clock.part("inner"):
        pass
    clock._charge()
    assert clock.spent_ms == {parts.REST: 10 + 50, "outer": 20 + 40, "inner": 30}
