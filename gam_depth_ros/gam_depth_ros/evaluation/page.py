"""What the pages have in common: how templates are read and figures are written."""

from __future__ import annotations

from pathlib import Path

import jinja2

MINUTES_FROM_S, HOURS_FROM_S = 600.0, 36_000.0
"""Spans from which on a time is told in minutes, in hours."""


def page_environment() -> jinja2.Environment:
    """Return the environment of the templates: everything escaped, nothing undefined allowed."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["number"] = number
    environment.filters["duration"] = duration
    return environment


def number(value: float | None, digits: int = 3) -> str:
    """Format a figure; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def duration(seconds: float) -> str:
    """Format a time span in the unit that suits it."""
    if seconds >= HOURS_FROM_S:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= MINUTES_FROM_S else f"{seconds:.0f} s"
