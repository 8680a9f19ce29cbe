"""What turns images into outputs: pipeline, publishers, subscriptions and the worker between them.

The node tells it when to live; everything that happens to one frame happens here, in the worker's
thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode

from gam_depth_ros import diagnostics, messages, outputs, stopwatch, topics
from gam_depth_ros.core.engine import EngineError
from gam_depth_ros.core.frame import Frame, Perception
from gam_depth_ros.core.image_codec import ImageError
from gam_depth_ros.core.labels import LabelSet
from gam_depth_ros.core.pipeline import FrameError, PerceptionPipeline
from gam_depth_ros.exchange import Exchange
from gam_depth_ros.health import OVERTAKEN, Health
from gam_depth_ros.inputs import Inputs
from gam_depth_ros.ladder import CLOUD_OFF
from gam_depth_ros.log_bridge import Throttle
from gam_depth_ros.parameters import NodeConfig
from gam_depth_ros.renewal import Renewal
from gam_depth_ros.snapshot import ModelFacts, Snapshot, model_facts
from gam_depth_ros.stamp_order import BACK, LATE, StampOrder
from gam_depth_ros.supervisor import Supervisor
from gam_depth_ros.watchdog import INTERRUPT, REPLACE
from gam_depth_ros.worker import Intake, Job, Worker

log = logging.getLogger(__name__)


class Perceiver:
    """Publishers from construction to :meth:`destroy`, frames from :meth:`start` to :meth:`stop`.

    Args:
        node: The node to publish and subscribe with.
        pipeline: Perceives the frames until the exchange is given another one.
        config: The settings.
        health: Where frames are accounted for.
        throttle: Thins repeated lines.
    """

    def __init__(
        self,
        node: LifecycleNode,
        pipeline: PerceptionPipeline,
        config: NodeConfig,
        health: Health,
        throttle: Throttle,
    ) -> None:
        self._node = node
        self.exchange = Exchange(pipeline, self._take_over)
        self._config = config
        self._health = health
        self._throttle = throttle
        self._order = StampOrder()
        self._outputs = outputs.Publishers(node)
        self._inputs: Inputs | None = None
        self._intake: Intake | None = None
        self._worker: Worker | None = None
        self._renewal: Renewal | None = None
        self._left_hanging = False
        self._supervisor = Supervisor(config, health)
        health.model = model_facts(pipeline.engine)

    @property
    def active(self) -> bool:
        """Whether frames are taken in."""
        return self._worker is not None

    def start(self) -> None:
        """Subscribe and start the worker, all counts and the scale at zero."""
        config = self._config
        self._health.restart()
        self._supervisor.restart()
        self.exchange.reset()
        self._order = StampOrder()
        self._outputs.withheld = frozenset()  # the ladder begins anew
        slop_s, wait_s = config.pipeline.pairing_slop_s, config.pairing_wait_s
        self._intake = Intake(slop_s, wait_s, self._health.dropped)
        self._inputs = Inputs(
            self._node,
            self._intake,
            self._health,
            self._throttle,
            lambda: bool(self._outputs.wanted()),
            config,
        )
        self._begin(renew=self._left_hanging)
        self._left_hanging = False
        self._take_over(self.exchange.current)

    def stop(self) -> None:
        """Unsubscribe and let the frame in hand finish; harmless where nothing runs."""
        if self._renewal is not None:
            self._renewal.stop()
            self._renewal = None
        # The worker first: it uses the inputs until its last frame is done.
        if self._worker is not None:
            if not self._worker.stop():
                # Its thread may use the pipeline still: the next activation takes another one.
                self._left_hanging = True
                self.exchange.abandon("the inference hung")
            self._worker = self._intake = None
            self._supervisor.restart()  # a frame that hangs still is given up
        if self._inputs is not None:
            self._inputs.destroy()
            self._inputs = None

    def destroy(self) -> None:
        """Stop, and remove every publisher from the node."""
        self.stop()
        self._supervisor.close()
        self._outputs.destroy()
        self._health.model = ModelFacts()

    def configure(self, config: NodeConfig) -> None:
        """Take over changed settings."""
        self._config = config
        if self._intake is not None:
            self._intake.wait_s = config.pairing_wait_s
        if self._inputs is not None:
            self._inputs.configure(config.pipeline)
        self.exchange.configure(config.pipeline)
        self._supervisor.configure(config)

    def waiting_for(self) -> str:
        """Name what has not arrived yet; empty when nothing is missing."""
        return self._inputs.waiting_for() if self._inputs else "activation"

    def silent_inputs(self) -> tuple[str, ...]:
        """Say which inputs beside the images stopped, or cannot be heard."""
        return self._inputs.silent(self._config.watchdog.stale_s) if self._inputs else ()

    def look(self) -> None:
        """Look after the frame in hand and the input; several times a second."""
        if self._worker is None or self._intake is None or self._inputs is None:
            return
        self._supervisor.stale(self._inputs.silence(self._config.watchdog.stale_s))
        action = self._supervisor.look()
        if action == INTERRUPT:
            self.exchange.interrupt()
        elif action == REPLACE:
            if self._renewal is None or self._renewal.over:  # else no frame was in hand
                self._health.failed()
            self._health.replaced()
            self._worker.abandon()
            # On probation, the model before it is the one to be made anew.
            self.exchange.abandon("the inference hung")
            self._begin(renew=True)

    def report(self, snapshot: Snapshot, now_ns: int) -> None:
        """Give up what the ladder says; publish ``~/status``, if anybody listens."""
        ladder = self._supervisor.second(snapshot, now_ns)
        cloud_off = ladder.gives_up(CLOUD_OFF)
        self._outputs.withheld = frozenset({topics.POINTS.name} if cloud_off else ())
        if self._inputs is not None:
            self._inputs.rate_divider = ladder.rate_divider
        self._supervisor.check_rungs(self.exchange)
        if self._outputs.wants(topics.STATUS):
            head = messages.to_header(now_ns, "")
            self._outputs.publish(topics.STATUS, diagnostics.to_status(snapshot, head))

    def _begin(self, renew: bool) -> None:
        """Start a worker, with a new engine if that of the one before hangs."""
        assert self._intake is not None
        self._renewal = Renewal(self.exchange, self._supervisor) if renew else None
        prepare = self._renewal.run if self._renewal else lambda: True
        self._worker = Worker(self._intake, self._process, self._health.failed, prepare)

    def _take_over(self, pipeline: PerceptionPipeline) -> None:
        """Tell whose frames the next ones are: in diagnostics, and what their labels mean."""
        self._health.model = model_facts(pipeline.engine)
        if messages.LabelInfo is not None:
            head = messages.to_header(self._now_ns(), "")
            labels = pipeline.engine.spec.labels
            self._outputs.publish(topics.LABEL_INFO, messages.to_label_info(labels, head))

    def _process(self, job: Job) -> None:
        """Perceive one frame under the eye of the watchdog; in the worker's thread."""
        watchdog = self._supervisor.watchdog
        ticket, published = watchdog.started(time.monotonic_ns()), False
        try:
            self._supervisor.fit_input(self.exchange)
            published = self._perceive(job, lambda: watchdog.holds(ticket))
        finally:
            watchdog.finished(ticket, time.monotonic_ns(), published)

    def _perceive(self, job: Job, holds: Callable[[], bool]) -> bool:
        """Perceive one frame and publish it; returns whether it was.

        Args:
            job: The frame.
            holds: Whether it was not given up meanwhile.
        """
        inputs = self._inputs
        assert inputs is not None
        watch = stopwatch.Stopwatch(job.received_ns)
        watch.lap(stopwatch.WAIT)
        try:
            frame = inputs.frame(job)
            watch.lap("decode")
            wanted = self._outputs.wanted(calibrated=frame.intrinsics is not None)
            # Given up while it was decoded, it must not touch what the next worker works with.
            if not (holds() and self._in_order(job.stamp_ns, inputs)):
                return False
            perception, pipeline = self.exchange.process(frame, outputs.needed(wanted))
        except (ImageError, FrameError, EngineError, MemoryError) as error:
            if holds():
                self._health.failed()
                inputs.say(f"{str(error) or type(error).__name__}; frame lost")
            return False
        if not holds():
            log.warning("frame at %d ns: its answer came after it was given up", job.stamp_ns)
            return False
        watch.skip()
        for note in perception.notes:
            inputs.say(note)
        self._health.scale = perception.scale
        self._health.quality = perception.quality
        result = self._result(perception, frame, inputs, pipeline.engine.spec.labels)
        self._outputs.publish_frame(wanted, result)
        watch.lap("publish")
        latency = watch.latency(self._now_ns(), job.stamp_ns)
        if not holds():  # a subscriber held it up, and it was accounted for then
            return False
        self._health.published({**watch.laps, **perception.stage_ms, **latency})
        return True

    def _in_order(self, stamp_ns: int, inputs: Inputs) -> bool:
        """Forget what was learnt where stamps go back; returns whether the image is not late."""
        newest_ns = self._order.newest_ns
        found = self._order.judge(stamp_ns)
        if found == LATE:
            self._health.dropped(OVERTAKEN)
            inputs.say(f"image: got stamp {stamp_ns} ns after {newest_ns} ns, expected later ones")
        elif found == BACK:
            log.warning(
                "image: got stamp %d ns after %d ns, expected later ones (did a bag loop?); the "
                "scale is learnt anew",
                stamp_ns,
                newest_ns,
            )
            self.exchange.reset()
        return found != LATE

    def _result(
        self, perception: Perception, frame: Frame, inputs: Inputs, labels: LabelSet
    ) -> outputs.Result:
        return outputs.Result(
            perception=perception,
            frame=frame,
            camera_info=inputs.camera.message,
            labels=labels,
            depth_encoding=self._config.depth_encoding,
            header=messages.to_header(frame.stamp_ns, frame.frame_id),
        )

    def _now_ns(self) -> int:
        now: Any = self._node.get_clock().now()
        return int(now.nanoseconds)
