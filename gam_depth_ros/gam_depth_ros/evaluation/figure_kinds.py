"""What the figures of a report mean: unit, better side and meaning of each kind, once."""

from __future__ import annotations

from dataclasses import dataclass

ALIGNMENTS = {
    "per_frame_median": "each image by its own median(reference) / median(depth)",
    "online_scale": "metres, by the scale learnt from references strictly before the frame",
    "fixed_scale": "metres, by a fixed scale",
    "per_sequence": "one scale for the whole recording: the median of its frames' own",
    "raw": "none: the network's own units, scale 1",
    "none": "none: the figure needs no scale",
}
"""How depth was brought to the reference, by the name that figures give."""

_ARROWS = {"lower": " ↓", "higher": " ↑"}


@dataclass(frozen=True)
class Kind:
    """What one kind of figure means.

    Attributes:
        title: Heading, without unit.
        unit: ``1`` for ratios and shares.
        better: ``lower``, ``higher``, the value that is right as text (``0.683``), or empty.
        meaning: One phrase; d is the reference, p the prediction.
    """

    title: str
    unit: str
    better: str
    meaning: str

    @property
    def heading(self) -> str:
        """The title with unit, and an arrow to the better side."""
        unit = "" if self.unit == "1" else f", {self.unit}"
        return f"{self.title}{unit}{_ARROWS.get(self.better, '')}"


_NEAR = "share of pixels with max(d/p, p/d) below {limit}"
DEPTH_KINDS = {
    "abs_rel": Kind("AbsRel", "1", "lower", "mean of |d - p| / d"),
    "sq_rel": Kind("SqRel", "m", "lower", "mean of (d - p)² / d"),
    "rmse": Kind("RMSE", "m", "lower", "root mean square of d - p"),
    "rmse_log": Kind("RMSE log", "1", "lower", "root mean square of ln d - ln p"),
    "log10": Kind("log10", "1", "lower", "mean of |log10 d - log10 p|"),
    "d1": Kind("δ < 1.25", "1", "higher", _NEAR.format(limit="1.25")),
    "d2": Kind("δ < 1.25²", "1", "higher", _NEAR.format(limit="1.25²")),
    "d3": Kind("δ < 1.25³", "1", "higher", _NEAR.format(limit="1.25³")),
}
"""The eight errors of depth, in the order of the page's table."""

_EDGE = "cut at 10, pixels of a picture 320 wide"
KINDS = {
    **DEPTH_KINDS,
    "bias": Kind("bias", "1", "0", "mean of (p - d) / d; above 0 is too far"),
    "pixel_share": Kind("pixels", "1", "", "share of the scored pixels"),
    "scale": Kind("scale", "m per unit", "", "metres for a unit of the network's depth"),
    "scale_spread_log": Kind(
        "spread of scale", "1", "lower", "standard deviation over frames of ln(frame's own scale)"
    ),
    "contrast_ratio": Kind("contrast", "1", "1", "spread of log depth over that of the reference"),
    "depth_accuracy_px": Kind(
        "depth edges, accuracy", "px", "lower", f"from predicted edges to true ones, {_EDGE}"
    ),
    "depth_completeness_px": Kind(
        "depth edges, completeness", "px", "lower", f"from true edges to predicted ones, {_EDGE}"
    ),
    "labels_accuracy_px": Kind(
        "label edges, accuracy", "px", "lower", f"from predicted boundaries to true ones, {_EDGE}"
    ),
    "labels_completeness_px": Kind(
        "label edges, completeness", "px", "lower", f"from true boundaries to predicted, {_EDGE}"
    ),
    "coverage_1sigma": Kind("within sigma", "1", "0.683", "share of pixels within one sigma"),
    "coverage_90": Kind("within 90 %", "1", "0.9", "share of pixels within the 90 % interval"),
    "coverage_2sigma": Kind(
        "within 95.4 %", "1", "0.954", "share of pixels within the 95.4 % interval"
    ),
    "sharpness": Kind("sharpness", "1", "lower", "mean width of the 68.3 % interval of log depth"),
    "interval_score": Kind(
        "interval score", "1", "lower", "width of that interval and a fine for what lies outside"
    ),
    **{
        f"{kind}_{metric}": Kind(f"{kind.upper()} {title}", unit, better, meaning)
        for kind, better, meaning in (
            ("ause", "lower", "area between pixels ranked by sigma and by error; 0 is perfect"),
            ("aurg", "higher", "area that ranking by sigma gains over chance"),
        )
        for metric, title, unit in (
            ("abs_rel", "AbsRel", "1"), ("rmse", "RMSE", "m"), ("one_minus_d1", "1 - δ1", "1"),
        )
    },
    "log_error_median": Kind("scale off by", "1", "lower", "median of |ln(scale / frame's own)|"),
    "log_error_rms": Kind("scale off, RMS", "1", "lower", "RMS of ln(scale / frame's own)"),
    "log_bias": Kind("scale bias", "1", "0", "mean of ln(scale / frame's own)"),
    "log_wander": Kind(
        "scale wander", "1", "lower", "standard deviation of ln(scale / frame's own)"
    ),
    "within_1sigma": Kind(
        "scale within sigma", "1", "0.683", "share of frames whose scale is within its sigma"
    ),
    "within_2sigma": Kind(
        "scale within two", "1", "0.954", "share of frames whose scale is within two sigma"
    ),
    "opw": Kind("OPW", "1", "lower", "change of log depth along the optical flow, filtered"),
    "opw_network": Kind("OPW, unfiltered", "1", "lower", "the same of the network's depth"),
    "flicker": Kind("flicker", "1", "lower", "change of log depth where nothing moved, filtered"),
    "flicker_network": Kind("flicker, unfiltered", "1", "lower", "the same of the network's depth"),
    "label_change": Kind("labels that change", "1", "lower", "share of pixels, along the flow"),
    "reaction_frames": Kind(
        "reaction", "frames", "lower", "until nine tenths of a step of log depth show; one trial"
    ),
    "source_share": Kind("source", "1", "", "share of the fused pixels, by where they come from"),
    "healthy_share": Kind("healthy", "1", "higher", "share of frames without a condition"),
    "agreement": Kind(
        "boundaries that agree", "1", "higher", "share of boundaries common to depth and labels"
    ),
    "drift": Kind("drift", "1", "lower", "population stability index against the training, last"),
    "miou": Kind("mIoU", "1", "higher", "mean over classes of intersection over union"),
    "pixel_accuracy": Kind("pixel accuracy", "1", "higher", "share of pixels with the true label"),
    "ece": Kind("ECE", "1", "lower", "expected gap between confidence and accuracy, 15 bins"),
    "iou": Kind("IoU", "1", "higher", "intersection over union of the class"),
    "p50": Kind("latency p50", "ms", "lower", "median over frames"),
    "p99": Kind("latency p99", "ms", "lower", "99th percentile over frames"),
    "mean": Kind("latency mean", "ms", "lower", "mean over frames"),
    "rates_hz": Kind("rate", "Hz", "higher", "images that could be read, and outputs, a second"),
    "stages_p50": Kind("stage p50", "ms", "lower", "median over frames of one stage"),
}  # fmt: skip
"""By the last name that a figure's key has in the report, or by its group's."""
