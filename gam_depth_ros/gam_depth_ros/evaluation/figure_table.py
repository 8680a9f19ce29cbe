"""Every figure of a report by its key, with unit, alignment, number of frames and interval.

The report's blocks hold figures where readers look for them; this table, ``figures``, says the same
of each in one form. A key is the path within the report, names joined by dots; a row of a list goes
by its name, or by its range as ``0.5-1 m``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gam_depth_ros.evaluation.figure_kinds import KINDS

Report = dict[str, Any]
Entry = tuple[str, Report]

_MEDIAN, _ONLINE, _NONE = "per_frame_median", "online_scale", "none"
_PARTS = ("abs_rel", "bias", "d1", "pixel_share")


def figure_table(report: Report) -> dict[str, Report]:
    """Return ``figures`` of the report; what is not known (null) has no entry.

    Each entry has ``value``, ``unit``, ``alignment`` (a name of
    :data:`~gam_depth_ros.evaluation.figure_kinds.ALIGNMENTS`), ``better``, ``meaning``, ``frames``
    (how many the figure is of), and ``interval``, the ends of the 95 % interval over frames; None
    where too few frames tell it, and for the three kinds that are one value each: a reaction, which
    is one trial, drift, which is where the recording ended, and rates, which are its whole length.
    """
    fixed = report["scale_source"] == "fixed"
    metric = "fixed_scale" if fixed else _ONLINE
    return dict(
        [
            *_depth(report, "depth", metric),
            *_depth(report, "depth_exact", metric),
            *_parts(report),
            *_uncertainty(report["uncertainty"], metric),
            *_plain("scale", report["scale"], _SCALE, metric),
            *_temporal(report["temporal"]),
            *_fusion("fusion", report["fusion"], metric),
            *_health(report["health"]),
            *_labels(report["segmentation"]),
            *_latency(report["latency_ms"]),
            *_each("rates_hz", report["rates_hz"] or {}, report["frames"]["in"], {}),
        ]
    )


_SCALE = (
    "log_error_median",
    "log_error_rms",
    "log_bias",
    "log_wander",
    "within_1sigma",
    "within_2sigma",
)


def _entry(
    key: str, kind: str, value: float | None, alignment: str, frames: int, interval: Any
) -> Iterator[Entry]:
    if value is None:
        return
    found = KINDS[kind]
    yield (
        key,
        {
            "value": value,
            "unit": found.unit,
            "alignment": alignment,
            "better": found.better,
            "meaning": found.meaning,
            "frames": frames,
            "interval": interval,
        },
    )


def _plain(
    prefix: str, block: Report | None, names: Iterable[str], alignment: str
) -> Iterator[Entry]:
    """Yield the figures of a block that keeps its intervals and frames beside them."""
    if block is None:
        return
    frames_of: Mapping[str, int] = block.get("frames_of", {})
    for name in names:
        yield from _entry(
            f"{prefix}.{name}",
            name,
            block.get(name),
            alignment,
            frames_of.get(name, block["frames"]),
            block.get("intervals", {}).get(name),
        )


def _depth(report: Report, key: str, metric: str) -> Iterator[Entry]:
    block = report[key]
    if block is None:
        return
    for path, alignment in (
        ("per_frame_median", _MEDIAN),
        ("online_scale", metric),
        ("constant_floor.per_frame_median", _MEDIAN),
        ("constant_floor.online_scale", metric),
        ("per_sequence", "per_sequence"),
        ("raw", "raw"),
    ):
        inner = block
        for name in path.split("."):
            inner = inner[name]
        names = [name for name in KINDS if name in inner and name != "scale"]
        yield from _plain(f"{key}.{path}", inner, names, alignment)
    per_sequence = block["per_sequence"]
    for name in ("scale", "scale_spread_log"):
        interval = per_sequence["scale_intervals"].get(name)
        yield from _entry(
            f"{key}.per_sequence.{name}", name, per_sequence[name], _NONE,
            per_sequence["frames"], interval,
        )  # fmt: skip
    yield from _entry(
        f"{key}.contrast_ratio", "contrast_ratio", block["contrast_ratio"], _NONE,
        block["per_frame_median"]["frames"], block["contrast_interval"],
    )  # fmt: skip
    for row in block["by_range"]:
        name = f"{key}.by_range.{row['from_m']:g}-{row['to_m']:g} m"
        yield from _plain(name, row, ("abs_rel", "bias", "pixel_share"), _MEDIAN)


def _parts(report: Report) -> Iterator[Entry]:
    for key in ("by_region", "by_class"):
        for row in report[key] or ():
            yield from _plain(f"{key}.{row['name']}", row, _PARTS, _MEDIAN)
    boundaries = report["boundaries"]
    if boundaries is not None:
        names = [name for name in boundaries if name in KINDS]
        yield from _plain("boundaries", boundaries, names, _NONE)


def _uncertainty(block: Report | None, metric: str) -> Iterator[Entry]:
    if block is None:
        return
    intervals, frames = block["intervals"], block["frames_of"]
    for name, value in block.items():
        if name not in KINDS:
            continue
        if not isinstance(value, dict):
            yield from _entry(
                f"uncertainty.{name}", name, value, _MEDIAN, frames[_MEDIAN], intervals.get(name)
            )
            continue
        for key, alignment in ((_MEDIAN, _MEDIAN), (_ONLINE, metric)):
            yield from _entry(
                f"uncertainty.{name}.{key}", name, value[key], alignment, frames[key],
                intervals.get(f"{name}.{key}"),
            )  # fmt: skip


def _temporal(block: Report | None) -> Iterator[Entry]:
    if block is None:
        return
    still = {"frames_of": dict.fromkeys(("flicker", "flicker_network"), block["still_pairs"])}
    names = ("opw", "opw_network", "flicker", "flicker_network", "label_change")
    yield from _plain("temporal", {**block, **still}, names, _NONE)
    for step, count in block["reaction_frames"].items():
        # One trial on a stretch of frames: there is no spread to tell.
        yield from _entry(
            f"temporal.reaction_frames.{step}", "reaction_frames", count, _NONE, 1, None
        )


def _fusion(prefix: str, block: Report | None, metric: str) -> Iterator[Entry]:
    if block is None:
        return
    for name, ends in block["intervals_of"].items():
        for mode, value in block[name].items():
            yield from _entry(
                f"{prefix}.{name}.{mode}", name, value, metric, block["frames"], ends.get(mode)
            )
    for group, inner in block.get("exact", {}).items():
        yield from _fusion(f"{prefix}.exact.{group}", inner, metric)


def _health(block: Report | None) -> Iterator[Entry]:
    if block is None:
        return
    yield from _plain("health", block, ("healthy_share", "agreement"), _NONE)
    yield from _each("health.drift", block["drift"], block["frames"], {})


def _labels(block: Report | None) -> Iterator[Entry]:
    if block is None:
        return
    yield from _plain("segmentation", block, ("miou", "pixel_accuracy", "ece"), _NONE)
    yield from _each("segmentation.iou", block["iou"], block["frames"], block["iou_intervals"])


def _latency(block: Report) -> Iterator[Entry]:
    yield from _plain("latency_ms", block, ("p50", "p99", "mean"), _NONE)
    stages, intervals = block["stages_p50"], block["stage_intervals"]
    yield from _each("latency_ms.stages_p50", stages, block["frames"], intervals)


def _each(path: str, values: Report, frames: int, intervals: Report) -> Iterator[Entry]:
    """Yield figures of one kind, which is the path's last part, by what they are of."""
    kind = path.rpartition(".")[2]
    for name, value in values.items():
        yield from _entry(f"{path}.{name}", kind, value, _NONE, frames, intervals.get(name))
