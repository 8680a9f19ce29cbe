"""The pages for the robot: their links lead somewhere, and the parameters they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGES = ("troubleshooting", "networking", "tuning", "upgrade", "docker")
# A group, a dot, a name; as reference.md writes them.
PARAMETER = re.compile(r"`((?:engine|scale|fusion|temporal|uncertainty|health|registration|watchdog"
                       r"|ladder|reload|performance_log|odometry)\.[a-z_.]+)[:`= ]")  # fmt: skip


@pytest.mark.parametrize("name", [*(f"docs/{page}.md" for page in PAGES), "QUALITY_DECLARATION.md"])
def test_links_lead_somewhere(repo_dir: Path, name: str) -> None:
    page = repo_dir / name
    for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES)
def test_every_parameter_that_is_named_exists(repo_dir: Path, page: str) -> None:
    reference = (repo_dir / "docs/reference.md").read_text()
    known = set(re.findall(r"^\| `([a-z_.]+)`", reference, flags=re.MULTILINE))
    named = set(PARAMETER.findall((repo_dir / f"docs/{page}.md").read_text()))
    assert named <= known
    if page in ("troubleshooting", "tuning"):
        assert len(named) > 10


def test_the_measured_command_is_there(repo_dir: Path) -> None:
    page = (repo_dir / "docs/networking.md").read_text()
    for script in re.findall(r"python (benchmarks/\w+\.py)", page):
        assert (repo_dir / script).is_file()
