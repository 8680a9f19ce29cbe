"""How much a model suffers from corrupted pictures, and whether its sigma notices.

After RoboDepth (Kong et al., NeurIPS 2023), with N severities l of each corruption i:

- DEE = (AbsRel − δ1 + 1) / 2, the depth estimation error: 0 is perfect.
- CE_i = Σ_l DEE_i,l / Σ_l DEE_i,l of the baseline; mCE is their mean. Below 1 is better than it.
- RR_i = Σ_l (1 − DEE_i,l) / (N·(1 − DEE of clean pictures)); mRR is their mean. 1 loses nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gam_depth_ros.core.metrics import DepthErrors
from gam_depth_ros.evaluation.rank_correlation import rank_correlation

CLEAN = ""
"""Name of what is done to a clean picture; its severity is 0."""
HARMFUL_RISE = 0.05
"""Rise of DEE from which on a picture is counted as harmed."""
NOTICED_RATIO = 1.1
"""Rise of mean sigma from which on it is counted as having noticed."""


@dataclass(frozen=True)
class Trial:
    """What came of one picture, clean or corrupted.

    Attributes:
        frame: Position of the frame among those tried.
        corruption: Its name; ``CLEAN`` for the picture as it is.
        severity: 1 to 5; 0 clean.
        abs_rel: AbsRel under per-frame median alignment; NaN where the picture was refused.
        d1: δ < 1.25, the same way.
        baseline_dee: DEE of the baseline for the same picture; NaN where it refused.
        sigma_log: Mean half-width of the 68.3 % interval of log depth; NaN where refused.
        problems: What the health check found in the picture; None where nothing was checked.
    """

    frame: int
    corruption: str
    severity: int
    abs_rel: float
    d1: float
    baseline_dee: float
    sigma_log: float
    problems: tuple[str, ...] | None = None

    @property
    def dee(self) -> float:
        """The depth estimation error."""
        return depth_estimation_error(self.abs_rel, self.d1)


def depth_estimation_error(abs_rel: float, d1: float) -> float:
    """Return DEE = (AbsRel − δ1 + 1) / 2."""
    return (abs_rel - d1 + 1.0) / 2.0


def dee_of(errors: DepthErrors | None) -> float:
    """Return the DEE of one image; NaN without one."""
    return math.nan if errors is None else depth_estimation_error(errors.abs_rel, errors.d1)


def corruption_error(dee: Sequence[float], baseline_dee: Sequence[float]) -> float:
    """Return CE: the sum over severities against the baseline's; NaN where that is zero."""
    below = float(np.sum(baseline_dee))
    return float(np.sum(dee)) / below if below > 0.0 else math.nan


def resilience_rate(dee: Sequence[float], clean_dee: float) -> float:
    """Return RR: what is left of the clean score 1 − DEE; NaN where there was none to lose."""
    if clean_dee >= 1.0:
        return math.nan
    return float(np.mean(1.0 - np.asarray(dee))) / (1.0 - clean_dee)


def summarise(trials: Sequence[Trial]) -> dict[str, Any]:
    """Return the card: clean scores, mCE, mRR, each corruption by severity, and what noticed it.

    Args:
        trials: Every picture, clean ones too; refused ones (NaN) count in no mean.

    Returns:
        A JSON object; None where a figure is not known.
    """
    clean = [trial for trial in trials if trial.corruption == CLEAN]
    clean_of = {trial.frame: trial for trial in clean}
    names = list(dict.fromkeys(t.corruption for t in trials if t.corruption != CLEAN))
    clean_dee = _mean([trial.dee for trial in clean])
    rows = [
        _row(name, [trial for trial in trials if trial.corruption == name], clean_of, clean_dee)
        for name in names
    ]
    cells = [cell for row in rows for cell in row["severities"]]
    corrupted = [trial for trial in trials if trial.corruption != CLEAN]
    return {
        "clean": {
            "dee": _number(clean_dee),
            "abs_rel": _number(_mean([trial.abs_rel for trial in clean])),
            "d1": _number(_mean([trial.d1 for trial in clean])),
            "baseline_dee": _number(_mean([trial.baseline_dee for trial in clean])),
            "sigma_log": _number(_mean([trial.sigma_log for trial in clean])),
            "alarm_share": _alarm_share(clean),
            "pictures": len(clean),
        },
        "mce": _number(_mean([_nan(row["ce"]) for row in rows])),
        "mrr": _number(_mean([_nan(row["rr"]) for row in rows])),
        "sigma_rank_correlation": {
            "over_variants": _number(
                rank_correlation(
                    [_nan(cell["sigma_ratio"]) for cell in cells],
                    [_nan(cell["dee_rise"]) for cell in cells],
                )
            ),
            "over_pictures": _number(_noticing(corrupted, clean_of)),
        },
        "harmed": _harmed(corrupted, clean_of),
        "corruptions": rows,
        "refused": sum(not math.isfinite(trial.dee) for trial in trials),
    }


def _row(
    name: str, trials: Sequence[Trial], clean_of: dict[int, Trial], clean_dee: float
) -> dict[str, Any]:
    severities = sorted({trial.severity for trial in trials})
    cells = [
        _cell(severity, [t for t in trials if t.severity == severity], clean_of)
        for severity in severities
    ]
    dee = [_nan(cell["dee"]) for cell in cells]
    return {
        "name": name,
        "ce": _number(corruption_error(dee, [_nan(cell["baseline_dee"]) for cell in cells])),
        "rr": _number(resilience_rate(dee, clean_dee)),
        "sigma_rank_correlation": _number(_noticing(trials, clean_of)),
        "severities": cells,
    }


def _cell(severity: int, trials: Sequence[Trial], clean_of: dict[int, Trial]) -> dict[str, Any]:
    rises, ratios = _changes(trials, clean_of)
    return {
        "severity": severity,
        "dee": _number(_mean([trial.dee for trial in trials])),
        "dee_rise": _number(_mean(rises)),
        "abs_rel": _number(_mean([trial.abs_rel for trial in trials])),
        "d1": _number(_mean([trial.d1 for trial in trials])),
        "baseline_dee": _number(_mean([trial.baseline_dee for trial in trials])),
        "sigma_ratio": _number(_mean(ratios)),
        "alarm_share": _alarm_share(trials),
        "problems": _problem_shares(trials),
        "pictures": len(trials),
    }


def _noticing(trials: Sequence[Trial], clean_of: dict[int, Trial]) -> float:
    """Return the rank correlation, over pictures, of sigma's rise with the error's."""
    rises, ratios = _changes(trials, clean_of)
    return rank_correlation(ratios, rises)


def _changes(
    trials: Sequence[Trial], clean_of: dict[int, Trial]
) -> tuple[list[float], list[float]]:
    """Return rise of DEE and ratio of sigma, each picture against itself when clean."""
    rises, ratios = [], []
    for trial in trials:
        clean = clean_of[trial.frame]
        rises.append(trial.dee - clean.dee)
        ratios.append(trial.sigma_log / clean.sigma_log if clean.sigma_log > 0.0 else math.nan)
    return rises, ratios


def _harmed(trials: Sequence[Trial], clean_of: dict[int, Trial]) -> dict[str, Any]:
    """Return how many pictures were harmed, and in which share of them somebody noticed."""
    rises, ratios = _changes(trials, clean_of)
    found = [
        (ratio >= NOTICED_RATIO, trial.problems)
        for trial, rise, ratio in zip(trials, rises, ratios, strict=True)
        if rise >= HARMFUL_RISE
    ]
    checked = [(sigma, bool(problems)) for sigma, problems in found if problems is not None]
    return {
        "dee_rise": HARMFUL_RISE,
        "sigma_ratio": NOTICED_RATIO,
        "pictures": len(found),
        "noticed_by_sigma": _number(_mean([float(sigma) for sigma, _ in found])),
        "noticed_by_health": _number(_mean([float(health) for _, health in checked])),
        "noticed_by_either": _number(_mean([float(any(pair)) for pair in checked])),
    }


def _alarm_share(trials: Sequence[Trial]) -> float | None:
    checked = [trial.problems for trial in trials if trial.problems is not None]
    return float(np.mean([bool(found) for found in checked])) if checked else None


def _problem_shares(trials: Sequence[Trial]) -> dict[str, float]:
    """Return how often each problem was found, most frequent first."""
    checked = [trial.problems for trial in trials if trial.problems is not None]
    names = {name for found in checked for name in found}
    shares = {name: float(np.mean([name in found for found in checked])) for name in names}
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
