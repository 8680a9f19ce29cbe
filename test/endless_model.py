"""A model that never comes to an end where a picture is white: ONNX Runtime really turns in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ENDLESS = 10**12


def with_endless_loop(path: Path) -> Path:
    """Let a tiny model turn in a loop without an end where a picture is white all over."""
    model = onnx.load(path)
    scalar = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Mul", ["value", "unit"], ["value_out"]),
        ],
        "turn",
        [
            scalar("turn", TensorProto.INT64, []),
            scalar("go", TensorProto.BOOL, []),
            scalar("value", TensorProto.FLOAT, []),
        ],
        [scalar("go_on", TensorProto.BOOL, []), scalar("value_out", TensorProto.FLOAT, [])],
        [numpy_helper.from_array(np.array(1.0, np.float32), "unit")],
    )
    make = helper.make_node
    model.graph.initializer.extend(
        numpy_helper.from_array(np.array(value, dtype), name)
        for name, value, dtype in (
            ("white", 254.5, np.float32),
            ("endless", ENDLESS, np.int64),
            ("once", 1, np.int64),
            ("start", 1.0, np.float32),
        )
    )
    for node in model.graph.node:
        node.output[:] = ["depth_before" if name == "depth" else name for name in node.output]
    model.graph.node.extend(
        [
            make("ReduceMin", ["mean"], ["darkest"], keepdims=0),
            make("Greater", ["darkest", "white"], ["is_white"]),
            make("Where", ["is_white", "endless", "once"], ["turns"]),
            make("Loop", ["turns", "", "start"], ["turned"], body=body),
            make("Mul", ["depth_before", "turned"], ["depth"]),
        ]
    )
    onnx.save(model, path)
    return path
