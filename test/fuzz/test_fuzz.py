"""Bytes from outside cost one line, never the process: every target, for a second each.

``test/fuzz/atheris_run.py`` feeds the same targets for as long as it is told.
"""

from __future__ import annotations

import fuzz_targets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SEEDS = fuzz_targets.seeds()
SOME = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@st.composite
def damaged(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A seed with a few bytes changed, put in or cut off."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        piece = draw(st.binary(min_size=1, max_size=8))
        data[at : at + draw(st.integers(0, 8))] = piece
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@pytest.mark.parametrize("name", list(fuzz_targets.TARGETS))
def test_any_bytes_are_read_or_refused_in_one_line(name):
    @SOME
    @given(st.binary(max_size=600))
    def fuzz(data: bytes) -> None:
        fuzz_targets.TARGETS[name](data)

    fuzz_targets.TALLY.reset()
    fuzz()
    # What else may go wrong the target raises; that it ran at all is claimed here.
    assert fuzz_targets.TALLY.tried > 0


@pytest.mark.parametrize("name", list(fuzz_targets.TARGETS))
def test_damaged_input_is_read_or_refused_in_one_line(name):
    @SOME
    @given(damaged(SEEDS[name]))
    def fuzz(data: bytes) -> None:
        fuzz_targets.TARGETS[name](data)

    fuzz_targets.TALLY.reset()
    fuzz()
    # What else may go wrong the target raises; that it ran at all is claimed here.
    assert fuzz_targets.TALLY.tried > 0


@pytest.mark.parametrize("name", list(fuzz_targets.TARGETS))
def test_every_target_reads_its_seeds(name):
    for seed in SEEDS[name]:
        fuzz_targets.TALLY.reset()
        fuzz_targets.TARGETS[name](seed)
        # A target with several readers offers a seed to all of them: one has to take it.
        assert fuzz_targets.TALLY.refused < fuzz_targets.TALLY.tried, seed[:40]
