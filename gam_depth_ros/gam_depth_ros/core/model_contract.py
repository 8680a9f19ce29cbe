"""Checks a loaded model against its contract, each breach with one clear line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gam_depth_ros.core.model_spec import (
    INPUT_NAME,
    REQUIRED_OUTPUTS,
    ModelContractError,
    ModelSpec,
    NetworkOutput,
)

_OUTPUT_TYPES = {
    "depth": "tensor(float)",
    "sigma": "tensor(float)",
    "label": "tensor(uint8)",
    "label_confidence": "tensor(float)",
    "features": "tensor(float)",
}


def check_signature(inputs: Sequence[Any], outputs: Sequence[Any], spec: ModelSpec) -> None:
    """Check declared inputs and outputs.

    Args:
        inputs: ``InferenceSession.get_inputs()``: name, type, shape (numbers or symbols).
        outputs: ``InferenceSession.get_outputs()``.
        spec: The contract found in the file.

    Raises:
        ModelContractError: another input, a missing output, or one of another type or shape.
    """
    names = [entry.name for entry in inputs]
    if names != [INPUT_NAME]:
        raise ModelContractError(
            f"got inputs {', '.join(names) or 'none'}, expected only '{INPUT_NAME}'; "
            "export the model again"
        )
    height, width = spec.input_size_hw
    _check(f"input '{INPUT_NAME}'", inputs[0], "tensor(uint8)", (1, height, width, 3))
    found = {entry.name: entry for entry in outputs}
    for name in (*REQUIRED_OUTPUTS, *spec.outputs):
        if name not in found:
            raise ModelContractError(
                f"got outputs {', '.join(found)}, expected '{name}' too; export the model again"
            )
        if name in _OUTPUT_TYPES:
            shape = (1, None) if name == "features" else (1, height, width)
            _check(f"output '{name}'", found[name], _OUTPUT_TYPES[name], shape)


def _check(what: str, entry: Any, dtype: str, shape: tuple[int | None, ...]) -> None:
    """Compare type and shape; symbolic dimensions match anything."""
    if entry.type != dtype:
        raise ModelContractError(
            f"{what}: got {entry.type}, expected {dtype}; export the model again"
        )
    same = len(entry.shape) == len(shape) and all(
        not isinstance(got, int) or want is None or got == want
        for got, want in zip(entry.shape, shape, strict=True)
    )
    if not same:
        raise ModelContractError(
            f"{what}: got shape {list(entry.shape)}, expected {_words(shape)}; "
            "export the model again"
        )


def _words(shape: tuple[int | None, ...]) -> str:
    return f"[{', '.join('any' if side is None else str(side) for side in shape)}]"


def check_outputs(output: NetworkOutput, spec: ModelSpec) -> None:
    """Check what a first inference returned: shapes that were symbolic, and the values.

    Raises:
        ModelContractError: another shape or type; depth that is not finite and positive; sigma
            that is negative or not finite; a confidence outside 0 to 1; an id without a class.
    """
    for name in REQUIRED_OUTPUTS:
        array = getattr(output, name)
        dtype = np.uint8 if name == "label" else np.float32
        if array.shape != spec.input_size_hw or array.dtype != dtype:
            raise ModelContractError(
                f"output '{name}': got {array.shape} {array.dtype} from a first inference, "
                f"expected {spec.input_size_hw} {np.dtype(dtype)}; export the model again"
            )
    ids = output.label[output.label != spec.labels.unlabelled_id]
    confidence = output.label_confidence
    rules = (
        ("depth", "finite values above zero", output.depth, _positive(output.depth)),
        ("sigma", "finite values of at least zero", output.sigma, _non_negative(output.sigma)),
        ("label", f"ids below {len(spec.labels)}", ids, bool((ids < len(spec.labels)).all())),
        (
            "label_confidence",
            "values from 0 to 1",
            confidence,
            # Softmax rounding may pass 1 by a few units in the last place.
            _non_negative(confidence) and bool((confidence <= 1.0 + 1e-5).all()),
        ),
    )
    for name, expected, values, kept in rules:
        if not kept:
            raise ModelContractError(
                f"output '{name}': got {np.min(values):g} to {np.max(values):g} from a first "
                f"inference, expected {expected}; train or export the model again"
            )


def _positive(values: Any) -> bool:
    return bool(np.isfinite(values).all() and (values > 0).all())


def _non_negative(values: Any) -> bool:
    return bool(np.isfinite(values).all() and (values >= 0).all())
