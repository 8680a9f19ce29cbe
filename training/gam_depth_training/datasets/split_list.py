"""What the readers of split lists share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gam_depth_training.clip import Clip, DepthFile, check_offsets, neighbours
from gam_depth_training.frame_geometry import FrameGeometry

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """The frames of one recording of a data set.

    Attributes:
        name: Folder below the data set's root, the first part of the clips' keys.
        frames: Picture files in temporal order.
        geometry: The camera and what of its picture is used.
        group: The room.
        depth_of: Returns the reference depth of a picture; None where there is none.
    """

    name: str
    frames: Sequence[Path]
    geometry: FrameGeometry
    group: str
    depth_of: Callable[[Path], DepthFile | None]

    def clips(
        self, offsets: Sequence[int], gap: int, targets: Sequence[Path] | None = None
    ) -> list[Clip]:
        """Return the clips around all frames, or around ``targets``, that have all neighbours.

        Raises:
            ValueError: A target that is no frame of this recording, or a gap below 1.
        """
        check_offsets(offsets)
        if gap < 1:
            raise ValueError(f"{self.name}: got a frame gap of {gap}, expected 1 or more")
        places = {path: index for index, path in enumerate(self.frames)}
        found = []
        for target in self.frames if targets is None else targets:
            if target not in places:
                raise ValueError(
                    f"{target}: got no such file in the data set, expected what the split list "
                    "names; check the root folder"
                )
            around = neighbours(self.frames, places[target], offsets, gap)
            if around is not None:
                found.append(self._clip(target, around, offsets))
        return found

    def _clip(self, target: Path, around: tuple[Path, ...], offsets: Sequence[int]) -> Clip:
        return Clip(
            key=f"{self.name}/{target.stem}",
            frames=around,
            offsets=tuple(offsets),
            geometry=self.geometry,
            depth=self.depth_of(target),
            group=self.group,
        )


def read_split_list(path: Path) -> list[list[str]]:
    """Return the words of each line; blank lines and comments (#) do not count.

    Raises:
        ValueError: No such file, not text, or no line in it.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path}: got {error.__class__.__name__} while reading it, expected a text file with "
            "one entry a line"
        ) from error
    words = [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not words:
        raise ValueError(f"{path}: got no entry, expected one a line")
    return words


def by_number(folder: Path, pattern: str, number_of: Callable[[Path], int]) -> list[Path]:
    """Return the files of a folder that match, in the order of their frame numbers.

    Raises:
        ValueError: No such file.
    """
    found = sorted(folder.glob(pattern), key=number_of)
    if not found:
        raise ValueError(
            f"{folder}: got no {pattern}, expected the data set's pictures; check the root folder "
            "and the split list"
        )
    return found


def existing_depth(path: Path, **kind: object) -> DepthFile | None:
    """Return the depth file if it is there."""
    return DepthFile(path, **kind) if path.exists() else None  # type: ignore[arg-type]


def require_clips(clips: list[Clip], wanted: int, source: Path) -> list[Clip]:
    """Return the clips, with a word on those lost at the ends of their recordings.

    Raises:
        ValueError: None is left.
    """
    if not clips:
        raise ValueError(
            f"{source}: got no frame with all its neighbours, expected some; choose a smaller gap "
            "or other offsets"
        )
    if len(clips) < wanted:
        log.info("%s: %d of %d frames lack a neighbour", source, wanted - len(clips), wanted)
    return clips
