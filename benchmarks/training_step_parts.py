"""A training step taken apart: where each part of it is called, and a clock that charges it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from gam_depth_training import objective, planarity
from gam_depth_training.recipe import Recipe
from gam_depth_training.recipe_module import RecipeModule
from gam_depth_training.video_batch import VideoBatch

REST = "everything else"
SEGMENTATION = "planar segmentation (numba, CPU)"
PARTS = (
    "bytes to floats, to the device",
    "depth network, forward",
    "pose networks, forward",
    "warps",
    "photometric error",
    "gradient-aware mask",
    "smoothness",
    "normals",
    "edge costs of segments",
    SEGMENTATION,
    "planar depth",
    "semantic",
    "backward",
    "optimiser",
)
WARM_UP = 2


@dataclass(frozen=True)
class StepTimes:
    """Medians over the steps.

    Attributes:
        step_ms: A step without a clock in it.
        parts_ms: Each of PARTS, and REST, in steps with one.
        memory_mib: Most memory on the device; None on a CPU.
    """

    step_ms: float
    parts_ms: dict[str, float]
    memory_mib: float | None


class PartClock:
    """Charges time to the innermost part that is under way, and to REST outside of all."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.spent_ms: dict[str, float] = {}
        self._under_way = [REST]
        self._since_ns = now_ns(device)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Charge what happens inside to ``name``."""
        self._charge()
        self._under_way.append(name)
        try:
            yield
        finally:
            self._charge()
            self._under_way.pop()

    def wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, its time charged to ``name``."""

        def timed(*arguments: Any, **named: Any) -> Any:
            with self.part(name):
                return function(*arguments, **named)

        return timed

    def _charge(self) -> None:
        now, name = now_ns(self.device), self._under_way[-1]
        self.spent_ms[name] = self.spent_ms.get(name, 0.0) + (now - self._since_ns) / 1e6
        self._since_ns = now


def now_ns(device: torch.device) -> int:
    """Return the time at which a device has finished what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter_ns()


class Step:
    """The step of a recipe on a few batches of the loader in turn."""

    def __init__(self, recipe: Recipe, batches: list[VideoBatch], device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.batches, self.device = recipe, batches, device
        self.module = RecipeModule(recipe, steps_per_epoch=1).to(device).train()
        self.optimizer = self.module.configure_optimizers()["optimizer"]
        self.taken = 0

    def take(self, clock: PartClock | None = None) -> float:
        """Take a step and return how long it was, milliseconds; charge its parts to a clock."""
        started_ns = now_ns(self.device)
        with ExitStack() as stack:
            part = nullcontext if clock is None else clock.part
            if clock is not None:
                for place, name, label in self._places():
                    timed = clock.wrapped(label, getattr(place, name))
                    stack.enter_context(patch.object(place, name, timed))
            batch = self.batches[self.taken % len(self.batches)]
            with part(PARTS[0]):
                batch = batch.to(self.device)
            mixed = self.recipe.precision == "bf16-mixed"
            with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
                total = self.module.terms(batch).total
            with part("backward"):
                total.backward()
            with part("optimiser"):
                self.optimizer.step()
                self.optimizer.zero_grad()
        self.taken += 1
        return (now_ns(self.device) - started_ns) / 1e6

    def _places(self) -> tuple[tuple[Any, str, str], ...]:
        """Where each part of the step is called: object, attribute, name of the part."""
        module = self.module
        return (
            (module.network, "forward", "depth network, forward"),
            (module.motion, "consecutive", "pose networks, forward"),
            (module.motion, "residual", "pose networks, forward"),
            (module, "warp", "warps"),
            (module.objective, "minimum_error", "photometric error"),
            (module.objective, "photometric_term", "gradient-aware mask"),
            (objective, "edge_aware_smoothness", "smoothness"),
            (module.objective, "plane_terms", "normals"),
            (objective, "planar_segments", "edge costs of segments"),
            (planarity, "segment_batch", SEGMENTATION),
            (objective, "large_segments", "planar depth"),
            (objective, "planar_depth", "planar depth"),
            (objective, "coplanar_loss", "planar depth"),
            (module.objective, "semantic_term", "semantic"),
        )


def time_steps(
    recipe: Recipe, batches: list[VideoBatch], device: torch.device, steps: int
) -> StepTimes:
    """Take steps with and without a clock in turn, after a few that do not count."""
    step = Step(recipe, batches, device)
    for _ in range(WARM_UP):
        step.take()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    plain, clocked = [], []
    for _ in range(steps):
        plain.append(step.take())
        clock = PartClock(device)
        step.take(clock)
        clocked.append(clock.spent_ms)
    parts = {
        name: float(np.median([spent.get(name, 0.0) for spent in clocked]))
        for name in (*PARTS, REST)
    }
    used = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None
    return StepTimes(float(np.median(plain)), parts, used)
