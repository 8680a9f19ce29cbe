"""ONNX Runtime's execution providers: their short names, and which one really runs a graph."""

from __future__ import annotations

import logging
from typing import Any

from onnxruntime.capi.onnxruntime_pybind11_state import Fail

CPU = "CPUExecutionProvider"
PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": CPU,
}

_log = logging.getLogger(__name__)


def provider_in_use(session: Any) -> str:
    """Return the provider most of the graph was assigned to, not merely the first registered."""
    registered: list[str] = session.get_providers()
    nodes = dict.fromkeys(registered, 0)
    try:
        for part in session.get_provider_graph_assignment_info():
            nodes[part.ep_name] = nodes.get(part.ep_name, 0) + len(part.get_nodes())
    except (AttributeError, RuntimeError, Fail):
        return registered[0]  # older releases do not tell: the order of registration has to do
    best = max(nodes, key=nodes.__getitem__)
    return best if nodes[best] else registered[0]


def warn_if_not_as_asked(asked: list[str], in_use: str) -> None:
    """Log a warning when an accelerator was asked for first and something else runs the network."""
    if asked[0] != in_use:
        _log.warning(
            "%s was asked for but the network runs on %s%s",
            asked[0],
            in_use,
            ": expect it to be many times slower; check drivers and the onnxruntime build"
            if in_use == CPU
            else "",
        )
