"""Another model for a running node: load, compare, swap, watch, and back if it fails. No ROS here.

All of it runs in a thread of its own beside the worker, which goes on with the running model.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np

from gam_depth_ros.core.engine import EngineError
from gam_depth_ros.core.frame import Perception
from gam_depth_ros.core.pipeline import FrameError, Outputs, PerceptionPipeline, load_pipeline
from gam_depth_ros.exchange import Exchange
from gam_depth_ros.mailbox import Mailbox, Seen
from gam_depth_ros.model_names import find_model
from gam_depth_ros.patience import OutOfTimeError, Patience
from gam_depth_ros.reload_terms import ReloadConfig, ReloadError, ReloadRequest, ReloadResult
from gam_depth_ros.shadow import (
    Comparison,
    Look,
    Shadow,
    compared,
    difference,
    handed_over,
    health_problem,
    look,
    same_labels,
)

log = logging.getLogger(__name__)

T = TypeVar("T")


class ModelReload:
    """One reload, to be run once.

    Args:
        exchange: Holds the running pipeline.
        request: What is asked for.
        config: When the new model is kept.
        active: Whether frames are perceived now: without, there is nothing to compare or watch.
        tell: Called with one line on progress.
    """

    def __init__(
        self,
        exchange: Exchange,
        request: ReloadRequest,
        config: ReloadConfig,
        *,
        active: bool,
        tell: Callable[[str], None],
    ) -> None:
        self._exchange = exchange
        self._request = request
        self._config = config
        self._active = active
        self._tell = tell
        self._box = Mailbox()
        self._patience = Patience()
        self._lock = threading.Lock()
        self._candidate: PerceptionPipeline | None = None
        self._cancelled = ""
        self._swapped = False
        self._sha256 = ""
        self._comparison = Comparison()
        self._running_spreads_log: list[float] = []
        self._last: Perception | None = None
        self._own_scale = False

    def cancel(self, reason: str) -> None:
        """End it: before the swap the running model stays, after it the new one."""
        with self._lock:
            self._cancelled = reason
            candidate = None if self._swapped else self._candidate
        self._box.close()
        self._patience.end()  # a model that loads cannot be interrupted
        if candidate is not None:
            candidate.engine.interrupt()  # it may hang on a frame of the comparison

    def run(self) -> ReloadResult:
        """Do it; blocks until it is over."""
        try:
            message = self._run()
        except (ReloadError, ValueError, OSError, EngineError, MemoryError) as error:
            stays = self._exchange.current.engine.info.get("path", "the running model")
            line = " ".join(str(error).split()) or type(error).__name__
            return self._result(False, f"{line}; {stays} goes on")
        finally:
            self._exchange.settle()
        return self._result(True, message)

    def broken(self, error: Exception) -> ReloadResult:
        """Return the answer where :meth:`run` raised: which model runs is told all the same."""
        runs = self._swapped and not self._exchange.fault
        path = self._exchange.current.engine.info.get("path", "the running model")
        rest = f"{path} runs, unwatched" if runs else f"{path} goes on"
        line = " ".join(f"unexpected error: {error!r}; {rest}; see the node's log".split())
        return self._result(runs, line)

    def _result(self, success: bool, message: str) -> ReloadResult:
        swapped = self._swapped and success
        return ReloadResult(swapped, success, message, self._sha256, self._comparison)

    def _run(self) -> str:
        request, exchange = self._request, self._exchange
        request.check(self._active)
        self._tell(f"loading {request.model_path}")
        pipeline = self._within(
            self._config.load_limit_s,
            "loading: got no end of it",
            lambda: load_pipeline(find_model(request.model_path), exchange.current.config),
        )
        self._candidate, self._sha256 = pipeline, pipeline.engine.sha256
        exchange.join(pipeline)
        if self._active:
            exchange.watch(self._box.put)
        if request.shadow_frames:
            self._compare(pipeline)
        if request.compare_only:
            return f"compared only: {self._comparison.line()}"
        scale_line = self._hand_scale_over(pipeline)
        with self._lock:
            if self._cancelled:
                raise ReloadError(self._cancelled)
            self._swapped = True  # also if those who are told of it fail
            exchange.swap(pipeline, probation=self._active and self._config.probation_frames > 0)
        watched = self._watch(pipeline)
        told = (f"{pipeline.engine.info['path']} runs", watched, scale_line)
        return "; ".join(filter(None, (*told, self._comparison.line())))

    def _compare(self, candidate: PerceptionPipeline) -> None:
        """Run both on the same frames; the new one learns its own scale meanwhile."""
        wanted, shadow = compared(Outputs.none()), Shadow()
        running = self._exchange.current
        alike = same_labels(running.engine.spec.labels, candidate.engine.spec.labels)
        for count in range(self._request.shadow_frames):
            self._tell(f"comparing, {count} of {self._request.shadow_frames} frames")
            frame, perception, _ = self._next("to compare on")
            try:
                other = self._within(
                    self._config.frame_limit_s,
                    "comparison: got no answer of the new model",
                    partial(candidate.process, frame, wanted),
                )
            except FrameError as error:
                raise ReloadError(self._cancelled or f"health: {error}") from error
            shadow.update(difference(perception, other, same_labels=alike))
            self._last, self._own_scale = perception, other.scale.known
        self._comparison = shadow.comparison()
        self._running_spreads_log = [one.running.spread_log for one in shadow.seen]
        if problem := shadow.problem():
            raise ReloadError(problem)
        # Beside another network every frame is slower than alone: only the fastest one counts.
        self._require_fast("the fastest frame", [one.other.engine_ms for one in shadow.seen], 0)

    def _hand_scale_over(self, pipeline: PerceptionPipeline) -> str:
        """Give the new pipeline the scale where its own is unknown; returns a line on it."""
        ratio, scale = self._comparison.scale_ratio, pipeline.config.scale
        if scale.source == "fixed":
            right = f", {scale.fixed_value / ratio:.4g} keeps the metres" if ratio > 0 else ""
            return f"scale.fixed_value stays {scale.fixed_value:g}{right}"
        if self._own_scale:
            return "its scale was learnt during the comparison"
        last = self._last
        state = None if last is None else handed_over(last.scale, self._comparison)
        if last is None or state is None:
            return "its scale is learnt anew, metric outputs are NaN until then"
        pipeline.adopt_scale(state, last.stamp_ns)
        return f"the scale {last.scale.value:.4g} was handed over as {state.value:.4g}"

    def _watch(self, pipeline: PerceptionPipeline) -> str:
        """Watch the new model's first frames; returns a line, raises after it was taken back."""
        frames = self._config.probation_frames if self._active else 0
        looks: list[Look] = []
        while len(looks) < frames:
            self._tell(f"on probation, {len(looks)} of {frames} frames")
            ended = ""
            try:
                _, perception, by = self._next("to watch")
            except ReloadError as error:
                ended = str(error)
            if self._exchange.fault:
                raise ReloadError(f"health: {self._exchange.fault}")
            if ended:
                return f"probation ended after {len(looks)} of {frames} frames ({ended})"
            if self._exchange.current is not pipeline:
                return f"probation ended after {len(looks)} of {frames} frames (its input changed)"
            if by is pipeline:  # the former one may have had a frame in hand
                looks.append(look(perception))
        try:
            if problem := health_problem(looks, self._running_spreads_log):
                raise ReloadError(problem)
            self._require_fast("the median frame", [one.engine_ms for one in looks], 50)
        except ReloadError as error:
            self._exchange.roll_back(str(error))
            raise
        return ""

    def _require_fast(self, which: str, engine_ms: list[float], percentile: int) -> None:
        budget_ms = self._config.latency_budget_ms
        took_ms = float(np.percentile(engine_ms, percentile)) if engine_ms else 0.0
        if took_ms > budget_ms:
            raise ReloadError(
                f"latency: got {took_ms:.1f} ms for {which}, expected at most "
                f"reload.latency_budget_ms {budget_ms:g}"
            )

    def _within(self, limit_s: float, what: str, call: Callable[[], T]) -> T:
        try:
            return self._patience.call(call, limit_s)
        except OutOfTimeError:
            if self._candidate is not None:
                self._candidate.engine.interrupt()  # so that its thread ends some time
            raise ReloadError(
                self._cancelled or f"{what} within {limit_s:g} s, expected one"
            ) from None

    def _next(self, what: str) -> Seen:
        wait_s, limit_s = self._config.frame_wait_s, self._config.load_limit_s
        found, waited_s = self._box.take(wait_s), wait_s
        # A frame that hangs is for the watchdog to end: it takes a model on probation back.
        while found is None and self._hangs():
            if waited_s >= limit_s:  # it may have given up, or been told not to
                wait_s = waited_s
                self._exchange.roll_back(f"a frame hangs for more than {limit_s:g} s")
                break
            found, waited_s = self._box.take(wait_s), waited_s + wait_s
        if self._cancelled:
            raise ReloadError(self._cancelled)
        if found is None:
            raise ReloadError(
                f"got no frame {what} within {wait_s:g} s, expected images and "
                "a subscriber to an output"
            )
        return found

    def _hangs(self) -> bool:
        return self._exchange.busy and not (self._exchange.fault or self._cancelled)
