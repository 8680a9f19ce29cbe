"""A performance log as one self-contained page, ``performance.html``, and ``performance.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from gam_depth_ros.evaluation.bag_writer import make_directory
from gam_depth_ros.evaluation.page import HOURS_FROM_S, MINUTES_FROM_S, page_environment
from gam_depth_ros.evaluation.performance import (
    LATENCY,
    PerformanceLog,
    seconds_since_start,
    summarise,
)
from gam_depth_ros.evaluation.plotting import (
    FLOOR,
    MEDIAN,
    MUTED,
    ONLINE,
    legend_above,
    render_plot,
)

JSON_NAME, HTML_NAME = "performance.json", "performance.html"
MOST_POINTS = 600
SHOWN_STAGES = 5
STATE_COLORS = {
    "LOCKED": "#1d7f4e",
    "HOLDING": "#c9a227",
    "ACQUIRING": MEDIAN,
    "LOST": "#c8372d",
    "UNKNOWN": FLOOR,
}
LEVEL_COLORS = {"OK": "#1d7f4e", "WARN": "#c9a227", "ERROR": "#c8372d", "STALE": "#6b7686"}
GRAVITY = ("OK", "WARN", "STALE", "ERROR")
STAGE_COLORS = (MEDIAN, ONLINE, "#1d7f4e", "#7a4fb5", "#c9a227")

Summary = dict[str, Any]
Values = np.ndarray[Any, np.dtype[np.float64]]


def write_performance(log: PerformanceLog, out: Path) -> tuple[Summary, tuple[Path, Path]]:
    """Write both files into ``out``, which is made if need be; return the summary and the paths.

    Raises:
        BagError: ``out`` cannot be made.
    """
    make_directory(out)
    summary = summarise(log)
    json_path, html_path = out / JSON_NAME, out / HTML_NAME
    text = json.dumps(summary, indent=2, allow_nan=False, ensure_ascii=False)
    json_path.write_text(text + "\n", encoding="utf-8")
    html_path.write_text(render_performance(log, summary), encoding="utf-8")
    return summary, (json_path, html_path)


def render_performance(log: PerformanceLog, summary: Summary) -> str:
    """Return the page."""
    return (
        page_environment()
        .get_template("performance.html.j2")
        .render(
            s=summary,
            headline=performance_headline(summary),
            figures=_figures(log),
            colors=LEVEL_COLORS,
        )
    )


def performance_headline(summary: Summary) -> str:
    """Return in one sentence how the node did."""
    frames, dropped = summary["frames"], sum(summary["dropped"].values())
    if not frames["in"]:
        return "No image was asked for in the time that the log covers."
    share = 100.0 * frames["published"] / frames["in"]
    sick_s = sum(value for name, value in summary["level_s"].items() if name not in ("OK", "WARN"))
    latency = summary["stages"].get(LATENCY)
    late = "" if latency is None else f", {latency['median_ms']:.0f} ms after their stamp"
    return (
        f"{share:.0f} % of {frames['in']} images were answered{late} (median); {dropped} dropped, "
        f"{frames['failed']} failed, {sick_s:.0f} s in error or without images."
    )


def _figures(log: PerformanceLog) -> list[dict[str, str]]:
    series = _Series(log)
    candidates = (
        ("Latency", "From an image's stamp to its last output, each second.", _draw_latency),
        ("Stages", "Median of each second, milliseconds; the costliest stages.", _draw_stages),
        ("Rates", "Images that arrive and images that are answered, a second.", _draw_rates),
        ("Drops", "Images given up before their turn, a second, by reason.", _draw_drops),
        ("Scale", "Metres per unit of network depth, coloured by state.", _draw_scale),
        ("Health", "What the node said of itself, and how much it had given up.", _draw_health),
        ("Memory", "Resident memory of the process.", _draw_memory),
        ("Temperature", "Hottest processor zone.", _draw_temperature),
    )
    figures = []
    for title, caption, draw in candidates:
        image = render_plot(draw, {"series": series})
        if image:
            figures.append({"title": title, "caption": caption, "image": image})
    return figures


class _Series:
    """The log's columns over time, thinned to what a plot can show."""

    def __init__(self, log: PerformanceLog) -> None:
        self.records = log.records
        seconds = seconds_since_start(log.records)
        unit_s, self.unit = 1.0, "seconds"
        if seconds[-1] >= HOURS_FROM_S:
            unit_s, self.unit = 3600.0, "hours"
        elif seconds[-1] >= MINUTES_FROM_S:
            unit_s, self.unit = 60.0, "minutes"
        self._edges = np.unique(np.linspace(0, len(seconds), MOST_POINTS + 1).astype(int))
        self.time = seconds[self._edges[:-1]] / unit_s

    def column(self, take: Any, how: Any = np.nanmax) -> Values:
        """Return one value for each stretch of the log; NaN where it is unknown all along."""
        raw = [take(record) for record in self.records]
        values = np.array([np.nan if value is None else value for value in raw], float)
        thin = np.full(len(self._edges) - 1, np.nan)
        for index, (start, end) in enumerate(zip(self._edges, self._edges[1:], strict=False)):
            part = values[start:end]
            if np.isfinite(part).any():
                thin[index] = how(part)
        return thin

    def stage(self, name: str, which: int, how: Any = np.nanmax) -> Values:
        """Return a stage's median (0), 99th percentile (1) or maximum (2) over time."""
        return self.column(lambda record: record["stage_ms"].get(name, [None] * 3)[which], how)

    def words(self, take: Any) -> list[str]:
        """Return the word that stands at the beginning of each stretch."""
        return [str(take(self.records[start])) for start in self._edges[:-1]]


def _draw_latency(axes: Axes, data: dict[str, _Series]) -> bool:
    series = data["series"]
    median, high = series.stage(LATENCY, 0, np.nanmedian), series.stage(LATENCY, 1)
    if not np.isfinite(high).any():
        return False
    axes.plot(series.time, high, color=ONLINE, lw=1.0, label="99th percentile")
    axes.plot(series.time, median, color=MEDIAN, lw=1.2, label="median")
    return _finish(axes, series, "milliseconds")


def _draw_stages(axes: Axes, data: dict[str, _Series]) -> bool:
    series = data["series"]
    names = dict.fromkeys(name for record in series.records for name in record["stage_ms"])
    medians = {name: series.stage(name, 0, np.nanmedian) for name in names if name != LATENCY}
    costly = sorted(medians, key=lambda name: -float(np.nanmean(medians[name])))[:SHOWN_STAGES]
    for name, color in zip(costly, STAGE_COLORS, strict=False):
        axes.plot(series.time, medians[name], color=color, lw=1.0, label=name)
    return bool(costly) and _finish(axes, series, "milliseconds")


def _draw_rates(axes: Axes, data: dict[str, _Series]) -> bool:
    series = data["series"]
    for side, color in (("in", FLOOR), ("out", MEDIAN)):
        values = series.column(lambda record, side=side: record["rate_hz"][side], np.nanmedian)
        axes.plot(series.time, values, color=color, lw=1.2, label=side)
    return _finish(axes, series, "images a second")


def _draw_drops(axes: Axes, data: dict[str, _Series]) -> bool:
    series = data["series"]
    drawn = False
    for name, color in zip(series.records[0]["dropped"], STAGE_COLORS, strict=False):
        counts = np.array([record["dropped"].get(name, 0) for record in series.records], float)
        new = np.maximum(np.diff(counts, prepend=counts[0]), 0.0)  # a new run counts from zero
        spans_s = np.array([record["span_s"] or np.nan for record in series.records], float)
        rates = iter(new / spans_s)
        if new.any():
            values = series.column(lambda _, rates=rates: next(rates), np.nanmean)
            axes.plot(series.time, values, color=color, lw=1.0, label=name)
            drawn = True
    return drawn and _finish(axes, series, "images a second")


def _draw_scale(axes: Axes, data: dict[str, _Series]) -> bool:
    series = data["series"]
    values = series.column(lambda record: record["scale"]["value"], np.nanmedian)
    if not np.isfinite(values).any():
        return False
    states = np.array(series.words(lambda record: record["scale"]["state"]))
    axes.plot(series.time, values, color=FLOOR, lw=0.7)
    for state, color in STATE_COLORS.items():
        shown = (states == state) & np.isfinite(values)
        if shown.any():
            axes.plot(series.time[shown], values[shown], color=color, lw=0, marker="o", ms=2.4,
                      label=state)  # fmt: skip
    return _finish(axes, series, "metres per unit", zero=False)


def _draw_health(axes: Axes, data: dict[str, _Series]) -> bool:
    series = data["series"]
    # The worst of each stretch: a hang of seconds shows in a log of days.
    worst = series.column(lambda record: GRAVITY.index(record["level"]))
    levels = np.array([GRAVITY[int(rank)] for rank in worst])
    given_up = series.column(lambda record: len(record["given_up"]))
    top = max(float(np.nanmax(given_up)), 1.0)
    ends = np.append(series.time[1:], series.time[-1])
    for level, color in LEVEL_COLORS.items():
        shown = levels == level
        if shown.any():
            spans = list(zip(series.time[shown], (ends - series.time)[shown], strict=True))
            axes.broken_barh(spans, (-0.35 * top, 0.22 * top), color=color, ec=color, lw=0.8,
                             label=level)  # fmt: skip
    axes.step(series.time, given_up, where="post", color=MUTED, lw=1.3, label="rungs given up")
    axes.set_yticks(range(int(top) + 1))
    return _finish(axes, series, "rungs", zero=False)


def _draw_memory(axes: Axes, data: dict[str, _Series]) -> bool:
    series = data["series"]
    axes.plot(series.time, series.column(lambda r: r["memory_mb"]), color=MEDIAN, lw=1.2)
    return _finish(axes, series, "MB", legend=False)


def _draw_temperature(axes: Axes, data: dict[str, _Series]) -> bool:
    series = data["series"]
    values = series.column(lambda record: record["temperature_c"])
    if not np.isfinite(values).any():
        return False
    axes.plot(series.time, values, color=ONLINE, lw=1.2)
    return _finish(axes, series, "°C", zero=False, legend=False)


def _finish(
    axes: Axes, series: _Series, unit: str, *, zero: bool = True, legend: bool = True
) -> bool:
    if zero:
        axes.set_ylim(bottom=0.0)
    axes.set_xlabel(series.unit)
    axes.set_ylabel(unit)
    if legend:
        legend_above(axes, columns=5)
    return True
