"""An explanation as ``explain.json`` and one self-contained page, ``explain.html``."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.labels import LabelSet
from gam_depth_ros.evaluation.bag_writer import make_directory
from gam_depth_ros.evaluation.explain import Explanation, LabelShare, label_shares
from gam_depth_ros.evaluation.page import page_environment
from gam_depth_ros.evaluation.pictures import color_bar, encode_picture, paint, paint_depth

FORMAT_VERSION = 1
JSON_NAME = "explain.json"
HTML_NAME = "explain.html"
INFLUENCE_COLORS = "inferno"
_REGION_RGB = (0, 220, 255)
_BLEND = 0.62

Report = dict[str, Any]
Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Wording:
    """How the page says what was done.

    Attributes:
        lead: Under the headline: what a place's influence is.
        method: How it was measured, with its numbers.
    """

    lead: str
    method: str


def hidden_wording(found: Explanation, fill: str) -> Wording:
    """Return the words for an explanation by occlusion."""
    answer = (
        "The answer is the mean log depth of the region, up to scale: what moves the whole "
        "picture's depth moves it too."
        if found.quantity == "depth"
        else "The answer is the share of the region that keeps its label, weighted by the label's "
        "confidence."
    )
    return Wording(
        lead=f"A patch of {found.patch_px} pixels of the network's input hid one place after the "
        f"other; how far the {found.quantity} of the marked region moved is what the place "
        "weighs.",
        method=f"Occlusion sensitivity, {found.runs} inferences, fill: {fill}. {answer}",
    )


def write_explanation(
    found: Explanation,
    rgb: Image,
    labels: LabelSet,
    about: Report,
    out: Path,
    wording: Wording,
    more: Sequence[tuple[str, Image]] = (),
) -> tuple[Report, tuple[Path, Path]]:
    """Write both files into ``out``, which is made if need be.

    Args:
        found: The explanation.
        rgb: H×W×3 uint8, the picture that was explained.
        labels: The label set of its labels.
        about: ``source`` and ``model``, and what else the report should say.
        out: The directory.
        wording: What the page says was done.
        more: Further pictures for the page, H×W×3 uint8, with their titles.

    Returns:
        The content of the JSON file, and the paths of it and of the page.

    Raises:
        BagError: ``out`` cannot be made.
    """
    make_directory(out)
    shares = label_shares(found)
    report = {
        "format_version": FORMAT_VERSION,
        **about,
        "quantity": found.quantity,
        "region": asdict(found.region),
        "label": labels.names[found.label_id],
        "score": found.score,
        "largest_influence": float(found.influence.max()),
        "patch_px": found.patch_px,
        "runs": found.runs,
        "labels": [{"name": labels.names[share.label_id], **_row(share)} for share in shares],
    }
    json_path, html_path = out / JSON_NAME, out / HTML_NAME
    text = json.dumps(report, indent=2, allow_nan=False, ensure_ascii=False)
    json_path.write_text(text + "\n", encoding="utf-8")
    page = page_environment().get_template("explain.html.j2")
    html_path.write_text(
        page.render(
            report=report,
            headline=explanation_headline(report),
            wording=wording,
            panels=_panels(found, rgb, labels, more),
            bar=color_bar(INFLUENCE_COLORS),
            rows=explanation_rows(report, labels),
        ),
        encoding="utf-8",
    )
    return report, (json_path, html_path)


def explanation_headline(report: Report) -> str:
    """Return in one sentence what matters most."""
    top = report["labels"][0]
    what = "depth" if report["quantity"] == "depth" else f"label '{report['label']}'"
    if report["largest_influence"] == 0.0:
        return f"Nothing in the picture moves the {what} there."
    return (
        f"{100 * top['influence']:.0f} % of what drives the {what} there is {top['name']}, "
        f"{100 * top['area']:.0f} % of the picture."
    )


def explanation_rows(report: Report, labels: LabelSet) -> list[dict[str, str]]:
    """Return the table's rows as text."""
    depth = report["quantity"] == "depth"
    return [
        {
            "name": row["name"],
            "color": "#{:02x}{:02x}{:02x}".format(*labels.palette[labels.id_of(row["name"])]),
            "influence": f"{100 * row['influence']:.1f} %",
            "area": f"{100 * row['area']:.1f} %",
            # A change of log depth reads best as a percentage.
            "signed": f"{100 * math.expm1(row['signed']):+.2f} %"
            if depth
            else f"{row['signed']:+.4f}",
        }
        for row in report["labels"]
    ]


def _row(share: LabelShare) -> dict[str, float]:
    return {"influence": share.influence, "area": share.area, "signed": share.signed}


def _panels(
    found: Explanation, rgb: Image, labels: LabelSet, more: Sequence[tuple[str, Image]]
) -> list[dict[str, str]]:
    depth = found.depth
    near, far = np.percentile(depth, [2.0, 98.0])
    pictures = {
        "Picture and region": rgb,
        "Influence": influence_overlay(found, rgb),
        "Depth": paint_depth(depth, (float(near), float(max(far, 1.01 * near)))),
        "Labels": labels.colorize(found.labels),
        **dict(more),
    }
    return [
        {"title": title, "image": encode_picture(_marked(picture, found), ".jpg")}
        for title, picture in pictures.items()
    ]


def influence_overlay(found: Explanation, rgb: Image) -> Image:
    """Return H×W×3 uint8: the influence in colours over a grey version of the picture."""
    largest = float(found.influence.max())
    heat = paint(found.influence, INFLUENCE_COLORS, 0.0, largest if largest > 0.0 else 1.0)
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    return np.asarray(_BLEND * heat + (1.0 - _BLEND) * grey, np.uint8)


def _marked(rgb: Image, found: Explanation) -> Image:
    region = found.region
    marked = np.ascontiguousarray(rgb.copy(), np.uint8)
    corner = region.x + region.width - 1, region.y + region.height - 1
    cv2.rectangle(marked, (region.x, region.y), corner, _REGION_RGB, 2)
    return marked
