"""What a reload is asked, by which limits it goes, and what it answers. No ROS here."""

from __future__ import annotations

from dataclasses import dataclass, field

from gam_depth_ros.core.setting import setting, validate
from gam_depth_ros.shadow import MAX_FRAMES, Comparison


@dataclass(frozen=True)
class ReloadConfig:
    """When a reloaded model is kept."""

    latency_budget_ms: float = setting(
        500.0,
        "A reloaded model whose network takes longer for a frame, median, is not kept.",
        minimum=0.1,
        maximum=60_000.0,
        live=True,
    )
    probation_frames: int = setting(
        30,
        "Frames after a reload during which the former model is kept, to take over again if the "
        "new one fails; 0: none.",
        minimum=0,
        maximum=10_000,
        live=True,
    )
    frame_wait_s: float = setting(
        5.0,
        "Longest time that a reload waits for the next frame to compare or to watch, seconds; one "
        "in hand is waited for until it is done or given up.",
        minimum=0.1,
        maximum=600.0,
        live=True,
    )

    load_limit_s: float = setting(
        120.0,  # as long as a GPU's engine may take to make
        "Longest time that a reload waits for a model to load, and for a frame that hangs in the "
        "running one, seconds; then it ends, and the running model goes on.",
        minimum=0.1,
        maximum=3600.0,
        live=True,
    )
    frame_limit_s: float = setting(
        10.0,
        "Longest time that a new model may take for a frame of the comparison, seconds; then it "
        "is interrupted and not kept.",
        minimum=0.1,
        maximum=600.0,
        live=True,
    )

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class ReloadRequest:
    """What ``~/reload_model`` asks for.

    Attributes:
        model_path: The ONNX file, or a listed name; empty for the shipped one.
        shadow_frames: Frames to compare both models on first, at most ``MAX_FRAMES``.
        compare_only: Whether to stop there.
    """

    model_path: str
    shadow_frames: int = 0
    compare_only: bool = False

    def check(self, active: bool) -> None:
        """Raise ReloadError with one line where it cannot be done.

        Args:
            active: Whether frames are perceived now.
        """
        if self.shadow_frames > MAX_FRAMES:
            raise ReloadError(
                f"shadow_frames: got {self.shadow_frames}, expected at most {MAX_FRAMES}; the "
                "figures are no better for more"
            )
        if self.shadow_frames and not active:
            raise ReloadError(
                f"shadow_frames: got {self.shadow_frames} while no frames are perceived, "
                "expected 0; activate the node first"
            )
        if self.compare_only and not self.shadow_frames:
            raise ReloadError("compare_only: got no shadow_frames, expected some to compare on")


@dataclass(frozen=True)
class ReloadResult:
    """How a reload ended.

    Attributes:
        swapped: Whether the new model is in use.
        success: The same; for a comparison only, whether it was made.
        message: One line.
        sha256: Of the file that was loaded, empty if none was.
        comparison: Both models on the same frames.
    """

    swapped: bool
    success: bool
    message: str
    sha256: str = ""
    comparison: Comparison = field(default_factory=Comparison)


class ReloadError(RuntimeError):
    """The new model is not kept. The message is one line."""
