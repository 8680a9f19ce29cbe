"""``gam-depth robustness``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from gam_depth_ros.cli_common import (
    NOTHING_DONE,
    Model,
    Recordings,
    Threads,
    local_model,
    one_line_errors,
    out_console,
    pipeline_config,
    print_remarks,
    progress,
)
from gam_depth_ros.core.engine import Engine, OnnxEngine
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.evaluation.bag import BagError, open_recording
from gam_depth_ros.evaluation.bag_writer import make_directory
from gam_depth_ros.evaluation.corruptions import CORRUPTIONS, SEVERITIES
from gam_depth_ros.evaluation.page import number
from gam_depth_ros.evaluation.robustness import (
    TruthFrame,
    choose_frames,
    constant_depth,
    model_depth,
    run_robustness,
)
from gam_depth_ros.evaluation.robustness_page import (
    robustness_headline,
    title_of,
    write_robustness,
)
from gam_depth_ros.evaluation.robustness_scores import summarise

SHOWN_SEVERITIES = (1, 3, 5)
CONSTANT = {"name": "constant depth", "path": "", "sha256": "", "provider": ""}


def robustness(
    recordings: Recordings,
    out: Annotated[
        Path, typer.Option("--out", help="Directory for robustness.json and robustness.html.")
    ],
    model: Model = None,
    baseline: Annotated[
        Path | None, typer.Option(help="Model that mCE is relative to; a constant by default.")
    ] = None,
    frames: Annotated[
        int, typer.Option(min=1, help="Frames of each recording, evenly spaced.")
    ] = 20,
    only: Annotated[
        list[str] | None,
        typer.Option("--corruption", help="Only this corruption; may be given several times."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same figures.")] = 0,
    threads: Threads = 0,
) -> None:
    """Corrupt pictures in fifteen ways and five severities; write the robustness card."""
    with one_line_errors():
        names = _checked(only)
        make_directory(out)
        config = pipeline_config(threads)
        engine = OnnxEngine(local_model(model) or default_model_path(), config.engine)
        rival = None if baseline is None else local_model(baseline)
        other = None if rival is None else OnnxEngine(rival, config.engine)
        tests, about = _frames_of(recordings, frames, config.pairing_slop_s)
        pictures = len(tests) * (1 + len(names) * len(SEVERITIES))
        with progress("corrupting", pictures) as advance:
            run = run_robustness(
                tests,
                engine,
                baseline=constant_depth if other is None else model_depth(other),
                corruptions=names,
                seed=seed,
                on_picture=advance,
            )
        about |= {
            "model": _model(engine),
            "baseline": CONSTANT if other is None else _model(other),
            "frames_asked": frames,
            "seed": seed,
        }
        card, paths = write_robustness(run, summarise(run.trials), about, out)
    print_remarks([], run.failures)
    _print_card(card, paths)
    if not card["clean"]["pictures"]:
        raise typer.Exit(NOTHING_DONE)


def _checked(only: list[str] | None) -> tuple[str, ...]:
    unknown = [name for name in only or () if name not in CORRUPTIONS]
    if unknown:
        raise BagError(
            f"--corruption: got '{unknown[0]}', expected one of {', '.join(CORRUPTIONS)}; correct "
            "the name"
        )
    return tuple(only) if only else CORRUPTIONS


def _frames_of(
    recordings: list[Path], count: int, slop_s: float
) -> tuple[list[TruthFrame], dict[str, Any]]:
    tests: list[TruthFrame] = []
    rows = []
    for path in recordings:
        chosen = choose_frames(open_recording(path, pairing_slop_s=slop_s), count, slop_s)
        tests += chosen
        rows.append({"path": str(path), "name": path.resolve().stem, "frames": len(chosen)})
    if not tests:
        raise BagError(
            f"{recordings[0]}: got no frame with a reference depth that fits it, expected one or "
            "more; record the depth as well, or name another recording"
        )
    return tests, {"recordings": rows}


def _model(engine: Engine) -> dict[str, str]:
    return {
        "name": engine.spec.name,
        "path": engine.info.get("path", ""),
        "sha256": engine.sha256,
        "provider": engine.provider,
    }


def _print_card(card: dict[str, Any], paths: tuple[Path, ...]) -> None:
    """Print the verdict, a row for each corruption, and where the files are."""
    out_console.print(f"[bold]{escape(robustness_headline(card))}[/bold]")
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("DEE at severity", no_wrap=True)
    for heading in (*map(str, SHOWN_SEVERITIES), "CE ↓", "RR ↑", "σ × at 5", "σ notices"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in card["corruptions"]:
        cells = row["severities"]
        table.add_row(
            title_of(row["name"]),
            *(number(cell["dee"]) for cell in cells if cell["severity"] in SHOWN_SEVERITIES),
            number(row["ce"]),
            number(row["rr"]),
            number(cells[-1]["sigma_ratio"], 2),
            number(row["sigma_rank_correlation"], 2),
        )
    out_console.print(table)
    clean = card["clean"]
    noticing = card["sigma_rank_correlation"]["over_variants"]
    out_console.print(
        f"clean DEE {number(clean['dee'])}, mCE {number(card['mce'])} against "
        f"{escape(card['baseline']['name'])}, mRR {number(card['mrr'])}, "
        f"sigma notices {number(noticing, 2)}; "
        f"{clean['pictures']} frames (--frames {card['frames_asked']} of each recording)",
        soft_wrap=True,
    )
    harmed = card["harmed"]
    out_console.print(
        f"of {harmed['pictures']} pictures whose DEE rose by {harmed['dee_rise']} or more, sigma "
        f"noticed {number(harmed['noticed_by_sigma'], 2)} and frame health "
        f"{number(harmed['noticed_by_health'], 2)} (it raises {number(clean['alarm_share'], 2)} of "
        "the clean ones)",
        soft_wrap=True,
    )
    for path in paths:
        out_console.print(escape(str(path)), soft_wrap=True)
