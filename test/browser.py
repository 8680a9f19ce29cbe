"""A page in a real headless browser: what it says on the console, and what its DOM holds."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TIME_MS = 8000

# Collects, in the page itself, what a person would see go wrong; the slider is moved to its end.
PROBE_HEAD = """<script>
window.probe = {errors: []};
function note(line) { window.probe.errors.push(String(line)); }
window.addEventListener("error", function (e) { note(e.message || e.target.src); }, true);
["error", "warn"].forEach(function (name) { console[name] = note; });
</script>"""
PROBE_TAIL = """<script>
window.addEventListener("load", function () {
  function all(what) { return [].slice.call(document.querySelectorAll(what)); }
  var slider = document.getElementById("film-slider");
  window.probe.images = document.images.length;
  window.probe.broken = all("img").filter(function (image) {
    return !image.complete || !image.naturalWidth;
  }).length;
  window.probe.rows = all("table tr").map(function (row) {
    return [].map.call(row.cells, function (cell) {
      return cell.firstChild ? cell.firstChild.textContent.trim() : "";
    });
  });
  if (slider) {
    slider.value = slider.max;
    slider.dispatchEvent(new Event("input"));
    window.probe.shown = all("#film img").map(function (image) {
      return getComputedStyle(image).display !== "none";
    });
  }
  window.probe.sideways = all(".scroll").filter(function (box) {
    return box.scrollWidth > box.clientWidth;
  }).map(function (box) { return box.textContent.trim().slice(0, 20); });
  window.probe.stacked = all("table").filter(function (table) {
    return getComputedStyle(table).display !== "table";
  }).length;
  window.probe.hidden = all("input").filter(function (input) {
    return getComputedStyle(input).display === "none";
  }).length;
  window.probe.overflow = document.documentElement.scrollWidth - window.innerWidth;
  window.probe.width_px = window.innerWidth;
  if (window.parent !== window) { window.parent.postMessage(window.probe, "*"); return; }
  var out = document.createElement("pre");
  out.id = "probe";
  out.textContent = JSON.stringify(window.probe);
  document.body.appendChild(out);
});
</script>"""

# A window of the browser is never narrower; a narrower page stands in a frame of that width.
LEAST_WINDOW_PX = 500
FRAME = """<!doctype html><body style="margin:0">
<iframe src="probed.html" style="width:{width_px}px;height:20000px;border:0"></iframe>
<script>
window.addEventListener("message", function (e) {{
  var out = document.createElement("pre");
  out.id = "probe";
  out.textContent = JSON.stringify(e.data);
  document.body.appendChild(out);
}});
</script></body>"""


def browser() -> str:
    """Return the browser's command; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    return found


def visit(
    page: Path, folder: Path, width_px: int = 1280, *, printed: bool = False
) -> dict[str, Any]:
    """Open a copy of a page with probes in it.

    Args:
        page: The page.
        folder: Where the copy and the browser's profile go.
        width_px: Of the window.
        printed: Whether the page takes the style of its print on paper of that width.

    Returns:
        errors, images, broken, rows (texts of all tables), shown (frames of the slider), sideways
        (tables wider than their place), stacked (tables whose rows are), hidden
        (sliders that are), overflow (of the body, pixels), width_px (the page's).
    """
    command = browser()
    text = page.read_text(encoding="utf-8")
    text = text.replace("<head>", "<head>" + PROBE_HEAD, 1).replace(
        "</body>", PROBE_TAIL + "</body>", 1
    )
    text = text.replace(' loading="lazy"', "")  # nobody scrolls here
    if printed:
        text = text.replace("@media screen", "@media speech").replace("@media print", "@media all")
    copy = folder / "probed.html"
    copy.write_text(text, encoding="utf-8")
    if width_px < LEAST_WINDOW_PX:
        copy = folder / "framed.html"
        copy.write_text(FRAME.format(width_px=width_px), encoding="utf-8")
    result = subprocess.run(
        [
            command, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            f"--user-data-dir={folder / 'profile'}", f"--window-size={width_px},900",
            f"--virtual-time-budget={TIME_MS}", "--enable-logging=stderr", "--dump-dom",
            copy.as_uri(),
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    found = re.search(r'<pre id="probe">(.*?)</pre>', result.stdout, re.DOTALL)
    assert found, f"the page never finished: {result.stderr[-2000:]}"
    probe = json.loads(html.unescape(found.group(1)))
    probe["errors"] += [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    return probe
