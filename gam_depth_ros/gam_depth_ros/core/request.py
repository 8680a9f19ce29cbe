"""What of a perception is wanted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outputs:
    """What of a perception is wanted; the rest is not computed and comes as empty 0×0 arrays.

    Attributes:
        network_depth: Depth up to scale, as the network gave it and filtered over time.
        depth: Metric depth.
        sigma: Its uncertainty, metres.
        labels: Label ids.
        confidence: The labels' confidence.
        source: Provenance of each depth pixel.
        points: What a cloud needs: depth, sigma and labels.
    """

    network_depth: bool = True
    depth: bool = True
    sigma: bool = True
    labels: bool = True
    confidence: bool = True
    source: bool = True
    points: bool = True

    @staticmethod
    def all() -> Outputs:
        """Return a request for everything."""
        return Outputs()

    @staticmethod
    def none() -> Outputs:
        """Return a request for nothing; the scale still learns from the frame's reference."""
        return Outputs(False, False, False, False, False, False, False)

    @property
    def needs_depth(self) -> bool:
        """Whether metric depth has to be computed."""
        return self.depth or self.source or self.needs_sigma

    @property
    def needs_sigma(self) -> bool:
        """Whether metric sigma has to be computed."""
        return self.sigma or self.points

    @property
    def needs_labels(self) -> bool:
        """Whether labels have to be computed."""
        return self.labels or self.points
