"""What crosses the border of core: one camera frame in, one perception out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.camera import Intrinsics

SOURCE_NONE = 0
SOURCE_SENSOR = 1
SOURCE_NETWORK = 2
SOURCE_FUSED = 3

UNKNOWN = "UNKNOWN"
ACQUIRING = "ACQUIRING"
LOCKED = "LOCKED"
HOLDING = "HOLDING"
LOST = "LOST"


@dataclass(frozen=True)
class ReferenceDepth:
    """A sensor's depth image, registered to the colour image.

    Attributes:
        depth_m: H×W float32 z-depth in metres; NaN where there is no reading.
        stamp_ns: Acquisition time, nanoseconds.
        frame_id: Optical frame that the depth is expressed in.
        intrinsics: Calibration of the depth image, None where none was given.
    """

    depth_m: npt.NDArray[np.float32]
    stamp_ns: int
    frame_id: str
    intrinsics: Intrinsics | None = None


@dataclass(frozen=True)
class Frame:
    """One colour image with what came with it.

    Attributes:
        rgb: H×W×3 uint8 RGB.
        stamp_ns: Acquisition time, nanoseconds. Every output carries it unchanged.
        frame_id: Optical frame of the camera (REP-103: z forward, x right, y down).
        intrinsics: Calibration of ``rgb``; None until a camera_info is known.
        reference: The sensor depth paired with this image, None where there is none.
        odom_T_camera: 4×4 float64, takes points of the camera to a frame that does not move,
            metres; None where no odometry tells it.
    """

    rgb: npt.NDArray[np.uint8]
    stamp_ns: int
    frame_id: str
    intrinsics: Intrinsics | None = None
    reference: ReferenceDepth | None = None
    odom_T_camera: npt.NDArray[np.float64] | None = None  # noqa: N815


@dataclass(frozen=True)
class FrameQuality:
    """What a frame is worth, and how far recent frames are from training.

    Attributes:
        conditions: What is wrong with the picture, the gravest first: covered, frozen,
            partly_covered, dark, over_exposed, exposure_step, blurred, noisy, out_of_distribution.
        scores: By condition, how far towards its limit: raised from 1 on. NaN unknown.
        sigma_factor: What these conditions multiplied sigma by, at least 1.
        withheld: Whether the prediction is withheld: it shows nothing.
        reason: One line; empty when all is well.
        agreement: 0 to 1: share of the boundaries of depth and labels that go together; NaN where
            there is none.
        drift: Population stability index by quantity against training; empty while unknown.
        drift_outside: Share of recent frames at the rim of training or beyond, by quantity.
        drift_line: Drift for people.
    """

    conditions: tuple[str, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    sigma_factor: float = 1.0
    withheld: bool = False
    reason: str = ""
    agreement: float = math.nan
    drift: dict[str, float] = field(default_factory=dict)
    drift_outside: dict[str, float] = field(default_factory=dict)
    drift_line: str = ""


@dataclass(frozen=True)
class ScaleState:
    """What is known of the factor from network depth to metres when a frame was processed.

    Attributes:
        state: ``UNKNOWN`` (nothing to learn from yet), ``ACQUIRING`` (too few references that
            agree), ``LOCKED`` (known, fresh and followed), ``HOLDING`` (known, but the newest
            references are missing, refused or doubted: the value ages) or ``LOST`` (too old, or
            too unsure).
        source: ``median_reference``, ``camera_height`` or ``fixed``.
        value: Metres per unit of network depth; NaN unless ``LOCKED`` or ``HOLDING``.
        sigma_log: Standard deviation of log value; inf where value is NaN.
        age_s: Seconds since the last accepted reference, by the frames' stamps; inf if none.
        reason: One line for people: why the state is what it is.

    Raises:
        ValueError: a value in a state that has none, a state without its value, or a value whose
            sigma is not finite.
    """

    state: str
    source: str
    value: float
    sigma_log: float
    age_s: float
    reason: str

    def __post_init__(self) -> None:
        known = bool(np.isfinite(self.value))
        if known != (self.state in (LOCKED, HOLDING)) or known != bool(np.isfinite(self.sigma_log)):
            raise ValueError(
                f"scale state: got {self.state} with value {self.value:g} and sigma "
                f"{self.sigma_log:g}, expected finite ones in LOCKED and HOLDING alone"
            )

    @property
    def known(self) -> bool:
        """Whether metric outputs may be published."""
        return bool(np.isfinite(self.value))


@dataclass(frozen=True)
class Perception:
    """The result for one frame, at the size of its image.

    Attributes:
        stamp_ns: The input's stamp.
        frame_id: The input's frame.
        intrinsics: The input's calibration (None if it had none).
        network_depth: H×W float32, depth as the network gave it, up to scale, before any filter
            and alignment; always finite.
        steady_depth: H×W float32, the same after the filter over time; what the scale multiplies.
        network_sigma_log: H×W float32, calibrated half-width of the 68.3 % interval of log
            ``steady_depth``, without the scale's own uncertainty; always finite.
        depth_m: H×W float32 metres, what is published: prediction, sensor or both, as ``source``
            says; NaN where neither knows.
        sigma_m: H×W float32 metres, half-width of the 68.3 % interval of ``depth_m``;
            NaN where ``depth_m`` is NaN. Errors are relative: sigma_m / depth_m is the half-width
            of the interval of log depth, and a factor f on it means from depth_m·exp(-f·sigma_m /
            depth_m) to depth_m·exp(f·sigma_m / depth_m).
        labels: H×W uint8 ids of the model's label set.
        label_confidence: H×W float32, 0 to 1.
        source: H×W uint8, SOURCE_NONE where ``depth_m`` is NaN, else where it came from.
        scale: The scale used.
        quality: What the picture is worth.
        stage_ms: Milliseconds spent per stage: see pipeline.STAGES.
        notes: One-line remarks, for example why a reference was refused.
        interval_90: Factor on ``sigma_m`` (or ``network_sigma_log``) to the half-width of the 90 %
            interval: errors have heavier tails than a normal law's 1.645.
        interval_95: Factor to that of the 95.4 % interval, a normal law's two sigma.
    """

    stamp_ns: int
    frame_id: str
    intrinsics: Intrinsics | None
    network_depth: npt.NDArray[np.float32]
    steady_depth: npt.NDArray[np.float32]
    network_sigma_log: npt.NDArray[np.float32]
    depth_m: npt.NDArray[np.float32]
    sigma_m: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]
    label_confidence: npt.NDArray[np.float32]
    source: npt.NDArray[np.uint8]
    scale: ScaleState
    quality: FrameQuality = field(default_factory=FrameQuality)
    stage_ms: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    interval_90: float = 1.645
    interval_95: float = 2.0
