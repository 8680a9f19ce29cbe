"""Write docs/reference.md from the tables in the code: ``python docs/make_reference.py``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gam_depth_ros.core.image_codec import COLOR_ENCODINGS, DEPTH_ENCODINGS
from gam_depth_ros.parameters import ParameterSpec, specs
from gam_depth_ros.topics import INPUTS, OUTPUTS, SERVICES, Topic

PAGE = Path(__file__).with_name("reference.md")

HEAD = """\
# Parameters and topics

<!-- Written by docs/make_reference.py from the code; change it there. -->

Names without a slash are relative to the node's namespace, `~` is the node (`/gam_depth`). Every
output carries the stamp and frame of the image it belongs to. What nobody subscribes to is neither
computed nor published. The quality of service of every topic can be overridden at the start with
`qos_overrides.<topic>.<publisher|subscription>.<reliability|history|depth>`; a latched topic stays
latched. Who does not fit, on either side, is named in the log and on `/diagnostics`.
"""


def reference() -> str:
    """Return the page."""
    colour, depth = (", ".join(f"`{name}`" for name in names)
                     for names in (COLOR_ENCODINGS, DEPTH_ENCODINGS))  # fmt: skip
    return "\n".join(
        [
            HEAD,
            "## Subscribed topics\n",
            _topics(INPUTS),
            f"\nEncodings of colour images: {colour}. Of depth images: {depth}.\n",
            "## Published topics\n",
            _topics(OUTPUTS),
            "\n## Services\n",
            _topics(SERVICES, qos=False),
            "\n## Parameters\n",
            "A live parameter can change at any time, and holds from the next frame on. The others "
            "take effect at configure, at activate or at the start of the node; a change after "
            "that is refused with the reason. Setting one to the value it has is no change.\n",
            _parameters(specs()),
            "",
        ]
    )


def _topics(rows: Sequence[Topic], *, qos: bool = True) -> str:
    if not qos:
        return _table(
            ("name", "type", "what"), [[f"`{r.name}`", r.interface, r.what] for r in rows]
        )
    cells = [[f"`{row.name}`", row.interface, row.qos, row.what] for row in rows]
    return _table(("name", "type", "QoS", "what"), cells)


def _parameters(rows: Sequence[ParameterSpec]) -> str:
    cells = [
        [
            f"`{row.name}`",
            _value(row.default),
            _range(row),
            "live" if row.moment is None else f"at {row.moment.before}",
            row.description,
        ]
        for row in rows
    ]
    return _table(("name", "default", "allowed", "takes effect", "what"), cells)


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value!r}`".replace("'", '"')


def _range(row: ParameterSpec) -> str:
    if row.choices:
        return ", ".join(f"`{choice}`" for choice in row.choices)
    if row.minimum is None or row.maximum is None:
        return ""
    return f"{row.minimum:g} to {row.maximum:g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
