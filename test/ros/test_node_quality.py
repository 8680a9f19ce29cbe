"""The whole node on a live graph and a picture that shows nothing: NaN, and everybody is told."""

from __future__ import annotations

import numpy as np
from ros_harness import SECOND_NS, SIZE_HW, grey, image_message, pixels
from sensor_msgs.msg import Image

JUDGED = {"health.enabled": True, "scale.source": "fixed", "scale.fixed_value": 1.0}


def test_depth_of_a_covered_lens_is_withheld_and_diagnostics_say_why(graph, start):
    start(parameters=JUDGED)
    for topic in ("depth/image", "depth/source", "semantics/mask"):
        graph.listen(Image, f"/gam_depth/{topic}")
        graph.wait_for_publisher(f"/gam_depth/{topic}")
    graph.send("/image", image_message(grey(102), SECOND_NS))
    assert np.isnan(pixels(graph.next("/gam_depth/depth/image"))).all()
    assert (pixels(graph.next("/gam_depth/depth/source")) == 0).all()
    assert graph.next("/gam_depth/semantics/mask").width == SIZE_HW[1]  # labels still come
    said = graph.diagnostics_after(lambda values: "covered" in values["picture"], "a word on it")
    assert "outputs withheld" in said["picture"]
