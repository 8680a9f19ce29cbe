"""What of a report says whether the numbers can be trusted: rows of the page's second table."""

from __future__ import annotations

from typing import Any

from gam_depth_ros.evaluation.page import number

Report = dict[str, Any]
Row = dict[str, str]


def trust_rows(report: Report) -> list[Row]:
    """Return every figure that the report has, in order.

    Each row has group, name, value and note; where the figure's key is known also its interval
    over frames and its meaning, both empty otherwise.
    """
    rows = [
        *_uncertainty(report.get("uncertainty")),
        *_scale(report.get("scale")),
        *_time(report.get("temporal")),
        *_fusion(report.get("fusion")),
        *_health(report.get("health")),
    ]
    figures = report.get("figures", {})
    return [{**row, **_told(row, figures.get(row["key"]))} for row in rows]


def _told(row: Row, figure: Report | None) -> Row:
    """Return interval and meaning of a row from its entry of the report's ``figures``."""
    if figure is None:
        return {"interval": "", "meaning": ""}
    shown = _share if row["value"].endswith("%") else number
    ends = [shown(end) for end in figure["interval"] or ()]
    return {"interval": "–".join(ends), "meaning": figure["meaning"]}


def _row(group: str, name: str, value: str, note: str, key: str = "") -> Row:
    """Return a row; ``key`` is that of its figure in the report's ``figures``."""
    return {"group": group, "name": name, "value": value, "note": note, "key": key}


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _uncertainty(found: Report | None) -> list[Row]:
    if found is None:
        return []
    rows = []
    for key, name, promised in (
        ("coverage_1sigma", "within sigma", "68.3 %"),
        ("coverage_90", "within the 90 % interval", "90 %"),
        ("coverage_2sigma", "within the 95.4 % interval", "95.4 %"),
    ):
        online = found[key]["online_scale"]
        if online is None:  # recorded outputs carry one sigma, no other intervals
            continue
        note = f"promised {promised}; scale learnt online"
        place = f"uncertainty.{key}.online_scale"
        rows.append(_row("Uncertainty", name, _share(online), note, place))
    for metric, title in (("abs_rel", "AbsRel"), ("rmse", "RMSE")):
        ause, aurg = found[f"ause_{metric}"], found[f"aurg_{metric}"]
        note = f"0 is a perfect ranking; AURG {number(aurg)}, above 0 beats chance"
        place = f"uncertainty.ause_{metric}"
        rows.append(_row("Uncertainty", f"AUSE {title}", number(ause), note, place))
    return rows


def _scale(found: Report | None) -> list[Row]:
    if found is None:
        return []
    total = sum(found["states"].values())
    states = ", ".join(f"{100 * n / total:.0f} % {name}" for name, n in found["states"].items())
    rows = [_row("Scale", "states", states, f"of {total} frames")]
    if found["frames"]:
        off = f"{100 * found['log_error_median']:.1f} %"
        note = "median over frames, against the frame's own"
        rows.append(_row("Scale", "off by", off, note, "scale.log_error_median"))
        inside = f"{_share(found['within_1sigma'])} / {_share(found['within_2sigma'])}"
        rows.append(_row("Scale", "within its sigma, two", inside, "promised 68 % / 95 %"))
    return rows


def _time(found: Report | None) -> list[Row]:
    if found is None:
        return []
    reaction = ", ".join(
        f"{'>8' if count is None else count} at {step}"
        for step, count in found["reaction_frames"].items()
    )
    rows = [
        _row(
            "Time",
            "OPW",
            number(found["opw"]),
            f"change of log depth along the flow; unfiltered {number(found['opw_network'])}",
            "temporal.opw",
        )
    ]
    if found["flicker"] is not None:
        note = f"log depth, where nothing moved; unfiltered {number(found['flicker_network'])}"
        rows.append(_row("Time", "flicker", number(found["flicker"]), note, "temporal.flicker"))
    changed = _share(found["label_change"])
    rows.append(_row("Time", "labels that change", changed, "a frame", "temporal.label_change"))
    if reaction:
        note = "until nine tenths of a step of log depth show; nearer is below zero"
        rows.append(_row("Time", "reaction, frames", reaction, note))
    return rows


def _fusion(found: Report | None) -> list[Row]:
    if found is None:
        return []
    note = f"AbsRel on the {_share(found['withheld_share'])} withheld from the sensor"
    titles = {"network": "prediction alone", "fill": "holes filled", "fuse": "fused"}
    rows = [
        _row("Fusion", titles[mode], number(value), note, f"fusion.abs_rel.{mode}")
        for mode, value in found["abs_rel"].items()
    ]
    for group, figures in found.get("exact", {}).items():
        values = ", ".join(
            f"{titles.get(mode, mode)} {number(value)}"
            for mode, value in figures["abs_rel"].items()
        )
        note = "AbsRel against exact depth; the sensor shows all that it has"
        rows.append(_row("Fusion", f"{group}, exact truth", values, note))
    return rows


def _health(found: Report | None) -> list[Row]:
    if found is None:
        return []
    raised = ", ".join(f"{name} {n}" for name, n in found["conditions"].items())
    rows = [
        _row(
            "Pictures",
            "healthy",
            _share(found["healthy_share"]),
            raised or "nothing raised",
            "health.healthy_share",
        ),
        _row(
            "Pictures",
            "boundaries that agree",
            _share(found["agreement"]),
            "of depth and labels, within two pixels of the network's grid",
            "health.agreement",
        ),
    ]
    if found["drift_line"]:
        drift, _, line = found["drift_line"].partition(": ")
        rows.append(_row("Pictures", drift, "", line))
    return rows
