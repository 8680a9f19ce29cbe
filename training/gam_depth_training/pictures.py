"""Tensors as pictures that people can look at."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gam_depth_training.video_batch import IGNORED_LABEL

Picture = npt.NDArray[np.uint8]
# Outliers must not take the colours of all others.
_LOW_PERCENT, _HIGH_PERCENT = 2.0, 98.0
# A step that visits all hues before it comes near one again.
_HUE_STEP = 0.618034


def tensor_picture(values: Tensor) -> Picture:
    """Draw one sample's tensor by what it is.

    Args:
        values: 3×H×W floating point in [0, 1]: colour. 1×H×W or H×W floating point: a colour map
            from the 2nd to the 98th percentile. 1×H×W or H×W integers or booleans: a colour for
            each number, black for ``IGNORED_LABEL``.

    Returns:
        H×W×3 uint8 RGB.

    Raises:
        ValueError: another shape.
    """
    array = values.detach().float().cpu() if values.is_floating_point() else values.detach().cpu()
    if array.ndim == 3 and array.shape[0] == 3 and values.is_floating_point():
        return (array.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2:
        raise ValueError(f"picture: got shape {tuple(values.shape)}, expected 1×H×W or 3×H×W")
    if values.is_floating_point():
        return colour_map(array.numpy())
    return number_colours(array.numpy().astype(np.int64))


def colour_map(values: npt.NDArray[np.floating]) -> Picture:
    """Draw H×W numbers from dark (small) to bright (large); black where not finite."""
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros((*values.shape, 3), np.uint8)
    low, high = np.percentile(values[finite], (_LOW_PERCENT, _HIGH_PERCENT))
    scaled = np.clip((np.where(finite, values, low) - low) / max(high - low, 1e-12), 0.0, 1.0)
    coloured = cv2.applyColorMap((255 * scaled).astype(np.uint8), cv2.COLORMAP_INFERNO)
    picture = cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB)
    picture[~finite] = 0
    return picture


def depth_picture(depth: npt.NDArray[np.floating]) -> Picture:
    """Draw H×W depth, near bright and far dark; black where unknown."""
    known = np.isfinite(depth) & (depth > 0)
    return colour_map(np.where(known, 1.0 / np.where(known, depth, 1.0), np.nan))


def number_colours(numbers: npt.NDArray[np.int64]) -> Picture:
    """Give each number of H×W a colour; black for ``IGNORED_LABEL``."""
    hue = (180 * ((numbers * _HUE_STEP) % 1.0)).astype(np.uint8)
    value = np.where(numbers == IGNORED_LABEL, 0, 230).astype(np.uint8)
    hsv = np.stack((hue, np.full_like(hue, 150), value), axis=-1)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def first_pictures(tensors: Mapping[str, Tensor]) -> dict[str, Picture]:
    """Draw the first sample of each batch of tensors, by name."""
    drawn = {}
    for name, values in tensors.items():
        first = values[0]
        is_depth = name == "depth"
        drawn[name] = (
            depth_picture(first[0].detach().float().cpu().numpy())
            if is_depth
            else tensor_picture(first)
        )
    return drawn


def contact_sheet(rows: list[list[Picture]], size_hw: tuple[int, int]) -> Picture:
    """Lay pictures out in rows, each resized to ``size_hw``, with a thin white line between."""
    height, width = size_hw
    lines = []
    for row in rows:
        cells = [cv2.resize(cell, (width, height), interpolation=cv2.INTER_AREA) for cell in row]
        framed = [np.pad(cell, ((2, 2), (2, 2), (0, 0)), constant_values=255) for cell in cells]
        lines.append(np.concatenate(framed, axis=1))
    return np.concatenate(lines, axis=0)
