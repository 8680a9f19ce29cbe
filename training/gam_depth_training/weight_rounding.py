"""Weights in 8 bits whose rounding errors cancel instead of adding up."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LARGEST = 127


def round_to_int8(
    weight: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Round each output channel to steps of its own, handing every error on to the next weight.

    Error diffusion (Floyd & Steinberg 1976, along one line): what one weight loses the next one
    gets, so any run of a channel's weights keeps its sum to within a step, and with it the answer
    to inputs that change slowly over the kernel and are positive, as activations mostly are.

    Rounding each weight by itself would undo a fine-tuning: weights read from a model file lie on
    its steps, a short training moves them by far less than half a step, all in chosen directions,
    and each of them would fall back to where it came from.

    Args:
        weight: O×I×H×W.

    Returns:
        Steps, O×I×H×W from −127 to 127, each at most one from its weight; and the size of a step,
        O×1×1×1. Weights that lie on such steps come back as they were.
    """
    flat = weight.reshape(len(weight), -1)
    scale = np.maximum(np.abs(flat).max(axis=1) / LARGEST, 1e-12).astype(np.float32)
    # One row for each place in the kernel: all channels take a place in one go.
    wanted = np.ascontiguousarray((flat / scale[:, None]).T)
    steps = np.empty_like(wanted)
    owed = np.zeros(len(weight), np.float32)
    for place in range(len(wanted)):
        wanted[place] += owed
        np.clip(np.rint(wanted[place]), -LARGEST, LARGEST, out=steps[place])
        np.subtract(wanted[place], steps[place], out=owed)
    return (
        np.ascontiguousarray(steps.T).astype(np.int8).reshape(weight.shape),
        scale.reshape(-1, 1, 1, 1),
    )
