"""From what a user names on the command line to what a recipe trains on and is validated with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gam_depth_training.batch import ShardFrames, find_shards, load_shards, split_shards
from gam_depth_training.clip import Clip
from gam_depth_training.colour_jitter import ColourJitter
from gam_depth_training.config import TrainingConfig
from gam_depth_training.datasets import interiornet, nyuv2, scannet, seven_scenes, tum
from gam_depth_training.prepared import Prepared, grey_weights
from gam_depth_training.recipe import Recipe
from gam_depth_training.sequences import read_sequence_folders
from gam_depth_training.video_dataset import VideoDataset
from gam_depth_training.video_validation import DEFAULT_RULES, ReferenceFrames

ReadList = Callable[[Path, Path, Sequence[int]], list[Clip]]
# As many as the shipped model's training kept: a finetuned model is held to the same rooms.
OLD_VALIDATION_SHARDS = TrainingConfig.validation_shards
NYU40_CLASSES = 40

_LISTS: dict[str, ReadList] = {
    "nyuv2": nyuv2.read_training_list,
    "scannet": scannet.read_list,
    "interiornet": interiornet.read_list,
    "7scenes": seven_scenes.read_list,
    "tum": tum.read_list,
}
_RULES = {
    "scannet": scannet.RULES,
    "interiornet": interiornet.RULES,
    "7scenes": seven_scenes.RULES,
    "tum": tum.RULES,
}
KINDS = ("sequences", *_LISTS)


@dataclass(frozen=True)
class Source:
    """Where clips come from.

    Attributes:
        paths: Sequence folders or folders of such; for a public data set its one root.
        kind: One of KINDS.
        split: The user's split list; for public data sets alone.
    """

    paths: tuple[Path, ...]
    kind: str = "sequences"
    split: Path | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"got data set '{self.kind}', expected one of {', '.join(KINDS)}")
        if self.kind != "sequences" and (self.split is None or len(self.paths) != 1):
            raise ValueError(
                f"data set {self.kind}: got {len(self.paths)} folders and "
                f"{'a' if self.split else 'no'} split list, expected one folder and a list; see "
                "docs/training.md"
            )

    def digest(self) -> str:
        """Return 12 hexadecimal digits that change with the folders, the kind or the list."""
        places = [str(path.resolve()) for path in (*self.paths, *filter(None, [self.split]))]
        return hashlib.sha256("\n".join([self.kind, *places]).encode()).hexdigest()[:12]

    def clips(self, offsets: Sequence[int]) -> list[Clip]:
        """Read the clips.

        Raises:
            ValueError: a folder or a list that does not fit.
        """
        if self.kind == "sequences":
            return read_sequence_folders(self.paths, offsets)
        assert self.split is not None
        return _LISTS[self.kind](self.split, self.paths[0], offsets)

    def reference_frames(self) -> ReferenceFrames:
        """Return the frames with reference depth, under the data set's rules.

        Raises:
            ValueError: there is none.
        """
        if self.kind == "nyuv2":
            raise ValueError(
                "data set nyuv2: got raw recordings, whose depth is not registered, expected "
                "another data set for validation; give --validation-dataset, and test afterwards "
                "by `gam-depth-train validate --nyuv2 nyu_depth_v2_labeled.mat`"
            )
        return ReferenceFrames(self.clips((0,)), _RULES.get(self.kind, DEFAULT_RULES))


def training_clips(recipe: Recipe, source: Source, prepared: Path | None) -> VideoDataset:
    """Return the clips of a source as a recipe sees them.

    Args:
        recipe: Says offsets, size, flips, jitter.
        source: Where they come from.
        prepared: Folder written by `prepare`, or None.

    Raises:
        ValueError: the recipe has a term that needs what was not prepared, or not so.
    """
    known = None if prepared is None else Prepared(prepared)
    check_prepared(recipe, known)
    quirks = recipe.objective.quirks
    return VideoDataset(
        source.clips(recipe.offsets),
        recipe.size_hw,
        flip=recipe.flip,
        jitter=ColourJitter(per_frame=quirks.per_frame_jitter) if recipe.jitter else None,
        prepared=known,
        seed=recipe.seed,
        swapped_grey_weights=quirks.swapped_grey_weights,
    )


def check_rooms_apart(training: Sequence[Clip], validation: Sequence[Clip]) -> None:
    """Check that no room is trained on and validated with.

    Raises:
        ValueError: one is.
    """
    both = sorted({clip.group for clip in training} & {clip.group for clip in validation})
    if both:
        raise ValueError(
            f"got room {both[0]} in --data and in --validation, expected each room on one side; "
            "move all of its recordings to one of them (`room` in sequence.json names it)"
        )


def check_prepared(recipe: Recipe, prepared: Prepared | None) -> None:
    """Check that what a recipe's terms look at was prepared for it.

    Raises:
        ValueError: nothing was, or at another size, or in another grey, or labels of more classes.
    """
    if recipe.method == "self_teaching":
        return  # all that it looks at is pictures
    terms = recipe.objective
    needs = [
        name
        for name, needed in (
            (
                "Manhattan directions",
                bool(terms.normal or (terms.planar and terms.segment_by == "geometry")),
            ),
            ("proxy labels", bool(terms.semantic)),
            ("key points", terms.photometric == "keypoints"),
        )
        if needed
    ]
    if prepared is None:
        if needs:
            raise ValueError(
                f"recipe {recipe.name}: got nothing prepared, expected {', '.join(needs)}; run "
                f"`gam-depth-train prepare DATA --out FOLDER --size {_size(recipe.size_hw)}` and "
                "give --prepared FOLDER"
            )
        return
    index = prepared.index
    if tuple(index.size_hw) != recipe.size_hw:
        raise ValueError(
            f"{prepared.out}: got a folder prepared for {_size(index.size_hw)}, expected "
            f"{_size(recipe.size_hw)} as recipe {recipe.name}; run `prepare` at this size"
        )
    swapped = terms.quirks.swapped_grey_weights
    if terms.photometric.endswith("_mask") and index.swapped_grey_weights != swapped:
        raise ValueError(
            f"{prepared.out}: got gradient magnitudes with "
            f"{grey_weights(index.swapped_grey_weights)} grey weights, expected "
            f"{grey_weights(swapped)} ones as recipe {recipe.name}; run `prepare` with this recipe "
            "as --config and another --out"
        )
    if terms.semantic and not index.classes:
        raise ValueError(
            f"{prepared.out}: got no proxy labels, expected some for recipe {recipe.name}; run "
            "`prepare` with a --segmenter, or --set objective.semantic=0"
        )
    if terms.semantic and index.classes > recipe.network.classes:
        raise ValueError(
            f"{prepared.out}: got labels of {index.classes} classes, expected at most "
            f"{recipe.network.classes} as recipe {recipe.name}; --set network.classes="
            f"{index.classes}, or prepare other labels"
        )
    if terms.semantic and terms.quirks.ignored_wall_class and index.classes != NYU40_CLASSES:
        raise ValueError(
            f"{prepared.out}: got labels of {index.classes} classes, expected NYU-40's, of which 0 "
            "is the wall that quirk ignored_wall_class leaves out; prepare with --label-map same, "
            "or --set objective.quirks.ignored_wall_class=false"
        )


def replay_rooms(folder: Path) -> ShardFrames:
    """Load the rooms to replay; the held-out ones stay out, they judge what was forgotten.

    Raises:
        ValueError: too few shards.
    """
    return load_shards(split_shards(find_shards(folder), OLD_VALIDATION_SHARDS)[0])


def held_out_rooms(folder: Path) -> ShardFrames:
    """Load the rooms of the old validation split.

    Raises:
        ValueError: too few shards.
    """
    return load_shards(split_shards(find_shards(folder), OLD_VALIDATION_SHARDS)[1])


def _size(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[0]}x{size_hw[1]}"
