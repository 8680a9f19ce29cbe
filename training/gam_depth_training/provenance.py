"""Where a model comes from, and under which terms it may go on: what its file says of both."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gam_depth_training.clip import Clip
from gam_depth_training.file_digest import file_digest
from gam_depth_training.onnx_weights import read_onnx_spec
from gam_depth_training.recipe import Recipe
from gam_depth_training.start_weights import MODEL_FILE

# Of models that saw nothing but this project's own synthetic rooms.
PROJECT_LICENCE = "Apache-2.0"
# What a run was trained on, beside its weights.
DATA = "data.json"
_NAMES_SHOWN = 12


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from, as its file says.

    Attributes:
        name: Of the model.
        config: Digest of the config or recipe.
        data: What it was trained on, in words.
        commit: Of the code.
        day: ISO date.
        licence: SPDX identifier, or a line on terms.
        start: The model or weights that the training went on from, in words; empty without.
    """

    name: str
    config: str
    data: str
    commit: str
    day: str
    licence: str = PROJECT_LICENCE
    start: str = ""

    def training(self) -> dict[str, str]:
        """Return the entries of ModelSpec.training."""
        stated = {
            "config": self.config,
            "data": self.data,
            "commit": self.commit,
            "date": self.day,
        }
        return {**stated, "start": self.start} if self.start else stated


@dataclass(frozen=True)
class TrainedOn:
    """What a recipe was trained on.

    Attributes:
        recordings: Their folders' names, in alphabetical order; of a public data set its scenes'.
        synthetic_frames: Synthetic frames that were there to be replayed.
    """

    recordings: tuple[str, ...]
    synthetic_frames: int = 0

    @staticmethod
    def of(clips: Iterable[Clip], synthetic_frames: int) -> TrainedOn:
        """Name the recordings that clips come from."""
        names = {clip.key.rpartition("/")[0] or clip.key for clip in clips}
        return TrainedOn(tuple(sorted(names)), synthetic_frames)

    def to_json(self) -> str:
        """Return what :meth:`read` reads."""
        return json.dumps(
            {"recordings": self.recordings, "synthetic_frames": self.synthetic_frames}, indent=1
        )

    @staticmethod
    def read(path: Path) -> TrainedOn | None:
        """Read a run's record; None where there is none, as in runs of older releases.

        Raises:
            ValueError: the file holds something else.
        """
        if not path.exists():
            return None
        try:
            stored = json.loads(path.read_text())
            names = tuple(str(name) for name in stored["recordings"])
            return TrainedOn(names, int(stored["synthetic_frames"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path}: got {error.__class__.__name__} while reading it, expected what "
                "`gam-depth-train fit` wrote; remove it, and the model will say 'unnamed'"
            ) from error

    def names(self) -> str:
        """Return the recordings' names, the first ones of many."""
        shown, more = self.recordings[:_NAMES_SHOWN], len(self.recordings) - _NAMES_SHOWN
        return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def recipe_provenance(
    recipe: Recipe, weights: Path, commit: str, day: str, licence: str | None
) -> Provenance:
    """Say where a model that a recipe trained comes from.

    Whose the recordings are this program cannot know. So unless the user states a licence the file
    says that none was stated, and names what it depends on.

    Args:
        recipe: What trained it.
        weights: Its weights; what they were trained on is written beside them.
        commit: Of the code.
        day: ISO date.
        licence: As the user states it, or None.

    Raises:
        ValueError: the record beside the weights, or the model file started from, is broken.
    """
    trained_on = TrainedOn.read(weights.parent / DATA)
    names = "unnamed" if trained_on is None else trained_on.names()
    data = f"recordings without labels: {names}"
    if trained_on is not None and recipe.replay_share:
        data += f"; {trained_on.synthetic_frames} synthetic frames replayed"
    start = "" if recipe.start is None else describe_weights(Path(recipe.start))
    if recipe.imagenet is not None:
        imagenet = f"ImageNet weights {describe_weights(Path(recipe.imagenet))}"
        start = f"{imagenet}, {start}" if start else imagenet
    if recipe.teacher is not None:
        data += f"; taught by {describe_weights(Path(recipe.teacher))}"
    if licence is None:
        licence = "unspecified: depends on " + "; ".join(filter(None, (start, data)))
    return Provenance(recipe.name, recipe.digest(), data, commit, day, licence, start)


def describe_weights(path: Path) -> str:
    """Name weights by what they are, not by where they lie on this machine.

    Raises:
        ValueError: a model file that cannot be read.
    """
    digest = file_digest(path)[:12] if path.exists() else "no longer there"
    if path.suffix != MODEL_FILE:
        return f"{path.name} ({digest})"
    spec = read_onnx_spec(path)
    return f"{spec.name} ({digest}, {spec.licence})"
