"""``~/reload_model``: answered when the reload is over, while the executor and the worker go on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode
from rclpy.task import Future

from gam_depth_ros import memory, messages, topics
from gam_depth_ros.health import Health
from gam_depth_ros.parameters import NodeConfig
from gam_depth_ros.perceiver import Perceiver
from gam_depth_ros.reload import ModelReload
from gam_depth_ros.reload_terms import ReloadRequest, ReloadResult

log = logging.getLogger(__name__)

# For the thread of a reload to find that it was cancelled.
CANCEL_S = 2.0


@dataclass(frozen=True)
class _Running:
    reload: ModelReload
    thread: threading.Thread


class ReloadService:
    """One reload at a time, in a thread of its own; the service stands as long as the node.

    The callback is a coroutine: rclpy asks it again at each turn of the executor, at least every
    ``node.SPIN_S``, and takes other callbacks in meanwhile. It has a group of its own for that.

    Args:
        node: The node to serve from.
        perceiver: Returns the perceiver, None while the node is not configured.
        config: Returns the settings.
        health: Is told of progress and result.
        on_swapped: Called in the executor's thread with the path of the model now in use.
    """

    def __init__(
        self,
        node: LifecycleNode,
        perceiver: Callable[[], Perceiver | None],
        config: Callable[[], NodeConfig],
        health: Health,
        on_swapped: Callable[[str], None],
    ) -> None:
        self._perceiver = perceiver
        self._config = config
        self._health = health
        self._on_swapped = on_swapped
        self._running: _Running | None = None
        if messages.ReloadModel is not None:
            node.create_service(
                messages.ReloadModel,
                topics.RELOAD_MODEL.name,
                self._on_request,
                callback_group=ReentrantCallbackGroup(),
            )

    def cancel(self, reason: str) -> None:
        """End a reload under way; its caller is told the reason."""
        if self._running is not None:
            self._running.reload.cancel(reason)
            self._running.thread.join(CANCEL_S)

    @property
    def answering(self) -> bool:
        """Whether somebody waits for an answer."""
        return self._running is not None

    async def _on_request(self, request: Any, response: Any) -> Any:
        perceiver, config = self._perceiver(), self._config()
        refusal = ""
        if perceiver is None:
            refusal = "not configured: set the parameter model_path and configure"
        elif self._running is not None:
            refusal = "got a second reload while one is under way, expected one at a time; wait"
        if perceiver is None or refusal:
            return _filled(response, ReloadResult(False, False, refusal))
        path = request.model_path or config.model_path
        result: ReloadResult = await self._begin(
            ModelReload(
                perceiver.exchange,
                ReloadRequest(path, request.shadow_frames, request.compare_only),
                config.reload,
                active=perceiver.active,
                tell=self._tell,
            )
        )
        self._running = None
        # Only now does nothing hold the model that was let go of. Beside the executor: a collection
        # takes tens of milliseconds.
        threading.Thread(target=memory.give_back, name="gam_depth_give_back", daemon=True).start()
        (log.info if result.success else log.error)("reload: %s", result.message)
        self._tell(result.message)
        self._health.note(f"reload: {result.message}")
        if result.swapped:
            self._on_swapped(path)
        return _filled(response, result)

    def _tell(self, line: str) -> None:
        self._health.reload = line

    def _begin(self, reload: ModelReload) -> Future:
        future = Future()
        thread = threading.Thread(
            target=lambda: future.set_result(_run_safely(reload)),
            name="gam_depth_reload",
            daemon=True,
        )
        self._running = _Running(reload, thread)
        thread.start()
        return future


def _run_safely(reload: ModelReload) -> ReloadResult:
    try:
        result = reload.run()
    except Exception as error:
        # The border of the thread: whoever called waits for an answer, whatever happened.
        log.exception("reload: unexpected error")
        result = reload.broken(error)
    return result


def _filled(response: Any, result: ReloadResult) -> Any:
    comparison = result.comparison
    response.success, response.message = result.success, result.message
    response.model_sha256 = result.sha256
    response.frames_compared = comparison.frames
    response.scale_ratio = comparison.scale_ratio
    response.depth_difference = comparison.depth_difference
    response.label_agreement = comparison.label_agreement
    response.latency_ms = comparison.latency_ms
    response.running_latency_ms = comparison.running_latency_ms
    return response
