"""The lifecycle node: subscribe, run the pipeline on the newest frame, publish.

One executor thread takes messages in, one worker thread perceives and publishes. The pipeline
itself lives in core; nothing is computed here.
"""

from __future__ import annotations

import logging
import sys
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
    messages,
    outputs,
    parameters,
    qos,
    stopwatch,
    topics,
)
from gam_depth_ros.core.engine import EngineError
from gam_depth_ros.core.frame import Frame, Perception
from gam_depth_ros.core.image_codec import ImageError
from gam_depth_ros.core.pipeline import FrameError, PerceptionPipeline, load_pipeline
from gam_depth_ros.inputs import Inputs
from gam_depth_ros.worker import Intake, Job, Worker

log = logging.getLogger("gam_depth_ros.node")  # __name__ is __main__ when run as a module

REPEATED_LINES_S = 5.0
DIAGNOSTICS_PERIOD_S = 1.0
# How soon a signal is seen: Python handles it only between two waits of the executor.
SPIN_S = 0.1
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
        self.finished = False
        self._throttle = log_bridge.Throttle(REPEATED_LINES_S)
        self._health = diagnostics.Health()
        self._pipeline: PerceptionPipeline | None = None
        self._last_stamp_ns = 0
        self._outputs: outputs.Publishers | None = None
        self._reset_service: Any = None
        self._inputs: Inputs | None = None
        self._intake: Intake | None = None
        self._worker: Worker | None = None
        # After the attributes: a refusal here ends in destroy_node.
        self._config = parameters.declare(self)
        self.add_on_set_parameters_callback(self._on_parameters)
        self._diagnostics = self.create_publisher(
            DiagnosticArray,
            topics.DIAGNOSTICS.name,
            qos.profile(self, topics.DIAGNOSTICS, qos.PUBLISHER),
        )
        # Steady, so that health is reported while simulated time stands still.
        self._timer = self.create_timer(
            DIAGNOSTICS_PERIOD_S, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

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
            self._pipeline = load_pipeline(config.model_path or None, config.pipeline)
        except (ValueError, OSError, EngineError) as error:
            self._health.problem = " ".join(str(error).split())
            log.error("configure: %s", self._health.problem)
            return TransitionCallbackReturn.FAILURE
        self._health.problem = ""
        self._health.model = diagnostics.model_facts(self._pipeline.engine)
        self._outputs = outputs.Publishers(self)
        if messages.ResetScale is not None:
            self._reset_service = self.create_service(
                messages.ResetScale, topics.RESET_SCALE.name, self._on_reset_scale
            )
        for topic in outputs.missing_interfaces():
            log.info("%s is off: %s is not installed", topic.name, topic.interface.split("/")[0])
        log.info("configured: %s", self._health.model.line())
        return super().on_configure(state)

    @log_bridge.logged
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker and subscribe."""
        config, pipeline, publishers = self._config, self._pipeline, self._outputs
        assert pipeline is not None
        assert publishers is not None
        result = super().on_activate(state)
        self._health.restart()
        pipeline.reset()
        self._last_stamp_ns = 0
        slop_s, wait_s = config.pipeline.pairing_slop_s, config.pairing_wait_s
        self._intake = Intake(slop_s, wait_s, self._health.dropped)
        self._inputs = Inputs(
            self,
            self._intake,
            self._health,
            self._throttle,
            lambda: bool(publishers.wanted()),
            config,
        )
        self._worker = Worker(self._intake, self._process, self._health.failed)
        if messages.LabelInfo is not None:
            head = messages.to_header(self.get_clock().now().nanoseconds, "")
            labels = pipeline.engine.spec.labels
            publishers.publish(topics.LABEL_INFO, messages.to_label_info(labels, head))
        log.info("active: waiting for %s", self._inputs.waiting_for())
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
        self.finished = True
        return SUCCESS

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
        # The worker first: it uses the inputs until its last frame is done.
        if self._worker is not None:
            self._worker.stop()
            self._worker = self._intake = None
        if self._inputs is not None:
            self._inputs.destroy()
            self._inputs = None

    def _release(self) -> None:
        if self._outputs is not None:
            self._outputs.destroy()
            self._outputs = None
        if self._reset_service is not None:
            self.destroy_service(self._reset_service)
            self._reset_service = None
        self._pipeline = None
        self._health.model = diagnostics.ModelFacts()

    def _process(self, job: Job) -> None:
        """Perceive one frame and publish it; in the worker's thread."""
        inputs, publishers, pipeline = self._inputs, self._outputs, self._pipeline
        assert inputs is not None
        assert publishers is not None
        assert pipeline is not None
        watch = stopwatch.Stopwatch(job.received_ns)
        watch.lap("wait")
        try:
            frame = inputs.frame(job)
            watch.lap("decode")
            wanted = publishers.wanted(calibrated=frame.intrinsics is not None)
            self._notice_loop(job.stamp_ns, pipeline)
            perception = pipeline.process(frame, outputs.needed(wanted))
        except (ImageError, FrameError, EngineError) as error:
            self._health.failed()
            inputs.say(f"{error}; frame lost")
            return
        watch.skip()
        for note in perception.notes:
            inputs.say(note)
        self._health.scale = perception.scale.reason
        self._health.quality = perception.quality
        publishers.publish_frame(wanted, self._result(perception, frame, inputs))
        watch.lap("publish")
        latency = watch.latency(self.get_clock().now().nanoseconds, job.stamp_ns)
        self._health.published({**watch.laps, **perception.stage_ms, **latency})

    def _notice_loop(self, stamp_ns: int, pipeline: PerceptionPipeline) -> None:
        if stamp_ns < self._last_stamp_ns:
            log.warning(
                "image: got stamp %d ns after %d ns, expected later ones (did a bag loop?); the "
                "scale is learnt anew",
                stamp_ns,
                self._last_stamp_ns,
            )
            pipeline.reset()
        self._last_stamp_ns = stamp_ns

    def _result(self, perception: Perception, frame: Frame, inputs: Inputs) -> outputs.Result:
        assert self._pipeline is not None
        return outputs.Result(
            perception=perception,
            frame=frame,
            camera_info=inputs.camera.message,
            labels=self._pipeline.engine.spec.labels,
            depth_encoding=self._config.depth_encoding,
            header=messages.to_header(frame.stamp_ns, frame.frame_id),
        )

    def _on_parameters(self, changed: list[Parameter[Any]]) -> SetParametersResult:
        try:
            values = {parameter.name: parameter.value for parameter in changed}
            self._config = parameters.change(self._config, values, self._pipeline is not None)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if self._intake is not None:
            self._intake.wait_s = self._config.pairing_wait_s
        if self._inputs is not None:
            self._inputs.registrar.configure(self._config.pipeline.registration)
        if self._pipeline is not None:
            self._pipeline.configure(self._config.pipeline)
        return SetParametersResult(successful=True)

    def _on_reset_scale(self, _request: Any, response: Any) -> Any:
        if self._pipeline is None:
            response.success, response.message = False, "not configured: there is no scale"
            return response
        self._pipeline.reset_scale()
        response.success, response.message = True, SCALE_FORGOTTEN
        log.info(response.message)
        return response

    def _report(self) -> None:
        self._health.waiting_for = self._inputs.waiting_for() if self._inputs else "activation"
        snapshot, now = self._health.snapshot(), self.get_clock().now()
        self._diagnostics.publish(
            diagnostics.diagnostic_array(snapshot, self.get_name(), now.to_msg())
        )
        if self._outputs is not None and self._outputs.wants(topics.STATUS):
            head = messages.to_header(now.nanoseconds, "")
            self._outputs.publish(topics.STATUS, messages.to_status(snapshot, head))


def main(args: list[str] | None = None) -> int:
    """Run the node until SIGINT, SIGTERM or a lifecycle shutdown; returns the exit status."""
    stop = live_graph.start(args)
    try:
        node = GamDepthNode()
    except (ValueError, ParameterException) as error:  # the latter: rclpy's own, as use_sim_time
        rclpy.logging.get_logger("gam_depth").fatal(str(error))
        rclpy.try_shutdown()
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    if node.autostart and node.trigger_configure() == SUCCESS:
        node.trigger_activate()
    while rclpy.ok() and not (stop.is_set() or node.finished):
        executor.spin_once(timeout_sec=SPIN_S)
    executor.shutdown()
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
