"""From what a user calls a model, a path or a listed name, to its file. No network here."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from gam_depth_ros.core.model_file import MODEL_ENVIRONMENT_VARIABLE
from gam_depth_ros.model_list import (
    LISTS_ENVIRONMENT_VARIABLE,
    MODEL_SUFFIX,
    ModelEntry,
    ModelListError,
    NotFetchedError,
    list_paths,
    read_lists,
)

_CHUNK_BYTES = 2**20


def find_model(model: str | Path | None) -> Path | None:
    """Return the file of a model that is named as a path or as in a list.

    A path ends in ``.onnx`` or names a folder, and is returned as it is, there or not. Anything
    else is looked up in the lists; what they do not have may still be a file without the ending.
    The lists are read for a name only: a broken one costs nobody else anything.

    Args:
        model: Path or name; None or empty for the default, which ``GAM_DEPTH_MODEL`` may name.

    Returns:
        The file; None for the shipped default, or for the path that ``GAM_DEPTH_MODEL`` names.

    Raises:
        ModelListError: an unknown name, a broken list, a file that is missing or another one.
        NotFetchedError: one that has to be fetched first.
    """
    if not model or str(model) == ".":  # Path("")
        named = os.environ.get(MODEL_ENVIRONMENT_VARIABLE, "")
        return find_model(named) if is_name(named) else None
    if not is_name(model):
        return Path(model)
    entries = read_lists(list_paths())
    if (entry := entries.get(str(model))) is not None:
        return local_file(entry)
    if Path(model).is_file():
        return Path(model)
    raise ModelListError(
        f"model: got '{str(model)[:80]}', expected the path of an {MODEL_SUFFIX} file, or one of "
        f"{', '.join(entries) or 'no names'}; list your own models in {LISTS_ENVIRONMENT_VARIABLE}"
    )


def listed_name(model: str | Path | None, found: Path | None) -> str:
    """Return the listed name that led to a model; empty where a path or the default did.

    What was fetched lies under its SHA-256, which tells a reader nothing.

    Args:
        model: As :func:`find_model` takes it.
        found: What that returned.
    """
    by_default = not model or str(model) == "."
    asked = os.environ.get(MODEL_ENVIRONMENT_VARIABLE, "") if by_default else str(model)
    return asked if found is not None and is_name(asked) and found != Path(asked) else ""


def is_name(model: str | Path) -> bool:
    """Return whether it is written as a name: no folder, and not the ending of a file."""
    text = str(model)
    return bool(text) and os.sep not in text and not text.lower().endswith(MODEL_SUFFIX)


def local_file(entry: ModelEntry) -> Path:
    """Return a listed model's file, its bytes held to the list.

    Raises:
        ModelListError: it is missing and cannot be fetched, unreadable, or another one.
        NotFetchedError: it can be fetched.
    """
    if entry.file is not None and (entry.file.exists() or not entry.url):
        remedy = f"put the listed file there, or correct {entry.listed_in}"
        return _held_to_the_list(entry, entry.file, remedy)
    if not entry.cached.exists():
        raise NotFetchedError(entry)
    return _held_to_the_list(
        entry, entry.cached, f"fetch it anew: `gam-depth models fetch {entry.name}`"
    )


def _held_to_the_list(entry: ModelEntry, path: Path, remedy: str) -> Path:
    if not path.is_file():
        raise ModelListError(
            f"model '{entry.name}': got no file {path}, expected the model; {remedy}"
        )
    try:
        got = sha256_of(path) if entry.sha256 else ""
    except OSError as error:
        raise ModelListError(
            f"model '{entry.name}': got '{error.strerror}' for {path}, expected a readable file; "
            f"{remedy}"
        ) from error
    if got != entry.sha256:
        raise ModelListError(
            f"model '{entry.name}': got the sha256 {got} for {path}, expected {entry.sha256}; "
            f"{remedy}"
        )
    return path


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256, hexadecimal; raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
