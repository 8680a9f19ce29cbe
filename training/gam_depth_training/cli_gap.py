"""`gam-depth-train gap`: how far the synthetic rooms lie from recordings."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import defaultdict
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from gam_depth_training.cli_fit import fail

if TYPE_CHECKING:
    from gam_depth_training.domain_gap import Gap

console = Console()


def gap(
    shards: Annotated[Path, typer.Option(help="Shards of synthetic rooms.")],
    data: Annotated[list[Path], typer.Option(help="Recording, for each: sequence folder or bag.")],
    out: Annotated[Path, typer.Option(help="Folder for gap.json and gap.png.")],
    frames: Annotated[int, typer.Option(min=1, help="Most pictures of a recording.")] = 100,
    rendered: Annotated[int, typer.Option(min=1, help="Most pictures of the shards.")] = 1600,
    most_shards: Annotated[
        int, typer.Option(min=1, help="Shards to read, evenly spread; as many pictures of each.")
    ] = 16,
) -> None:
    """Compare gradients, colour, exposure and depth of synthetic rooms with those of recordings."""
    from gam_depth_ros.evaluation.bag import BagError
    from gam_depth_training.batch import find_shards
    from gam_depth_training.domain_gap import domain_gap, quantiles_of
    from gam_depth_training.domain_gap_figure import draw_domain_gap
    from gam_depth_training.reference_pictures import (
        evenly,
        recorded_pictures,
        room_of,
        shard_pictures,
    )
    from gam_depth_training.sequences import find_recordings

    try:
        rooms = defaultdict(list)
        for path in find_recordings(data):
            rooms[room_of(path)].append(recorded_pictures(path, frames))
        every = find_shards(shards)
        paths = [every[index] for index in evenly(len(every), most_shards)]
        pictures_of_shards = chain.from_iterable(
            shard_pictures([path], max(1, rendered // len(paths)))
            for path in track(paths, "shards", console=console, transient=True)
        )
        synthetic = quantiles_of(pictures_of_shards)
        recorded = {
            room: quantiles_of(chain(*pictures))
            for room, pictures in track(
                rooms.items(), "recordings", console=console, transient=True
            )
        }
        gaps = domain_gap(synthetic, recorded)
        draw_domain_gap(synthetic, recorded, gaps, out / "gap.png")
        content = {name: _without_nan(dataclasses.asdict(found)) for name, found in gaps.items()}
        (out / "gap.json").write_text(json.dumps(content, indent=1, allow_nan=False))
    except (ValueError, OSError, BagError) as error:
        raise fail(error) from error
    console.print(_table(gaps, len(paths), recorded))
    console.print(f"{out / 'gap.json'}, {out / 'gap.png'}", soft_wrap=True)


def _shown(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _without_nan(gap: dict[str, Any]) -> dict[str, Any]:
    """NaN is no JSON: what could not be measured is null."""
    return {name: None if value != value else value for name, value in gap.items()}


def _table(gaps: Mapping[str, Gap], shards: int, rooms: Mapping[str, object]) -> Table:
    table = Table(
        "statistic", "synthetic", "recorded", "distance", "between rooms",
        title="distances in the synthetic rooms' spread",
        caption=f"{shards} shards, {len(rooms)} recorded rooms",
    )  # fmt: skip
    for name, found in gaps.items():
        table.add_row(
            name,
            "{:.2f} ± {:.2f}".format(*found.synthetic),
            "{:.2f} ± {:.2f}".format(*found.recorded),
            _shown(found.distance),
            _shown(found.between_rooms),
        )
    return table
