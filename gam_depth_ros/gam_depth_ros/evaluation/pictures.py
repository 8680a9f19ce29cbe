"""Frames as rows of small pictures: colour, sensor, network, error, sigma, labels.

One depth scale for the whole page, near warm and far cool; what is unknown is always the same grey.
"""

from __future__ import annotations

import base64
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.frame import SOURCE_FUSED, SOURCE_NETWORK, SOURCE_SENSOR
from gam_depth_ros.core.labels import LabelSet
from gam_depth_ros.evaluation.gallery import Picture
from gam_depth_ros.evaluation.observation import Float

UNKNOWN_RGB = (205, 209, 214)
SOURCE_RGB = {
    SOURCE_SENSOR: (31, 95, 191),
    SOURCE_NETWORK: (216, 96, 42),
    SOURCE_FUSED: (60, 140, 80),
}
SOURCE_CAPTION = "sensor blue, network orange, both green"
DEPTH_COLORS, ERROR_COLORS, SIGMA_COLORS = "turbo_r", "RdBu", "magma"
ERROR_LIMIT = 0.5
SIGMA_LIMIT = 0.5
JPEG_QUALITY = 84
LABEL_BLEND = 0.72


def picture_rows(
    chosen: list[tuple[str, Picture]], labels: LabelSet, limits_m: tuple[float, float]
) -> list[dict[str, Any]]:
    """Render the chosen frames.

    Args:
        chosen: Title and picture.
        labels: The label set of the masks.
        limits_m: Depths at the near and far end of the colours, metres.

    Returns:
        For each frame its title, facts, and panels (title, caption, image as a data URI).
    """
    rows: list[dict[str, Any]] = [
        {
            "title": title,
            "index": picture.index,
            "facts": facts_of(picture),
            "panels": _panels(picture, labels, limits_m),
        }
        for title, picture in chosen
    ]
    shown = {panel["title"] for row in rows for panel in row["panels"] if panel["image"]}
    for row in rows:
        # What no frame has, no row keeps a place for.
        row["panels"] = [panel for panel in row["panels"] if panel["title"] in shown]
    return rows


def depth_limits_m(chosen: list[tuple[str, Picture]]) -> tuple[float, float]:
    """Return the ends of the common depth colours: the middle 97 % of what is shown, rounded."""
    depths = []
    for _, picture in chosen:
        shown = picture.truth_m if picture.truth_m is not None else picture.depth
        if shown is not None:
            depths.append(shown[np.isfinite(shown)][::7])
    pooled = np.concatenate(depths) if depths else np.empty(0)
    if not pooled.size:
        return 0.5, 5.0
    near, far = np.percentile(pooled, [1.0, 98.0])
    far_m = max(1.0, float(np.ceil(2.0 * far) / 2.0))
    return float(np.clip(np.floor(5.0 * near) / 5.0, 0.2, far_m / 2.0)), far_m


def color_bar(name: str) -> str:
    """Return a horizontal bar of a colour map as a data URI."""
    ramp = np.linspace(0.0, 1.0, 256, dtype=np.float32)[None].repeat(2, axis=0)
    return encode_picture(paint(ramp, name, 0.0, 1.0), ".png")


def legend(labels: LabelSet, chosen: list[tuple[str, Picture]]) -> list[dict[str, str]]:
    """Return name and colour of the classes that occur in the pictures."""
    shown: set[int] = set()
    for _, picture in chosen:
        if picture.labels is not None:
            shown |= {int(value) for value in np.unique(picture.labels)}
    return [
        {"name": name, "color": "#{:02x}{:02x}{:02x}".format(*labels.palette[index])}
        for index, name in enumerate(labels.names)
        if index in shown
    ]


def facts_of(picture: Picture) -> str:
    """Return a frame's figures in words, empty where it has none."""
    facts = []
    if np.isfinite(picture.abs_rel):
        facts.append(f"AbsRel {picture.abs_rel:.3f}")
    if np.isfinite(picture.scale):
        facts.append(f"scale in use {picture.scale:.3f}")
    return " · ".join(facts)


def _panels(
    picture: Picture, labels: LabelSet, limits_m: tuple[float, float]
) -> list[dict[str, str]]:
    truth, depth, sigma = picture.truth_m, picture.depth, picture.relative_sigma
    error = None
    if truth is not None and depth is not None:
        error = (depth - truth) / truth
    panels = [
        _panel("Colour", "", picture.rgb),
        _panel("Sensor", "m", None if truth is None else paint_depth(truth, limits_m)),
        _panel(
            "Network",
            picture.alignment,
            None if depth is None else paint_depth(depth, limits_m),
        ),
        _panel(
            "Error",
            "relative to the sensor",
            None if error is None else paint(error, ERROR_COLORS, -ERROR_LIMIT, ERROR_LIMIT),
        ),
        _panel(
            "Sigma",
            "share of depth",
            None if sigma is None else paint(sigma, SIGMA_COLORS, 0.0, SIGMA_LIMIT),
        ),
        _panel("Labels", "", painted_labels(picture, labels)),
    ]
    if picture.source is not None:
        panels.append(_panel("Source", SOURCE_CAPTION, painted_source(picture.source)))
    return panels


def _panel(title: str, caption: str, rgb: npt.NDArray[np.uint8] | None) -> dict[str, str]:
    image = "" if rgb is None else encode_picture(rgb, ".jpg")
    return {"title": title, "caption": caption, "image": image}


def paint_depth(depth_m: Float, limits_m: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Return H×W×3 uint8 RGB: near warm, far cool, unknown grey."""
    # On a log scale: a tenth of the depth is as much colour near as far.
    near, far = (float(np.log(limit)) for limit in limits_m)
    with np.errstate(invalid="ignore"):
        return paint(np.log(depth_m), DEPTH_COLORS, near, far)


def painted_source(source: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return H×W×3 uint8 RGB: where each published pixel came from, in the caption's colours."""
    table = np.full((256, 3), UNKNOWN_RGB, np.uint8)
    for value, color in SOURCE_RGB.items():
        table[value] = color
    return table[source]


def painted_labels(picture: Picture, labels: LabelSet) -> npt.NDArray[np.uint8] | None:
    """Return the mask over a grey version of the picture, so that outlines can be compared."""
    if picture.labels is None:
        return None
    grey = cv2.cvtColor(picture.rgb, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    mask = labels.colorize(picture.labels).astype(np.float32)
    return np.asarray(LABEL_BLEND * mask + (1.0 - LABEL_BLEND) * grey, np.uint8)


def paint(values: Float, name: str, low: float, high: float) -> npt.NDArray[np.uint8]:
    """Return H×W×3 uint8 RGB; values outside the limits take the colour of the limit."""
    known = np.isfinite(values)
    position = np.clip((np.where(known, values, low) - low) / (high - low), 0.0, 1.0)
    table = np.asarray(mpl.colormaps[name](np.linspace(0.0, 1.0, 256))[:, :3] * 255.0 + 0.5)
    painted = table.astype(np.uint8)[(position * 255.0 + 0.5).astype(np.uint8)]
    painted[~known] = UNKNOWN_RGB
    return painted


def encode_picture(rgb: npt.NDArray[np.uint8], suffix: str) -> str:
    """Return a picture as a data URI; the suffix, ``.jpg`` or ``.png``, says how it is coded."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix == ".jpg" else []
    _, data = cv2.imencode(suffix, bgr, options)
    kind = "jpeg" if suffix == ".jpg" else "png"
    return f"data:image/{kind};base64," + base64.b64encode(data.tobytes()).decode()
