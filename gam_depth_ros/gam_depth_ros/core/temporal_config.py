"""Settings of the filter over time."""

from __future__ import annotations

from dataclasses import dataclass

from gam_depth_ros.core.setting import setting, validate

OFF = "off"
STILL = "still"
FLOW = "flow"


@dataclass(frozen=True)
class TemporalConfig:
    """How much one frame's prediction may lean on the frames before it."""

    mode: str = setting(
        FLOW,
        "Filter over time: off, still (a camera that does not move) or flow (follows motion).",
        choices=(OFF, STILL, FLOW),
        live=True,
    )
    flow_upsampling: int = setting(
        1,
        "Pixels of the picture that the flow is computed on per pixel of the network's output, "
        "along each axis; of an output with four times 96x128 pixels and more, per pixel of a "
        "grid of about 96x128.",
        minimum=1,
        maximum=8,
        live=True,
    )
    noise_share: float = setting(
        0.25,
        "Part of sigma that changes from frame to frame; the rest is an error that stays.",
        minimum=0.01,
        maximum=1.0,
        live=True,
    )
    process_noise: float = setting(
        0.05,
        "Random change of log depth that is expected within one second.",
        minimum=0.0,
        maximum=5.0,
        live=True,
    )
    nearer_gate: float = setting(
        2.0,
        "Standard deviations beyond which a change to nearer passes at once.",
        minimum=0.0,
        maximum=20.0,
        live=True,
    )
    nearer_limit: float = setting(
        0.15,
        "Change of log depth to nearer that always passes at once, however unsure the pixel.",
        minimum=0.0,
        maximum=3.0,
        live=True,
    )
    farther_gate: float = setting(
        3.0,
        "Standard deviations beyond which a change to farther passes at once.",
        minimum=0.0,
        maximum=20.0,
        live=True,
    )
    frame_time_s: float = setting(
        1.0,
        "Time constant with which a change of the whole frame's depth that the picture does not "
        "explain is followed, seconds; 0 follows at once.",
        minimum=0.0,
        maximum=60.0,
        live=True,
    )
    frame_nearer_limit: float = setting(
        0.2,
        "Change of the whole frame's log depth beyond which it passes at once, to nearer.",
        minimum=0.0,
        maximum=3.0,
        live=True,
    )
    frame_farther_limit: float = setting(
        0.4,
        "Change of the whole frame's log depth beyond which it passes at once, to farther.",
        minimum=0.0,
        maximum=3.0,
        live=True,
    )
    min_texture_share: float = setting(
        0.1,
        "Share of the picture that must have texture for its motion to be judged; with less, a "
        "change of the whole frame's depth passes at once.",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    residual_gate: float = setting(
        16.0,
        "Grey levels, of 255, by which a pixel may differ from where it came from; one that "
        "differs more is new.",
        minimum=1.0,
        maximum=255.0,
        live=True,
    )
    min_followed_share: float = setting(
        0.3,
        "Share of pixels that must be found again in the frame before; with fewer the filter "
        "starts anew.",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    max_gap_s: float = setting(
        1.0,
        "Seconds between two frames after which the filter starts anew.",
        minimum=0.01,
        maximum=60.0,
        live=True,
    )
    label_time_s: float = setting(
        0.3,
        "Time constant with which the confidence in a label that is no longer seen fades, "
        "seconds; 0 takes each frame's labels as they are.",
        minimum=0.0,
        maximum=60.0,
        live=True,
    )
    label_margin: float = setting(
        0.1,
        "Confidence that another label must be ahead by to replace the one that is held.",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )

    def __post_init__(self) -> None:
        validate(self)
