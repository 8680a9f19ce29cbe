"""`gam-depth-train extract` and `prepare`: from recordings to what a training reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from gam_depth_ros.core.camera import Intrinsics
    from gam_depth_ros.evaluation.bag import Topics
    from gam_depth_training.extract_report import ExtractOptions, ExtractReport
    from gam_depth_training.label_sources import LabelSource
    from gam_depth_training.prepare import PrepareReport

console = Console()
_SHOWN_REASONS = 5


def extract(
    recordings: Annotated[list[Path], typer.Argument(help="Bags or sequence folders.")],
    out: Annotated[Path, typer.Option(help="Folder for the sequences.")],
    camera: Annotated[
        Path | None,
        typer.Option(help="Calibration instead of camera_info: intrinsics.json or ROS's YAML."),
    ] = None,
    image_topic: Annotated[str | None, typer.Option(help="Colour images.")] = None,
    camera_info_topic: Annotated[str | None, typer.Option(help="Their calibration.")] = None,
    depth_topic: Annotated[str | None, typer.Option(help="Registered depth, to validate.")] = None,
    room: Annotated[
        str | None, typer.Option(help="Name of the place; a split never divides a room.")
    ] = None,
    gap: Annotated[
        int | None, typer.Option(min=1, help="Frames between neighbours; default: measured.")
    ] = None,
    parallax: Annotated[
        float, typer.Option(min=0.1, max=10, help="Wished parallax of neighbours, % of the width.")
    ] = 1.5,
    min_motion: Annotated[
        float,
        typer.Option(min=0, max=10, help="Least motion that no rotation explains, % of the width."),
    ] = 0.1,
) -> None:
    """Turn recordings into sequences: undistorted, without still and blurred frames."""
    from gam_depth_ros.evaluation.bag import Topics
    from gam_depth_training.camera_file import read_camera_file
    from gam_depth_training.extract_report import ExtractOptions

    options = ExtractOptions(
        min_motion=min_motion / 100, target_parallax=parallax / 100, gap=gap, room=room
    )
    topics = Topics(image=image_topic, camera_info=camera_info_topic, reference_depth=depth_topic)
    try:
        known = None if camera is None else read_camera_file(camera)
    except ValueError as error:
        raise _fail(error) from error
    failed = [path for path in recordings if not _extract_one(path, out, options, topics, known)]
    if failed:
        raise typer.Exit(1)


def _extract_one(
    path: Path, out: Path, options: ExtractOptions, topics: Topics, camera: Intrinsics | None
) -> bool:
    """Extract one recording; False, and a line on the console, where it gives nothing."""
    from gam_depth_ros.evaluation.bag import BagError, open_recording
    from gam_depth_training.extract import extract as run

    try:
        recording = open_recording(path, topics)
        with _progress() as progress:
            task = progress.add_task(path.name, total=recording.frame_count)
            report = run(recording, out, options, camera, lambda: progress.advance(task))
    except (BagError, ValueError, OSError) as error:
        _say(error)
        return False
    _show_extracted(path, report)
    return True


def _show_extracted(path: Path, report: ExtractReport) -> None:
    table = Table("sequence", "frames", "depth", "frame gap", "why", title=str(path))
    for sequence in report.sequences:
        table.add_row(
            str(sequence.folder),
            str(sequence.frames),
            str(sequence.depth_frames),
            str(sequence.gap.gap),
            sequence.gap.reason,
        )
    console.print(table)
    dropped = ", ".join(f"{count} {why}" for why, count in report.dropped.most_common())
    console.print(
        f"kept {report.kept} of {report.images} pictures; dropped {dropped or 'none'}",
        highlight=False,
        soft_wrap=True,
    )
    _show_lines([*report.notes, *report.reasons])


def prepare(
    data: Annotated[
        list[Path],
        typer.Argument(help="Sequence folders or folders of such; or a data set's root."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of what is prepared.")],
    config: Annotated[
        Path | None, typer.Option(help="Recipe to prepare for: its size, its gradient magnitude.")
    ] = None,
    size: Annotated[
        str,
        typer.Option(help="HEIGHTxWIDTH of the network's input; default: the recipe's or 288x384."),
    ] = "",
    dataset: Annotated[
        str, typer.Option(help="sequences, nyuv2, scannet, interiornet, 7scenes or tum.")
    ] = "sequences",
    split: Annotated[Path | None, typer.Option(help="Split list of a public data set.")] = None,
    segmenter: Annotated[
        str,
        typer.Option(
            help="Proxy labels from: model (the shipped one), files (labels/ beside color/), none, "
            "or a path: another model (.onnx), a segmenter file (.yaml), or a checkpoint of "
            "Light-weight RefineNet."
        ),
    ] = "model",
    label_map: Annotated[
        str, typer.Option(help="For a RefineNet checkpoint: nyu40_to_nyu13 or same.")
    ] = "nyu40_to_nyu13",
    confidence: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Less sure pixels get no label; default 0.7."),
    ] = None,
    classes: Annotated[int, typer.Option(min=1, max=255, help="Classes of label files.")] = 13,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Compute directions, gradients, key points and proxy labels once; run again to resume."""
    from gam_depth_training.prepare import prepare as run
    from gam_depth_training.video_data import Source

    try:
        size_hw, swapped_grey_weights = _prepared_for(config, size)
        # Every frame may become a target: which ones do depends on the recipe's offsets.
        clips = Source(tuple(data), dataset, split).clips(offsets=(0,))
        labels = _label_source(segmenter, label_map, confidence, classes)
        with _progress() as progress:
            tasks = {"targets": progress.add_task("targets", total=len(clips))}
            if labels is not None:
                tasks["labels"] = progress.add_task("labels", total=len(clips))

            def advance(stage: str) -> None:
                progress.advance(tasks[stage])

            report = run(clips, size_hw, out, labels, workers, advance, swapped_grey_weights)
    except (ValueError, RuntimeError, OSError) as error:
        raise _fail(error) from error
    _show_prepared(out, report, labels)


def _prepared_for(config: Path | None, size: str) -> tuple[tuple[int, int], bool]:
    """Return the size and whether grey weights are swapped, as --config and --size say.

    Raises:
        ValueError: No such recipe, or no size.
    """
    from gam_depth_training.recipe_file import load_recipe

    if config is None:
        return parse_size(size or "288x384"), False
    recipe = load_recipe(config)
    swapped = recipe.objective.quirks.swapped_grey_weights
    return (parse_size(size) if size else recipe.size_hw), swapped


def _show_prepared(out: Path, report: PrepareReport, labels: LabelSource | None) -> None:
    lines = [
        f"{report.computed} targets computed, {report.reused} found finished, in {out}",
        f"{report.without_directions} of them with too few lines for Manhattan directions",
    ]
    if labels is not None:
        lines.append(f"{report.labelled} labelled by {labels.name}")
    if report.failed:
        lines.append(f"{report.failed} failed:")
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
    _show_lines(report.reasons)


def _label_source(
    segmenter: str, mapping: str, confidence: float | None, classes: int
) -> LabelSource | None:
    """Return what --segmenter names.

    Raises:
        ValueError: No such file, or one that cannot be used.
    """
    from gam_depth_training.custom_segmenter import CustomSegmenter, read_segmenter_file
    from gam_depth_training.label_sources import FileLabels, SegmenterLabels
    from gam_depth_training.proxy_labels import (
        DEFAULT_CONFIDENCE,
        OnnxModelSegmenter,
        RefineNetSegmenter,
        Segmenter,
    )

    if segmenter == "none":
        return None
    if segmenter == "files":
        return FileLabels(classes)
    path = Path(segmenter)
    makers: dict[str, Callable[[], Segmenter]] = {
        ".onnx": lambda: OnnxModelSegmenter(path),
        ".yaml": lambda: CustomSegmenter(read_segmenter_file(path)),
        ".yml": lambda: CustomSegmenter(read_segmenter_file(path)),
    }
    if segmenter == "model":
        chosen: Segmenter = OnnxModelSegmenter()
    elif path.exists():
        chosen = makers.get(path.suffix, lambda: RefineNetSegmenter(path, mapping))()
    else:
        raise ValueError(
            f"--segmenter: got '{segmenter}', expected model, files, none or the path of a file"
        )
    return SegmenterLabels(chosen, DEFAULT_CONFIDENCE if confidence is None else confidence)


def parse_size(text: str) -> tuple[int, int]:
    """Return height and width of a --size; raises ValueError where it is none for a network."""
    try:
        height, width = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise ValueError(f"--size: got '{text}', expected HEIGHTxWIDTH, as in 288x384") from None
    if height < 1 or width < 1 or height % 32 or width % 32:
        raise ValueError(f"--size: got {height}x{width}, expected multiples of 32, as in 288x384")
    return height, width


@contextmanager
def _progress() -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        yield progress


def _show_lines(lines: list[str]) -> None:
    for line in lines[:_SHOWN_REASONS]:
        console.print(f"  {line}", highlight=False, soft_wrap=True, markup=False)
    if len(lines) > _SHOWN_REASONS:
        console.print(f"  and {len(lines) - _SHOWN_REASONS} more", highlight=False)


def _say(error: Exception) -> None:
    console.print("[red]error:[/] ", end="")
    console.print(str(error), highlight=False, soft_wrap=True, markup=False)


def _fail(error: Exception) -> typer.Exit:
    _say(error)
    return typer.Exit(1)
