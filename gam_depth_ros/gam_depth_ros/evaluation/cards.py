"""The figures on top of a report's page."""

from __future__ import annotations

from typing import Any

from gam_depth_ros.evaluation.page import number
from gam_depth_ros.evaluation.verdict import promised_coverage

ALIGNED = "aligned per image"

Report = dict[str, Any]


def metric_alignment(report: Report) -> str:
    """Return in words where the metres of ``online_scale`` come from."""
    return "fixed scale" if report["scale_source"] == "fixed" else "scale learnt online"


def cards(report: Report) -> list[dict[str, Any]]:
    """Return the key figures: label, value, unit, how it was aligned, and the floor beside it."""
    found = _without_truth(report) if report["depth"] is None else _depth(report)
    if report["uncertainty"] is not None:
        found.append(_coverage(report))
    if report["segmentation"] is not None:
        labels = report["segmentation"]
        note = (
            f"{labels['classes_in_truth']} classes · pixel accuracy {labels['pixel_accuracy']:.3f}"
        )
        found.append(_plain("Labels", number(labels["miou"]), "mIoU", note, labels["miou"]))
    return [*found, _latency(report["latency_ms"])]


def _depth(report: Report) -> list[dict[str, Any]]:
    depth, metric = report["depth"], metric_alignment(report)
    score, online = depth["per_frame_median"], depth["online_scale"]
    blind, blind_online = (
        depth["constant_floor"][key] for key in ("per_frame_median", "online_scale")
    )
    contrast, about = (
        number(depth["contrast_ratio"], 2),
        "spread of log depth; 1 is right, 0 is flat",
    )
    return [
        _card("Depth error", score, blind, "abs_rel", "AbsRel", ALIGNED),
        _card("Within 25 %", score, blind, "d1", "δ < 1.25", ALIGNED),
        _card("Depth error", score, blind, "rmse", "m RMSE", ALIGNED),
        _card("Metric error", online, blind_online, "abs_rel", "AbsRel", metric),
        _plain("Depth contrast", contrast, "× truth", about),
    ]


def _without_truth(report: Report) -> list[dict[str, Any]]:
    """Return what is known of a recording that has no depth to be held against."""
    found = []
    health, temporal = report["health"], report["temporal"]
    if health is not None:
        raised = ", ".join(
            f"{name.replace('_', ' ')} {n}" for name, n in health["conditions"].items()
        )
        share, about = health["healthy_share"], raised or "frame health raised nothing"
        found.append(_plain("Healthy pictures", f"{100 * share:.0f}", "%", about, share))
    if temporal is not None:
        note = f"change of log depth along the flow · unfiltered {number(temporal['opw_network'])}"
        found.append(_plain("Unrest of depth", number(temporal["opw"]), "OPW", note))
        if temporal["label_change"] is not None:
            changed = f"{100 * temporal['label_change']:.0f}"
            found.append(_plain("Labels that change", changed, "%", "from frame to frame"))
    return found


def _coverage(report: Report) -> dict[str, Any]:
    uncertainty, alignment = report["uncertainty"], metric_alignment(report)
    covered, nominal = promised_coverage(uncertainty), uncertainty["nominal_coverage"]
    if uncertainty["coverage_1sigma"]["online_scale"] is None:
        alignment = ALIGNED
    note = f"{alignment} · promised {nominal:.3f}"
    card = _plain("Within one sigma", number(covered), "of pixels", note, covered)
    return {**card, "floor_share": nominal}


def _plain(
    label: str, value: str, unit: str, note: str, share: float | None = None
) -> dict[str, Any]:
    card: dict[str, Any] = {"label": label, "value": value, "unit": unit, "note": note}
    return {**card, "share": share, "floor_share": None}


def _card(
    label: str, score: Report, floor: Report, name: str, unit: str, alignment: str
) -> dict[str, Any]:
    value, blind = score[name], floor[name]
    top = 1.0 if name == "d1" else 1.15 * max(value or 0.0, blind or 0.0) or 1.0
    return {
        "label": label,
        "value": number(value),
        "unit": unit,
        "note": f"{alignment} · blind guess {number(blind)}",
        "share": None if value is None else value / top,
        "floor_share": None if blind is None else blind / top,
    }


def _latency(latency: Report) -> dict[str, Any]:
    note = f"p99 {number(latency['p99'], 1)} ms · {latency['frames']} frames"
    return _plain("Latency", number(latency["p50"], 1), "ms p50", note)
