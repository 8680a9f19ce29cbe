"""`gam-depth-train statistics`: give a model file its training reference."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gam_depth_training.cli_fit import fail

console = Console()


def statistics(
    model: Annotated[Path, typer.Option(help="ONNX file written by `export`.")],
    shards: Annotated[
        Path | None, typer.Option(help="Shards of synthetic rooms; the held-out ones are read.")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Recording whose frames are good, for each: sequence folder or bag. With "
            "--shards it moves limits only; alone it is taken for what trained the model."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write; default: the model file itself.")
    ] = None,
    held_out: Annotated[int, typer.Option(min=1, help="How many shards are held out.")] = 2,
    frames: Annotated[int, typer.Option(min=1, help="Most pictures of a recording.")] = 300,
    faulty_every: Annotated[
        int, typer.Option(min=1, help="Every n-th picture is also made bad.")
    ] = 16,
) -> None:
    """Measure limits of frame health, the reference of drift, and how features lie."""
    from gam_depth_ros.core.model_spec import ModelContractError
    from gam_depth_ros.evaluation.bag import BagError
    from gam_depth_training.batch import find_shards
    from gam_depth_training.model_statistics import training_statistics, write_statistics
    from gam_depth_training.picture_answers import ReferencePicture, measure
    from gam_depth_training.reference_pictures import (
        SYNTHETIC,
        recorded_pictures,
        room_of,
        shard_pictures,
    )
    from gam_depth_training.sequences import find_recordings

    groups: dict[str, chain[ReferencePicture]] = {}
    try:
        if shards is not None:
            paths = find_shards(shards)[:held_out]
            groups[SYNTHETIC] = chain(shard_pictures(paths, frames))
        rooms = defaultdict(list)
        for path in find_recordings(data or ()):
            rooms[room_of(path)].append(recorded_pictures(path, frames))
        groups.update({room: chain(*pictures) for room, pictures in rooms.items()})
        answers = measure(model, groups, faulty_every)
        trained_on = () if shards is None else (SYNTHETIC,)
        reference = training_statistics(answers, trained_on=trained_on)
        target = out or model
        spec = write_statistics(model, reference, target)
    except (ValueError, OSError, BagError, ModelContractError) as error:
        raise fail(error) from error
    table = Table("condition", "limit", "factor on sigma", title=str(target))
    for name, limit in reference.limits.items():
        table.add_row(name, f"{limit.limit:.4g}", f"{limit.sigma_factor:.2f}")
    console.print(table)
    console.print(
        f"from {reference.pictures} pictures: {reference.data}; the contract now has "
        f"{len(spec.to_json()) / 1000:.0f} kB",
        soft_wrap=True,
    )
