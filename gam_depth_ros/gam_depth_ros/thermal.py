"""The CPU's temperature as Linux tells it."""

from __future__ import annotations

import math
from pathlib import Path

ZONES = Path("/sys/class/thermal")
# Zone types that are the processor or sit on its die; others are batteries, radios, the case.
PROCESSORS = ("cpu", "x86_pkg", "soc", "tj", "core", "package", "acpitz")
PLAUSIBLE_C = (-40.0, 150.0)


def cpu_temperature_c(zones: Path = ZONES) -> float:
    """Return the hottest processor zone in degrees Celsius; NaN where none can be read.

    Args:
        zones: Directory with thermal_zone*/{type,temp}; ``temp`` in thousandths of a degree.
    """
    hottest = math.nan
    for zone in sorted(zones.glob("thermal_zone*")):
        try:
            kind = (zone / "type").read_text(encoding="ascii").strip().lower()
            degrees_c = int((zone / "temp").read_text(encoding="ascii")) / 1e3
        except (OSError, ValueError):  # a zone that is switched off refuses to be read
            continue
        plausible = PLAUSIBLE_C[0] < degrees_c < PLAUSIBLE_C[1]
        if plausible and kind.startswith(PROCESSORS) and not degrees_c <= hottest:
            hottest = degrees_c
    return hottest
