"""Split lists that name whole recordings or single target pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from gam_depth_training.clip import Clip
from gam_depth_training.datasets.split_list import Recording, read_split_list, require_clips


def read_targets(
    split_list: Path,
    root: Path,
    recording_of: Callable[[Path, str], Recording],
    pictures_in: str,
    offsets: Sequence[int],
    gap: int,
    file_of: Callable[[Path, PurePosixPath], Path] = Path.joinpath,
) -> list[Clip]:
    """Return the clips that a split list names.

    Args:
        split_list: One entry a line: a recording's folder, for all of its frames, or a picture
            file; further words of the line (a depth file) follow from the picture and are ignored.
        root: Folder of the data set.
        recording_of: Opens the recording of a name.
        pictures_in: Folder of a recording below which its pictures lie.
        offsets: Temporal offsets, 0 among them.
        gap: Frames between neighbours.
        file_of: Finds a picture of the list, given the data set's folder.

    Raises:
        ValueError: Entries that are not there, or none with all its neighbours.
    """
    wanted: dict[str, list[Path] | None] = {}
    for words in read_split_list(split_list):
        path = PurePosixPath(words[0].lstrip("/"))
        if not path.suffix:
            wanted[str(path)] = None
            continue
        if pictures_in not in path.parts:
            raise ValueError(
                f"{split_list}: got {path}, expected a picture below {pictures_in}/, or a "
                "recording's folder"
            )
        name = str(PurePosixPath(*path.parts[: path.parts.index(pictures_in)]))
        targets = wanted.setdefault(name, [])
        if targets is not None:
            targets.append(file_of(root, path))
    clips: list[Clip] = []
    count = 0
    for name, targets in wanted.items():
        recording = recording_of(root, name)
        count += len(recording.frames if targets is None else targets)
        clips += recording.clips(offsets, gap, targets)
    return require_clips(clips, count, split_list)
