"""What Linux tells of the machine: the CPU's temperature, this process's memory."""

from __future__ import annotations

import math
import os
from pathlib import Path

ZONES = Path("/sys/class/thermal")
# Zone types that are the processor or sit on its die; others are batteries, radios, the case.
PROCESSORS = ("cpu", "x86_pkg", "soc", "tj", "core", "package", "acpitz")
PLAUSIBLE_C = (-40.0, 150.0)


def cpu_temperature_c(zones: Path) -> float:
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


def resident_mb() -> float:
    """Return this process's resident memory in MB; 0 where /proc does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
