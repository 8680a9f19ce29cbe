"""What Linux tells of the machine: temperature, memory, and who has the processor."""

from __future__ import annotations

import math
import os
import resource
from dataclasses import dataclass
from pathlib import Path

ZONES = Path("/sys/class/thermal")
# Zone types that are the processor or sit on its die; others are batteries, radios, the case.
PROCESSORS = ("cpu", "x86_pkg", "soc", "tj", "core", "package", "acpitz")
PLAUSIBLE_C = (-40.0, 150.0)
STAT = Path("/proc/stat")
# proc(5): of these columns after "cpu" the 4th and 5th are idle time, the 8th is the hypervisor's.
IDLE, STOLEN, COLUMNS = slice(3, 5), 7, 8


@dataclass(frozen=True)
class ProcessorTime:
    """Who had the processor, counted since the machine or the process began.

    Attributes:
        own_s: This process, all its threads, seconds of processor time.
        busy_s: All processes, seconds of processor time; NaN where unknown, as the next two.
        stolen_s: The hypervisor or its other guests.
        all_s: All there was, idle time too.
        preempted: How often a thread of this process had to make room for another process.
    """

    own_s: float = 0.0
    busy_s: float = math.nan
    stolen_s: float = math.nan
    all_s: float = math.nan
    preempted: int = 0

    def since(self, before: ProcessorTime) -> ProcessorTime:
        """Return what came to it since an earlier reading."""
        return ProcessorTime(
            self.own_s - before.own_s,
            self.busy_s - before.busy_s,
            self.stolen_s - before.stolen_s,
            self.all_s - before.all_s,
            self.preempted - before.preempted,
        )


def processor_time(stat: Path = STAT) -> ProcessorTime:
    """Read who had the processor so far.

    Args:
        stat: The kernel's statistics, ``/proc/stat``.
    """
    own = resource.getrusage(resource.RUSAGE_SELF)
    own_s, preempted = own.ru_utime + own.ru_stime, own.ru_nivcsw
    try:
        with stat.open(encoding="ascii") as stream:
            counts = [int(text) for text in stream.readline().split()[1 : COLUMNS + 1]]
    except (OSError, ValueError):
        counts = []
    if len(counts) < COLUMNS:
        return ProcessorTime(own_s, preempted=preempted)
    ticks = os.sysconf("SC_CLK_TCK")
    all_s, stolen_s, idle_s = sum(counts) / ticks, counts[STOLEN] / ticks, sum(counts[IDLE]) / ticks
    return ProcessorTime(own_s, all_s - idle_s - stolen_s, stolen_s, all_s, preempted)


def cpu_temperature_c(zones: Path) -> float:
    """Return the hottest processor zone in degrees Celsius; NaN where none can be read.

    Args:
        zones: Directory with thermal_zone*/{type,temp}; ``temp`` in thousandths of a degree.
    """
    hottest = math.nan
    try:
        found = sorted(zones.glob("thermal_zone*"))
    except OSError:  # a directory that may not be searched, a name too long
        return hottest
    for zone in found:
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
