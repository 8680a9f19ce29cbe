"""Run a recording through the node's pipeline, offline, and write what the node would publish."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from gam_depth_ros.core.frame import Perception
from gam_depth_ros.core.pipeline import FrameError, PerceptionPipeline
from gam_depth_ros.evaluation.allocation import keep_freed
from gam_depth_ros.evaluation.bag_writer import BagWriter, OutMessage
from gam_depth_ros.evaluation.perception_messages import perception_messages
from gam_depth_ros.evaluation.sample import FrameFailure, Recording, Sample


@dataclass
class ReplayResult:
    """What a replay did.

    Attributes:
        frames_in: Images met in the recording.
        frames_out: Perceptions written.
        frames_without_scale: Of these, those whose metric outputs are NaN.
        failures: One line for each frame that was lost.
        messages: Messages written, by topic.
        notes: Remarks on the recording.
    """

    frames_in: int = 0
    frames_out: int = 0
    frames_without_scale: int = 0
    failures: list[str] = field(default_factory=list)
    messages: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def replay(
    recording: Recording,
    pipeline: PerceptionPipeline,
    out: Path,
    *,
    storage: str = "mcap",
    copy_inputs: bool = True,
    force: bool = False,
    on_frame: Callable[[], None] = lambda: None,
) -> ReplayResult:
    """Write the pipeline's outputs for every frame of a recording to a rosbag2 directory.

    Outputs carry their image's stamp and frame_id, and its receive time as theirs: the same
    recording and model give the same bytes on a CPU, run after run.

    Args:
        recording: Where the frames come from.
        pipeline: The pipeline; its state is reset first.
        out: The directory to be made.
        storage: ``mcap`` or ``sqlite3``.
        copy_inputs: Write the messages that were read as well.
        force: Replace an existing bag at ``out``.
        on_frame: Called after every frame, for a progress bar.

    Raises:
        BagError: ``out`` exists and ``force`` is off, or the storage is unknown.
    """
    keep_freed()
    result = ReplayResult()
    pipeline.reset()
    outputs = _outputs(recording, pipeline, result, on_frame)
    streams = [outputs]
    if copy_inputs:
        streams.insert(0, recording.input_messages())
    with BagWriter(out, storage, force=force) as writer:
        for message in heapq.merge(*streams, key=lambda message: message.bag_time_ns):
            writer.write(message)
    result.messages = dict(writer.counts)
    result.notes = recording.notes
    return result


def _outputs(
    recording: Recording,
    pipeline: PerceptionPipeline,
    result: ReplayResult,
    on_frame: Callable[[], None],
) -> Iterator[OutMessage]:
    """Yield the outputs of every frame, in their order.

    The pipeline works on a frame in a thread of its own while this one writes the outputs of the
    frame before and reads the one after: both leave Python's lock for most of their time.
    """
    labels = pipeline.engine.spec.labels
    with ThreadPoolExecutor(1, "pipeline") as worker:
        entries = ((sample, _begun(sample, pipeline, worker)) for sample in recording.samples())
        # In pairs: a frame's result is waited for when the next frame is handed in already.
        for entry, _ in itertools.pairwise(itertools.chain(entries, (None,))):
            assert entry is not None
            sample, begun = entry
            result.frames_in += 1
            on_frame()
            try:
                perception = begun.result()
            except FrameError as error:
                result.failures.append(str(error))
                continue
            result.frames_out += 1
            result.frames_without_scale += not perception.scale.known
            info = None if isinstance(sample, FrameFailure) else sample.camera_info
            yield from perception_messages(perception, labels, sample.bag_time_ns, info)


def _begun(
    sample: Sample | FrameFailure, pipeline: PerceptionPipeline, worker: ThreadPoolExecutor
) -> Future[Perception]:
    """Hand a frame to the pipeline; what could not even be read has failed already."""
    if isinstance(sample, FrameFailure):
        failed: Future[Perception] = Future()
        failed.set_exception(FrameError(sample.reason))
        return failed
    return worker.submit(pipeline.process, sample.frame)
