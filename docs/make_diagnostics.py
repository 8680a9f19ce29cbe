"""Write docs/diagnostics.md: ``python docs/make_diagnostics.py``.

The fields of the messages come from gam_depth_msgs with their comments, the keys of /diagnostics
from the table below; a test holds that against what the node writes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).with_name("diagnostics.md")
MESSAGES = Path(__file__).resolve().parents[1] / "gam_depth_msgs/msg"

HEAD = """\
# Diagnostics, status and scale

<!-- Written by docs/make_diagnostics.py from the code; change it there. -->

The node tells the same facts twice: on `/diagnostics` once a second as text, for people and
aggregators, and on `~/status` as numbers, for programs. `~/scale` goes with every frame. Counts
and percentiles begin anew at activation.
"""

LEVELS = """\
## Levels

| level | when |
| --- | --- |
| OK | All is well, or nobody has asked for anything yet. |
| WARN | It works, and something is not as it should be: frames fail or are slow, the ladder gives \
something up, a log cannot be written, an input beside the images stopped, somebody's quality of \
service does not fit, another node has the same name, the picture is bad. |
| ERROR | It does not work: the last transition failed, a frame hangs, or engines were replaced in \
vain. |
| STALE | No images arrive (`watchdog.stale_s`). |

The message is `OK`, or all that is wrong, the gravest first.
"""

# Key as the node writes it, <...> for a part that varies; unit or values; what it says.
KEYS: tuple[tuple[str, str, str], ...] = (
    ("frames in", "count", "Images that arrived while somebody subscribed to an output."),
    ("frames published", "count", "Images whose outputs are out."),
    ("frames dropped", "count", "Images given up before their turn: the sum of the next rows."),
    (
        "frames dropped: <reason>",
        "count",
        "By reason: `newer image` (the worker was busy), `ladder` (a lower rate), `late stamp` "
        "(overtaken on the way), `deactivated`.",
    ),
    ("frames failed", "count", "Images refused or broken: each gives one line in the log."),
    (
        "frames idle (no subscriber)",
        "count",
        "Images that came while nobody subscribed to any output.",
    ),
    ("rate in (Hz)", "Hz", "Images that arrive, over the last 5 s."),
    ("rate out (Hz)", "Hz", "Frames published, over the last 5 s."),
    ("model", "text", "Name of the model in use; empty until the node is configured."),
    ("model path", "path", "Its file."),
    ("model sha256", "hex", "Of the file that was loaded."),
    ("provider", "text", "ONNX Runtime provider in use, also as the hardware id."),
    ("precision", "text", "`float32`, `float16` or `int8`."),
    ("engines replaced", "count", "Engines made anew because one hung."),
    ("reload", "text", "How far `~/reload_model` is, or how the last one ended; `none yet`."),
    ("scale", "text", "Why the metric scale is what it is."),
    ("scale state", "text", "`UNKNOWN`, `ACQUIRING`, `LOCKED`, `HOLDING` or `LOST`."),
    ("scale value", "m per unit", "Metres = value * network depth; `nan` while unknown."),
    ("scale age (s)", "s", "Since the last reference that was used; `never` before the first."),
    ("picture", "text", "What is wrong with the last image, the gravest first; `healthy`."),
    ("drift", "text", "How far recent frames are from those of the training, in words."),
    (
        "drift of <quantity> (PSI)",
        "index",
        "Population stability index of a quantity's recent distribution against the training's; "
        "0: the same, above 0.25: much moved. No key while unknown.",
    ),
    (
        "boundary agreement",
        "0 to 1",
        "How well the edges of depth and labels agree; `nan` while not measured.",
    ),
    ("given up", "text", "Rungs of the ladder that are taken; `nothing`."),
    ("waiting for", "text", "What has not arrived yet, or activation; empty: nothing."),
    ("memory (MB)", "MB", "Resident memory of the node's process."),
    ("CPU temperature (°C)", "°C", "Hottest processor zone; `unknown` where unreadable."),
    ("last <input> (s ago)", "s", "Age of an input's last message; `never` before the first."),
    (
        "<stage> p50 (ms)",
        "ms",
        "Median time of a stage over the last 300 frames: `wait` before the worker's turn, "
        "`latency` from the image's stamp to its last output, the rest by their names.",
    ),
    ("<stage> p99 (ms)", "ms", "99th percentile of the same."),
    (
        "QoS fault <number>",
        "text",
        "Who cannot hear whom: topic, both nodes, what is offered and what is asked for.",
    ),
    (
        "silent input <number>",
        "text",
        "An input beside the images that stopped, or that nobody offers in a quality of service "
        "that can be heard: topic, type, quality of service, who publishes there.",
    ),
    ("note <number>", "text", "Remarks since the last report, at most five."),
)


def page() -> str:
    """Return the page."""
    keys = [(f"`{key}`", unit, what) for key, unit, what in KEYS]
    return "\n".join(
        [
            HEAD,
            LEVELS,
            "## Keys of /diagnostics\n",
            _table(("key", "unit", "what"), keys),
            "\n## Fields of ~/status (gam_depth_msgs/msg/PerceptionStatus)\n",
            _table(("field", "type", "what"), rows("PerceptionStatus")),
            "\n## Fields of ~/scale (gam_depth_msgs/msg/ScaleStatus)\n",
            _table(("field", "type", "what"), rows("ScaleStatus")),
            "",
        ]
    )


def rows(message: str) -> list[tuple[str, str, str]]:
    """Return the fields and constants of a message: name, type, comment."""
    found: list[tuple[str, str, str]] = []
    for line in (MESSAGES / f"{message}.msg").read_text(encoding="utf-8").splitlines():
        definition, _, comment = (part.strip() for part in line.partition("#"))
        if definition:
            kind, _, name = definition.partition(" ")
            found.append((f"`{name.strip()}`", kind, comment))
        elif comment and re.match(r"\s", line):  # goes on from the line before
            name, kind, what = found[-1]
            found[-1] = (name, kind, f"{what} {comment}")
    return found


def _table(head: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in cells]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *escaped))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
