"""Sequence folders as clips: color/, intrinsics.json, frames.csv, and perhaps depth/.

``extract`` and ``synth --out`` write such folders; so do the recordings for development.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_ros.evaluation.bag import BagError, FolderRecording
from gam_depth_training.clip import (
    DEFAULT_OFFSETS,
    Clip,
    DepthFile,
    UnreadableFrameError,
    check_offsets,
    neighbours,
    read_picture,
)
from gam_depth_training.frame_geometry import FrameGeometry
from gam_depth_training.video_batch import collate
from gam_depth_training.video_dataset import VideoDataset

__all__ = [
    "DEFAULT_OFFSETS",
    "Clip",
    "VideoDataset",
    "collate",
    "find_sequence_folders",
    "read_sequence_folder",
    "read_sequence_folders",
]

log = logging.getLogger(__name__)

# What `extract` found out about a folder: the frame gap with enough parallax, the room.
FACTS_FILE = "sequence.json"
# Stored values of one metre in depth/ of every sequence folder.
MILLIMETRES = 1000.0


def read_sequence_folder(
    path: Path,
    offsets: Sequence[int] = DEFAULT_OFFSETS,
    gap: int | None = None,
    group: str | None = None,
) -> list[Clip]:
    """Return one clip for each frame that has all its neighbours.

    Args:
        path: The folder.
        offsets: Temporal offsets in rising order, 0 among them, in units of ``gap``.
        gap: Recorded frames between neighbours; None takes ``frame_gap`` of sequence.json, or 1.
        group: The room; None takes ``room`` of sequence.json or the folder's name, of a TUM
            recording its laboratory.

    Returns:
        Clips in temporal order. A frame whose picture file is missing costs the clips around it.

    Raises:
        ValueError: No pictures, no calibration, frames that are not in temporal order, or too few
            frames for a single clip.
    """
    check_offsets(offsets)
    recording = FolderRecording(path)
    if recording.intrinsics is None:
        raise ValueError(
            f"{path}: got no intrinsics.json, expected width, height, fx, fy, cx and cy in it; "
            "calibrate the camera, or extract from a bag with camera_info"
        )
    _check_facts(recording)
    facts = _read_facts(path)
    gap = int(facts.get("frame_gap", 1)) if gap is None else gap
    if gap < 1:
        raise ValueError(f"{path}: got a frame gap of {gap}, expected 1 or more")
    group = group or room_of(path)
    frames = _picture_files(recording)
    geometry = FrameGeometry.whole(_fitted(recording.intrinsics, frames))
    clips = []
    for index, entry in enumerate(recording.entries):
        around = neighbours(frames, index, offsets, gap)
        if around is None:
            continue
        depth = recording.depth_path(entry)
        clips.append(
            Clip(
                key=f"{path.name}/{entry.name}",
                frames=around,
                offsets=tuple(offsets),
                geometry=geometry,
                depth=None if depth is None else DepthFile(depth),
                group=group,
            )
        )
    if not clips:
        needed = (offsets[-1] - offsets[0]) * gap + 1
        raise ValueError(
            f"{path}: got {len(frames)} frames, expected at least {needed} for offsets "
            f"{list(offsets)} at a gap of {gap}; record longer, or choose a smaller gap"
        )
    return clips


def find_sequence_folders(paths: Sequence[Path]) -> list[Path]:
    """Return the sequence folders among ``paths`` and directly below them, by name.

    Raises:
        ValueError: A path with none.
    """
    found: list[Path] = []
    for path in paths:
        candidates = [path, *sorted(path.iterdir())] if path.is_dir() else []
        folders = [folder for folder in candidates if (folder / "color").is_dir()]
        if not folders:
            raise ValueError(
                f"{path}: got no sequence folder, expected one with color/, or a folder of such; "
                "run `gam-depth-train extract` on a bag first"
            )
        found.extend(folders)
    return found


def find_recordings(paths: Sequence[Path]) -> list[Path]:
    """Return ``paths``, and in place of a folder of sequence folders those, by name."""
    found: list[Path] = []
    for path in paths:
        below = sorted(path.iterdir()) if path.is_dir() and not (path / "color").is_dir() else []
        found.extend([folder for folder in below if (folder / "color").is_dir()] or [path])
    return found


def read_sequence_folders(
    paths: Sequence[Path], offsets: Sequence[int] = DEFAULT_OFFSETS, gap: int | None = None
) -> list[Clip]:
    """Return the clips of all sequence folders in ``paths``; see read_sequence_folder.

    Raises:
        ValueError: As read_sequence_folder; also two folders of one name, whose keys would clash.
    """
    folders = find_sequence_folders(paths)
    names = [folder.name for folder in folders]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"sequences: got two folders named {twice[0]}, expected different names")
    return [clip for folder in folders for clip in read_sequence_folder(folder, offsets, gap)]


def _check_facts(recording: FolderRecording) -> None:
    """Refuse depth that is not in millimetres, and frames that are not in temporal order.

    A key frame with neighbours of unknown order stands in demo clips of NYUv2 methods.
    """
    said = json.loads((recording.path / "intrinsics.json").read_text())
    about, scale = str(said.get("fps", "")), said.get("depth_scale", MILLIMETRES)
    if scale != MILLIMETRES:
        raise ValueError(
            f"{recording.path}: got depth_scale {scale}, expected {MILLIMETRES:g}, stored values a "
            "metre; convert depth/ to millimetres"
        )
    stamps = [entry.stamp_ns for entry in recording.entries]
    if about.startswith("unknown"):
        raise ValueError(
            f"{recording.path}: got frames of unknown order ('{about}'), expected temporal order; "
            "put the frames in order and give fps in intrinsics.json"
        )
    if len(set(stamps)) < len(stamps):
        raise ValueError(
            f"{recording.path}: got two frames of one time in frames.csv, expected rising times; "
            "take one line out"
        )


def _read_facts(path: Path) -> dict[str, object]:
    file = path / FACTS_FILE
    if not file.exists():
        return {}
    try:
        facts = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{file}: got {error.__class__.__name__} while reading it, expected JSON as `extract` "
            "writes it; extract again, or remove the file and give the gap"
        ) from error
    if not isinstance(facts, dict):
        raise ValueError(f"{file}: got no JSON object, expected one as `extract` writes it")
    return facts


def room_of(path: Path) -> str:
    """Return the room of a recording: of sequence.json, or its name.

    All sequences of one TUM laboratory show one room.

    Raises:
        ValueError: sequence.json cannot be read.
    """
    name = str(_read_facts(path).get("room") or path.name)
    laboratory = re.search(r"freiburg\d", name)
    return laboratory.group() if laboratory else name


def _picture_files(recording: FolderRecording) -> list[Path | None]:
    """The file of each frame; None, and a word in the log, where there is none."""
    files: list[Path | None] = []
    for entry in recording.entries:
        try:
            files.append(recording.color_path(entry))
        except BagError as error:
            log.warning("%s", error)
            files.append(None)
    return files


def _fitted(camera: Intrinsics, frames: Sequence[Path | None]) -> Intrinsics:
    """Return the calibration at the size of the first readable picture."""
    for path in filter(None, frames):
        try:
            height, width = read_picture(path).shape[:2]
        except UnreadableFrameError:
            continue
        return camera if (height, width) == camera.size_hw else camera.resized(width, height)
    return camera
