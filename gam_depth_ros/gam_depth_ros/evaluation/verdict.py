"""What the numbers say, in plain words: the first line of the page."""

from __future__ import annotations

from typing import Any

Report = dict[str, Any]


def headline(report: Report) -> str:
    """Return the verdict in one sentence."""
    frames, depth = report["frames"], report["depth"]
    if not frames["in"]:
        return "The recording holds no images."
    if frames["in"] == frames["dropped"] + frames["failed"]:
        return "No frame could be evaluated: see below where they went."
    if depth is None:
        return "Depth was computed but cannot be scored: no reference depth fits an image."
    score = depth["per_frame_median"]["abs_rel"]
    if score is None:
        return "No metric depth was published: the scale never became known."
    floor = depth["constant_floor"]["per_frame_median"]["abs_rel"]
    text = f"Depth is {100 * score:.0f} % off on average after per-image alignment"
    if score < floor:
        return f"{text}; a blind guess is {100 * floor:.0f} % off."
    return f"{text}, no better than a blind guess ({100 * floor:.0f} %)."


def remarks(report: Report) -> list[str]:
    """Return what else matters, a sentence each."""
    parts: list[str] = []
    depth, uncertainty = report["depth"], report["uncertainty"]
    if depth is not None and depth["online_scale"]["abs_rel"] is not None:
        without = depth["online_scale"]["frames_without_scale"]
        tail = f"; {without} frames came before the scale was known" if without > 1 else ""
        fixed = report["scale_source"] == "fixed"
        how = "a fixed scale" if fixed else "the scale learnt only from earlier frames"
        parts.append(
            f"In metres, with {how}, it is "
            f"{100 * depth['online_scale']['abs_rel']:.0f} % off{tail}."
        )
    if uncertainty is not None:
        covered = promised_coverage(uncertainty)
        if covered is not None:
            parts.append(_promise(covered, uncertainty["nominal_coverage"]))
    if report["latency_ms"]["p50"] is not None:
        latency = report["latency_ms"]
        parts.append(
            f"A frame takes {latency['p50']:.0f} ms, and {latency['p99']:.0f} ms at the slow end."
        )
    frames = report["frames"]
    lost = frames["dropped"] + frames["failed"]
    if lost:
        parts.append(
            f"Lost on the way: {lost} of {frames['in']} frames ({frames['dropped']} dropped, "
            f"{frames['failed']} failed)."
        )
    return parts


def _promise(covered: float, nominal: float) -> str:
    stated = f"One sigma covers {100 * covered:.0f} % of the pixels where {100 * nominal:.0f} % "
    if covered < nominal - 0.1:
        return stated + "are promised: it is too sure of itself."
    if covered > nominal + 0.1:
        return stated + "are promised: it is too cautious."
    return stated + "are promised: it keeps its word."


def promised_coverage(uncertainty: dict[str, Any]) -> float | None:
    """Return the share of pixels within one published sigma, which holds the scale's part too.

    Aligned per image where no scale was learnt online.
    """
    found: dict[str, float | None] = uncertainty["coverage_1sigma"]
    covered: float | None = found["online_scale"]
    return found["per_frame_median"] if covered is None else covered
