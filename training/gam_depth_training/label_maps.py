"""From the 40 NYU classes that public segmenters know to the 13 of the robot's label set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.labels import NYU13
from gam_depth_training.video_batch import IGNORED_LABEL

# Gupta et al. 2013, in their order, and the class of Couprie et al. 2013 that each belongs to.
NYU40_TO_NYU13 = {
    "wall": "wall",
    "floor": "floor",
    "cabinet": "furniture",
    "bed": "bed",
    "chair": "chair",
    "sofa": "sofa",
    "table": "table",
    "door": "wall",
    "window": "window",
    "bookshelf": "furniture",
    "picture": "picture",
    "counter": "furniture",
    "blinds": "window",
    "desk": "table",
    "shelves": "furniture",
    "curtain": "window",
    "dresser": "furniture",
    "pillow": "objects",
    "mirror": "objects",
    "floor mat": "floor",
    "clothes": "objects",
    "ceiling": "ceiling",
    "books": "books",
    "refrigerator": "furniture",
    "television": "tv",
    "paper": "objects",
    "towel": "objects",
    "shower curtain": "objects",
    "box": "objects",
    "whiteboard": "objects",
    "person": "objects",
    "night stand": "furniture",
    "toilet": "objects",
    "sink": "objects",
    "lamp": "objects",
    "bathtub": "objects",
    "bag": "objects",
    "otherstructure": "objects",
    "otherfurniture": "furniture",
    "otherprop": "objects",
}


@dataclass(frozen=True)
class LabelMap:
    """Translates a segmenter's ids.

    Attributes:
        name: For messages and caches.
        ids: The id that each of the segmenter's ids becomes; IGNORED_LABEL for none.
        classes: Number of classes of the result.
    """

    name: str
    ids: tuple[int, ...]
    classes: int

    def __post_init__(self) -> None:
        wrong = [i for i in self.ids if i != IGNORED_LABEL and not 0 <= i < self.classes]
        if wrong or not 0 < len(self.ids) <= 256 or not 0 < self.classes <= IGNORED_LABEL:
            raise ValueError(
                f"label map '{self.name}': got {len(self.ids)} ids for {self.classes} classes, "
                f"{wrong[:3]} out of range, expected 0 to {self.classes - 1} or {IGNORED_LABEL}"
            )

    def table(self) -> npt.NDArray[np.uint8]:
        """Return 256 uint8: what each id becomes; unknown ids are ignored."""
        table = np.full(256, IGNORED_LABEL, np.uint8)
        table[: len(self.ids)] = self.ids
        return table


def label_map(name: str, source_classes: int, ignore: int | None = None) -> LabelMap:
    """Return a map by name.

    Args:
        name: ``same`` keeps ids, ``nyu40_to_nyu13`` translates.
        source_classes: Classes of the segmenter; 0 where unknown.
        ignore: Id of the segmenter that carries no label.

    Raises:
        ValueError: An unknown name, or a segmenter with another number of classes.
    """
    if name == "same":
        count = source_classes or IGNORED_LABEL
        ids, classes = list(range(count)), count
    elif name == "nyu40_to_nyu13":
        ids = [NYU13.id_of(target) for target in NYU40_TO_NYU13.values()]
        classes = len(NYU13)
        if source_classes not in (0, len(ids)):
            raise ValueError(
                f"label map '{name}': got a segmenter of {source_classes} classes, expected "
                f"{len(ids)}; choose 'same', or list the ids in a segmenter file"
            )
    else:
        raise ValueError(f"label map: got '{name}', expected 'same' or 'nyu40_to_nyu13'")
    if ignore is not None and 0 <= ignore < len(ids):
        ids[ignore] = IGNORED_LABEL
    return LabelMap(name, tuple(ids), classes)
