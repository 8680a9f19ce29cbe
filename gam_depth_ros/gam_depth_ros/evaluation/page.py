"""What the pages have in common: how templates are read and figures are written."""

from __future__ import annotations

from pathlib import Path

import jinja2


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
    return environment


def number(value: float | None, digits: int = 3) -> str:
    """Format a figure; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"
