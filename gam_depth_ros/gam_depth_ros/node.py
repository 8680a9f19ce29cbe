"""The lifecycle node: its transitions, parameters and services.

One executor thread takes messages in, one worker thread perceives and publishes (perceiver.py).
The pipeline itself lives in core; nothing is computed here.
"""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import rclpy
import rclpy.logging
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from gam_depth_ros import (
    diagnostics,
    live_graph,
    log_bridge,
    memory,
    messages,
    outputs,
    parameters,
    qos,
    topics,
)
from gam_depth_ros.core.engine import EngineError
from gam_depth_ros.core.pipeline import load_pipeline
from gam_depth_ros.health import Health
from gam_depth_ros.model_names import find_model
from gam_depth_ros.perceiver import Perceiver
from gam_depth_ros.reload_service import ReloadService

log = logging.getLogger("gam_depth_ros.node")  # __name__ is __main__ when run as a module

REPEATED_LINES_S = 5.0
DIAGNOSTICS_PERIOD_S = 1.0
# How soon a hang is seen after its time is over.
LOOK_PERIOD_S = 0.2
# How soon a signal is seen: Python handles it only between two waits of the executor.
SPIN_S = 0.1
# For the caller of a reload to be answered after a shutdown.
ANSWER_S = 2.0
SCALE_FORGOTTEN = "scale forgotten: metric outputs are NaN until it is known again"

SUCCESS = TransitionCallbackReturn.SUCCESS


class GamDepthNode(LifecycleNode):
    """Depth, semantics and uncertainty of the newest image.

    Raises:
        ValueError: A parameter given at start was refused; one line.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("gam_depth", **kwargs)
        self._log_handler = log_bridge.attach(self.get_logger())
        self._shut_down_s: float | None = None
        self._throttle = log_bridge.Throttle(REPEATED_LINES_S)
        self._once = log_bridge.Throttle(float("inf"))
        self._health = Health()
        self._perceiver: Perceiver | None = None
        self._reload: ReloadService | None = None
        # After the attributes: a refusal here ends in destroy_node.
        self._config = parameters.declare(self)
        self._health.thermal_zones = Path(self._config.ladder.thermal_zones)
        self.add_on_set_parameters_callback(self._on_parameters)
        if messages.ResetScale is not None:
            self.create_service(messages.ResetScale, topics.RESET_SCALE.name, self._on_reset_scale)
        self._reload = ReloadService(
            self,
            lambda: self._perceiver,
            lambda: self._config,
            self._health,
            self._on_swapped,
        )
        self._diagnostics = self.create_publisher(
            DiagnosticArray,
            topics.DIAGNOSTICS.name,
            qos.profile(self, topics.DIAGNOSTICS, qos.PUBLISHER),
        )
        # Steady, so that health is reported while simulated time stands still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(DIAGNOSTICS_PERIOD_S, self._report, clock=steady)
        self.create_timer(LOOK_PERIOD_S, self._look, clock=steady)

    @property
    def finished(self) -> bool:
        """Whether it was shut down, and who waits for the end of a reload was answered."""
        if self._shut_down_s is None:
            return False
        answering = self._reload is not None and self._reload.answering
        return not answering or time.monotonic() - self._shut_down_s > ANSWER_S

    @property
    def autostart(self) -> bool:
        """Whether to configure and activate without being told to."""
        return self._config.autostart

    @log_bridge.logged
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and check the model, warm it up, create the publishers."""
        config = self._config
        try:
            qos.check(self)
            pipeline = load_pipeline(find_model(config.model_path), config.pipeline)
        except (ValueError, OSError, EngineError, MemoryError) as error:
            self._health.problem = " ".join(str(error).split()) or type(error).__name__
            log.error("configure: %s", self._health.problem)
            return TransitionCallbackReturn.FAILURE
        self._health.problem = ""
        self._perceiver = Perceiver(self, pipeline, config, self._health, self._throttle)
        for topic in outputs.missing_interfaces():
            log.info("%s is off: %s is not installed", topic.name, topic.interface.split("/")[0])
        log.info("configured: %s", self._health.model.line())
        return super().on_configure(state)

    @log_bridge.logged
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker and subscribe."""
        assert self._perceiver is not None
        result = super().on_activate(state)
        self._perceiver.start()
        log.info("active: waiting for %s", self._perceiver.waiting_for())
        return result

    @log_bridge.logged
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and let the frame in hand finish."""
        self._stop()
        return super().on_deactivate(state)

    @log_bridge.logged
    def on_cleanup(self, _state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the model and the publishers."""
        self._release()
        return SUCCESS

    @log_bridge.logged
    def on_shutdown(self, _state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and let go of everything, whatever the state."""
        self._stop()
        self._release()
        self._shut_down_s = time.monotonic()
        return SUCCESS

    @log_bridge.logged
    def on_error(self, _state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured after a transition that raised."""
        self._stop()
        self._release()
        self._health.problem = "unexpected error in a transition: see the log; configure again"
        return SUCCESS

    def destroy_node(self) -> None:
        """Stop the worker and detach from the library's log before the node goes."""
        self._stop()
        self._release()
        log_bridge.detach(self._log_handler)
        super().destroy_node()

    def _stop(self) -> None:
        if self._reload is not None:
            self._reload.cancel("the node was deactivated")
        if self._perceiver is not None:
            self._perceiver.stop()

    def _release(self) -> None:
        if self._perceiver is not None:
            self._perceiver.destroy()
            self._perceiver = None
            memory.give_back()

    def _on_parameters(self, changed: list[Parameter[Any]]) -> SetParametersResult:
        try:
            values = {parameter.name: parameter.value for parameter in changed}
            perceiver = self._perceiver
            self._config = parameters.change(
                self._config,
                values,
                configured=perceiver is not None,
                active=perceiver is not None and perceiver.active,
            )
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._health.thermal_zones = Path(self._config.ladder.thermal_zones)
        if self._perceiver is not None:
            self._perceiver.configure(self._config)
        return SetParametersResult(successful=True)

    def _on_reset_scale(self, _request: Any, response: Any) -> Any:
        if self._perceiver is None:
            response.success, response.message = False, "not configured: there is no scale"
            return response
        self._perceiver.exchange.reset_scale()
        response.success, response.message = True, SCALE_FORGOTTEN
        log.info(response.message)
        return response

    def _on_swapped(self, model_path: str) -> None:
        """Let the parameter name the model in use, which the next configure loads again."""
        self._config = replace(self._config, model_path=model_path)
        self.set_parameters([Parameter("model_path", value=model_path)])

    def _look(self) -> None:
        if self._perceiver is not None:
            self._perceiver.look()

    def _report(self) -> None:
        perceiver = self._perceiver
        self._health.waiting_for = perceiver.waiting_for() if perceiver else "activation"
        unheard = qos.unheard(self)
        self._health.qos_faults = tuple(unheard)
        self._health.silent_inputs = perceiver.silent_inputs() if perceiver else ()
        for line in unheard:
            if (text := self._once.line(line)) is not None:
                log.warning("nothing arrives: %s", text)
        self._health.namesake = qos.namesake(self)
        if self._health.namesake and (text := self._once.line(self._health.namesake)) is not None:
            log.warning(text)
        snapshot, now = self._health.snapshot(), self.get_clock().now()
        name = self.get_fully_qualified_name().removeprefix("/")  # each camera's node is another
        self._diagnostics.publish(diagnostics.diagnostic_array(snapshot, name, now.to_msg()))
        if perceiver is not None:
            perceiver.report(snapshot, now.nanoseconds)


def main(args: list[str] | None = None) -> int:
    """Run the node until SIGINT, SIGTERM or a lifecycle shutdown; returns the exit status."""
    # Before there is a participant: what is spared in a cycle is not destroyed at the end either,
    # and would leave its shared memory behind.
    memory.spare_what_is_loaded()
    stop = live_graph.start(args)
    try:
        node = GamDepthNode()
    except (ValueError, ParameterException) as error:  # the latter: rclpy's own, as use_sim_time
        rclpy.logging.get_logger("gam_depth").fatal(str(error))
        rclpy.try_shutdown()
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if node.autostart and node.trigger_configure() == SUCCESS:
            node.trigger_activate()
        while rclpy.ok() and not (stop.is_set() or node.finished):
            executor.spin_once(timeout_sec=SPIN_S)
    except Exception as error:
        # The border of the process: what a timer or a service raises, rclpy passes on.
        log.exception("unexpected error %r in a callback: the node ends", error)
        return 1
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
