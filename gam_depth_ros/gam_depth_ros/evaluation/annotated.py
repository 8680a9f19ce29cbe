"""A bag for RViz or Foxglove: what was recorded, what came out of it, and where that is wrong."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from gam_depth_ros.core.frame import Perception
from gam_depth_ros.core.labels import LabelSet
from gam_depth_ros.evaluation.bag_writer import BagWriter, OutMessage, serialise
from gam_depth_ros.evaluation.image_messages import image_message, input_messages
from gam_depth_ros.evaluation.observation import Float, fitting_reference
from gam_depth_ros.evaluation.perception_messages import perception_messages
from gam_depth_ros.evaluation.pictures import ERROR_COLORS, ERROR_LIMIT, paint
from gam_depth_ros.evaluation.sample import Sample
from gam_depth_ros.evaluation.topics import OUTPUT_NAMESPACE

ERROR = f"{OUTPUT_NAMESPACE}/evaluation/error"
"""32FC1: (published depth - truth) / truth; NaN where one of them is not known."""
ERROR_COLOR = f"{OUTPUT_NAMESPACE}/evaluation/error_color"
"""rgb8: the same in the colours of the report."""


class AnnotatedBag:
    """Writes frames of a recording with what came out of them, while it is evaluated.

    Inputs stand under the topics that sequence folders are written with, outputs under the node's.

    Args:
        writer: The open bag.
        labels: The model's label set, for the coloured mask.
        slop_s: Largest difference of stamps between an image and its truth, seconds.
    """

    def __init__(self, writer: BagWriter, labels: LabelSet, slop_s: float) -> None:
        self._writer, self._labels, self._slop_s = writer, labels, slop_s

    def add(self, sample: Sample, perception: Perception) -> None:
        """Write one frame: its messages, what the pipeline made of it, and its error."""
        outputs = perception_messages(
            perception, self._labels, sample.bag_time_ns, sample.camera_info
        )
        for message in itertools.chain(
            input_messages(sample), outputs, self._errors(sample, perception)
        ):
            self._writer.write(message)

    def _errors(self, sample: Sample, perception: Perception) -> Iterator[OutMessage]:
        truth_m = fitting_reference(sample, self._slop_s)
        if truth_m is None:
            return
        error = relative_error(perception.depth_m, truth_m)
        stamp, frame_id = perception.stamp_ns, perception.frame_id
        colored = paint(error, ERROR_COLORS, -ERROR_LIMIT, ERROR_LIMIT)
        for topic, pixels, encoding in ((ERROR, error, "32FC1"), (ERROR_COLOR, colored, "rgb8")):
            message = image_message(pixels, encoding, stamp, frame_id)
            yield serialise(topic, sample.bag_time_ns, message)


def relative_error(depth_m: Float, truth_m: Float) -> Float:
    """Return (depth - truth) / truth, H×W; NaN where either is not known."""
    known = (truth_m > 0) & np.isfinite(truth_m)
    return np.where(known, depth_m / np.where(known, truth_m, 1.0) - 1.0, np.nan).astype(np.float32)
