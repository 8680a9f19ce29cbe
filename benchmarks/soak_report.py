"""What a soak's samples say: does anything grow, is every image accounted for; and the plot.

``python soak_report.py DIRECTORY`` judges and draws what lies there once more.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from gam_depth_ros.evaluation.plotting import INK, MEDIAN, MUTED, ONLINE, STYLE

Sample = dict[str, Any]

# Memory may wander by this much over the second half, MB: a leak of a frame a second is 1,600.
MAX_GROWTH_MB = 8.0


@dataclass(frozen=True)
class Check:
    """One claim about the run, whether it holds, and the figures."""

    claim: str
    holds: bool
    figures: str


def judge(samples: list[Sample], log: str) -> list[Check]:
    """Return what was found.

    Args:
        samples: In the order of time; the last one after every image had its fate.
        log: Everything the node has said.
    """
    last = samples[-1]
    second = samples[len(samples) // 2 :]
    return [
        _flat(second, "rss_mb"),
        _flat(second, "anonymous_mb"),
        *(_no_growth(samples, name) for name in ("fds", "threads", "shm_files", "shm_mb")),
        *_accounts(last),
        Check(
            "the node never fell over",
            "Traceback" not in log and "[FATAL]" not in log,
            f"{log.count('[ERROR]')} errors, {log.count('[WARN]')} warnings in its log, "
            f"{last['engines_replaced']} engines replaced",
        ),
    ]


def _flat(half: list[Sample], name: str) -> Check:
    at_min = np.array([sample["at_s"] for sample in half]) / 60.0
    value_mb = np.array([sample[name] for sample in half])
    slope = float(np.polyfit(at_min, value_mb, 1)[0]) if len(half) > 2 else 0.0
    span_min = float(at_min[-1] - at_min[0])
    return Check(
        f"{name} is flat over the second half",
        slope * span_min < MAX_GROWTH_MB,
        f"{slope:+.3f} MB/min over {span_min:.1f} min, {value_mb.min():.1f} to "
        f"{value_mb.max():.1f} MB",
    )


def _no_growth(samples: list[Sample], name: str) -> Check:
    values = [sample[name] for sample in samples]
    early = max(values[: max(1, len(values) // 4)])
    late = min(values[-max(1, len(values) // 4) :])
    # Of the early ones the most, of the late ones the least: what comes and goes is no leak.
    return Check(
        f"{name} do not grow", late <= early, f"first quarter up to {early:g}, last from {late:g}"
    )


def _accounts(last: Sample) -> list[Check]:
    came, published = last["frames_in"], last["frames_published"]
    dropped, failed = last["frames_dropped"], last["frames_failed"]
    return [
        Check(
            "every image that arrived is accounted for",
            came == published + dropped + failed,
            f"{came} in = {published} published + {dropped} dropped + {failed} failed",
        ),
        Check(
            "every drop has a reason",
            sum(last["drops"].values()) == dropped,
            ", ".join(f"{count} {reason}" for reason, count in last["drops"].items()),
        ),
        Check(
            "every frame published was received",
            all(count == published for count in last["received"].values()),
            ", ".join(f"{count} {name}" for name, count in last["received"].items()),
        ),
    ]


def write_verdict(checks: list[Check], samples: list[Sample], path: Path) -> bool:
    """Write and print the verdict; returns whether every claim holds."""
    good = all(check.holds for check in checks)
    last = samples[-1]
    facts = {
        "good": good,
        "minutes": round(last["at_s"] / 60.0, 2),
        "samples": len(samples),
        # Not the node's: where it gets no processor for two seconds, the queue overflows.
        "sent": last["sent"],
        "lost_on_the_way": last["sent"] - last["frames_in"] - last["frames_idle"],
        "beats_the_camera_missed": last["beats_missed"],
        "load_median": float(np.median([sample["load"] for sample in samples])),
        "rate_out_hz_median": float(np.median([sample["rate_out_hz"] for sample in samples])),
        "checks": [asdict(check) for check in checks],
    }
    path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(f"{facts['minutes']} min, load {facts['load_median']:.1f} (median)")
    print(
        f"  {facts['sent']} images sent, {facts['lost_on_the_way']} of them lost before the node "
        f"had them; the camera missed {facts['beats_the_camera_missed']} beats"
    )
    for check in checks:
        print(f"  {'holds' if check.holds else 'FAILS'}  {check.claim}: {check.figures}")
    return good


def draw(samples: list[Sample], path: Path) -> None:
    """Draw memory, descriptors and frames over time as PNG."""
    at_min = [sample["at_s"] / 60.0 for sample in samples]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.0, 7.5), layout="constrained", dpi=120)
        memory, counts, frames = figure.subplots(3, 1, sharex=True)
        for name, color in (("rss_mb", MEDIAN), ("anonymous_mb", ONLINE)):
            values = [sample[name] for sample in samples]
            memory.plot(at_min, values, color=color, label=name.removesuffix("_mb"))
        for name, color in (("fds", MEDIAN), ("threads", ONLINE), ("shm_files", MUTED)):
            counts.plot(at_min, [sample[name] for sample in samples], color=color, label=name)
        for name, color in (("published", MEDIAN), ("dropped", ONLINE), ("failed", INK)):
            values = [sample[f"frames_{name}"] for sample in samples]
            frames.plot(at_min, values, color=color, label=name)
        for axes, title in ((memory, "memory, MB"), (counts, "open"), (frames, "frames")):
            axes.set_ylabel(title)
            axes.set_ylim(bottom=0)
            axes.legend(loc="lower right", ncols=3)
        frames.set_xlabel("minutes")
        figure.savefig(path)


def main(folder: Path) -> bool:
    """Judge and draw the samples of a folder; returns whether the verdict is good."""
    lines = (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    samples = [json.loads(line) for line in lines]
    log = (folder / "node.log").read_text(encoding="utf-8", errors="replace")
    draw(samples, folder / "soak.png")
    return write_verdict(judge(samples, log), samples, folder / "verdict.json")


if __name__ == "__main__":
    sys.exit(0 if main(Path(sys.argv[1])) else 1)
