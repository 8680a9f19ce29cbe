"""Label sets: which id means what, and how it is coloured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class LabelSet:
    """The meaning of the ids in a label image.

    Attributes:
        name: Short name of the set, for example ``nyu13``.
        names: Class names; the position in the tuple is the id.
        palette: One 8-bit RGB colour for each class, in the same order.
        unlabelled_id: Id of pixels that carry no label (255 for uint8 masks, as in
            ``vision_msgs/LabelInfo``).

    Raises:
        ValueError: names and palette differ in length, an id collides with ``unlabelled_id``,
            or there are more classes than a uint8 mask can hold.
    """

    name: str
    names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    unlabelled_id: int = 255

    def __post_init__(self) -> None:
        if len(self.names) != len(self.palette):
            raise ValueError(
                f"label set '{self.name}': got {len(self.names)} names and {len(self.palette)} "
                "colours, expected as many colours as names"
            )
        if any(not 0 <= value <= 255 for colour in self.palette for value in colour):
            raise ValueError(
                f"label set '{self.name}': got a palette {self.palette}, expected values 0 to 255"
            )
        if not 0 < len(self.names) <= self.unlabelled_id <= 255:
            raise ValueError(
                f"label set '{self.name}': got {len(self.names)} classes with unlabelled id "
                f"{self.unlabelled_id}, expected 1 to 255 classes below an unlabelled id <= 255"
            )

    def __len__(self) -> int:
        return len(self.names)

    def id_of(self, name: str) -> int:
        """Return the id of the class called ``name``; raises ValueError if there is none."""
        try:
            return self.names.index(name)
        except ValueError:
            raise ValueError(
                f"label set '{self.name}' has no class '{name}', expected one of "
                f"{', '.join(self.names)}"
            ) from None

    def colorize(self, labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Paint a label image.

        Args:
            labels: H×W uint8 ids.

        Returns:
            H×W×3 uint8 RGB; ids without a class (unlabelled ones too) are black.
        """
        table = np.zeros((256, 3), np.uint8)
        table[: len(self.palette)] = np.array(self.palette, np.uint8)
        # OpenCV's map of 256 colours, in whatever order of channels: four times as fast as NumPy's.
        painted: npt.NDArray[Any] = cv2.applyColorMap(labels, table[:, None])
        return painted.reshape(*labels.shape, 3)

    def to_json(self) -> dict[str, Any]:
        """Return the set as JSON-ready data, the inverse of :meth:`from_json`."""
        return {
            "name": self.name,
            "names": list(self.names),
            "palette": [list(colour) for colour in self.palette],
            "unlabelled_id": self.unlabelled_id,
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> LabelSet:
        """Rebuild a set from :meth:`to_json`; raises ValueError naming what is missing or wrong."""
        try:
            return LabelSet(
                name=str(data["name"]),
                names=tuple(str(name) for name in data["names"]),
                palette=tuple((int(r), int(g), int(b)) for r, g, b in data["palette"]),
                unlabelled_id=int(data["unlabelled_id"]),
            )
        except (KeyError, OverflowError, TypeError) as error:
            raise ValueError(
                f"label set: got {error!r} while reading it, expected an object with name, names, "
                "palette and unlabelled_id"
            ) from error


NYU13 = LabelSet(
    name="nyu13",
    names=(
        "bed",
        "books",
        "ceiling",
        "chair",
        "floor",
        "furniture",
        "objects",
        "picture",
        "sofa",
        "table",
        "tv",
        "wall",
        "window",
    ),
    # Muted surfaces (wall, floor, ceiling), vivid objects: the eye goes to what can be bumped into.
    palette=(
        (214, 39, 100),
        (140, 86, 75),
        (222, 226, 230),
        (255, 127, 14),
        (152, 160, 130),
        (148, 103, 189),
        (227, 66, 52),
        (247, 182, 210),
        (44, 160, 44),
        (240, 200, 50),
        (23, 60, 140),
        (174, 199, 232),
        (23, 190, 207),
    ),
)
"""The 13 NYU Depth v2 classes of Couprie et al. (2013), in alphabetical order."""
