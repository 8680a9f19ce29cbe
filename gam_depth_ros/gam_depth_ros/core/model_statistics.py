"""What pictures and answers looked like in training, carried inside the model file.

Frame health reads its limits here, drift its reference. ``gam-depth-train statistics`` measures all
of it by running the model file; a file without them is served with the defaults of HealthConfig.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

LABEL_SHARES = "label_shares"
MIN_BINS = 2


@dataclass(frozen=True)
class Distribution:
    """How often a quantity fell into each bin, frame by frame.

    Attributes:
        edges: B-1 inner edges, rising; the outer bins are open.
        shares: B shares that sum to 1.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.edges, self.edges[1:], strict=False))
        whole = math.isclose(sum(self.shares), 1.0, abs_tol=0.01) and min(self.shares) >= 0
        if len(self.shares) < MIN_BINS or len(self.edges) != len(self.shares) - 1:
            raise ValueError(f"{len(self.edges)} edges for {len(self.shares)} bins")
        if not (rising and whole):
            raise ValueError(f"edges {self.edges} that do not rise, or shares {self.shares}")


@dataclass(frozen=True)
class ConditionLimit:
    """Where a condition of frame health begins.

    Attributes:
        limit: Value of the condition's figure at which it is raised.
        sigma_factor: How much wider errors are, against sigma, on frames where it is; at least 1.
    """

    limit: float
    sigma_factor: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.limit) and self.limit > 0):
            raise ValueError(f"limit {self.limit}, which is not above zero")
        if not 1.0 <= self.sigma_factor < math.inf:
            raise ValueError(f"sigma factor {self.sigma_factor}, which is below 1")


@dataclass(frozen=True)
class FeatureStatistics:
    """Where the network's pooled features lay in the reference pictures.

    The covariance is kept as its K largest axes plus one variance for all the rest, the model of
    probabilistic principal components (Tipping & Bishop 1999). Arrays are little-endian float16
    bytes, so that the object compares and the file stays small.

    Attributes:
        mean: C values.
        basis: K×C orthonormal axes, row by row.
        variances: K variances along them.
        residual: Mean square of what is left beside the axes, summed over channels.
        scale: Features are compared as arsinh(f / scale).
    """

    mean: bytes
    basis: bytes
    variances: tuple[float, ...]
    residual: float
    scale: float

    def __post_init__(self) -> None:
        if not self.variances or min(*self.variances, self.residual, self.scale) <= 0:
            raise ValueError(f"variances {self.variances}, not all above zero")
        if not self.mean or len(self.basis) != len(self.mean) * len(self.variances):
            raise ValueError(
                f"{len(self.basis)} bytes of axes for {len(self.variances)} axes of "
                f"{len(self.mean)} bytes"
            )

    @staticmethod
    def from_arrays(
        mean: npt.NDArray[np.floating],
        basis: npt.NDArray[np.floating],
        variances: npt.NDArray[np.floating],
        residual: float,
        scale: float,
    ) -> FeatureStatistics:
        """Pack a C mean, a K×C basis, its K variances, the rest's mean square, the scale."""
        return FeatureStatistics(
            mean=mean.astype("<f2").tobytes(),
            basis=basis.astype("<f2").tobytes(),
            variances=tuple(_rounded(value) for value in variances),
            residual=_rounded(residual),
            scale=_rounded(scale),
        )

    def mean_array(self) -> npt.NDArray[np.float32]:
        """Return the C means."""
        return np.frombuffer(self.mean, "<f2").astype(np.float32)

    def basis_array(self) -> npt.NDArray[np.float32]:
        """Return the K×C axes."""
        flat = np.frombuffer(self.basis, "<f2").astype(np.float32)
        return flat.reshape(len(self.variances), -1)


@dataclass(frozen=True)
class ModelStatistics:
    """The training reference of one model file.

    Attributes:
        distributions: By the name of the quantity.
        label_shares: Mean share of the pixels of each class; empty if not measured.
        limits: By the name of the condition of frame health.
        features: Where the features lay; None where the model gives none.
        quantile: Share of the pictures of each group that the limits let pass.
        pictures: How many pictures were measured.
        data: Their groups, in words.
    """

    distributions: dict[str, Distribution]
    label_shares: tuple[float, ...]
    limits: dict[str, ConditionLimit]
    features: FeatureStatistics | None
    quantile: float
    pictures: int
    data: str

    def to_json(self) -> dict[str, Any]:
        """Return the statistics as JSON-ready data, the inverse of :meth:`from_json`."""
        return {
            "distributions": {
                name: {"edges": list(d.edges), "shares": list(d.shares)}
                for name, d in self.distributions.items()
            },
            "label_shares": list(self.label_shares),
            "limits": {
                name: {"limit": limit.limit, "sigma_factor": limit.sigma_factor}
                for name, limit in self.limits.items()
            },
            "features": None if self.features is None else _features_to_json(self.features),
            "quantile": self.quantile,
            "pictures": self.pictures,
            "data": self.data,
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> ModelStatistics:
        """Rebuild from :meth:`to_json`; raises ValueError naming what is missing or wrong."""
        try:
            return _statistics_from(data)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ValueError(
                f"model statistics: got {error!r} while reading them, expected what "
                "`gam-depth-train statistics` writes; run it again"
            ) from error


def _statistics_from(data: dict[str, Any]) -> ModelStatistics:
    features = data["features"]
    return ModelStatistics(
        distributions={
            str(name): Distribution(_floats(entry["edges"]), _floats(entry["shares"]))
            for name, entry in data["distributions"].items()
        },
        label_shares=_floats(data["label_shares"]),
        limits={
            str(name): ConditionLimit(float(entry["limit"]), float(entry["sigma_factor"]))
            for name, entry in data["limits"].items()
        },
        features=None if features is None else _features_from(features),
        quantile=float(data["quantile"]),
        pictures=int(data["pictures"]),
        data=str(data["data"]),
    )


def _features_to_json(features: FeatureStatistics) -> dict[str, Any]:
    return {
        "mean": base64.b64encode(features.mean).decode(),
        "basis": base64.b64encode(features.basis).decode(),
        "variances": list(features.variances),
        "residual": features.residual,
        "scale": features.scale,
    }


def _features_from(data: dict[str, Any]) -> FeatureStatistics:
    return FeatureStatistics(
        mean=base64.b64decode(data["mean"], validate=True),
        basis=base64.b64decode(data["basis"], validate=True),
        variances=_floats(data["variances"]),
        residual=float(data["residual"]),
        scale=float(data["scale"]),
    )


def _floats(values: Any) -> tuple[float, ...]:
    found = tuple(float(value) for value in values)
    if not all(math.isfinite(value) for value in found):
        raise ValueError(f"numbers {found}, not all finite")
    return found


def _rounded(value: Any) -> float:
    """Return a number with six digits: what a text of it holds exactly."""
    return float(f"{float(value):.6g}")
