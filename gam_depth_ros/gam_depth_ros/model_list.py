"""Models by name: what ``models.yaml`` lists, ours and the users' own. No network here.

models:
  - name: my-room
    file: my-room.onnx         # beside this list or below it, and/or
    url: https://host/my-room.onnx
    sha256: 54774a6d...        # needed with a url
    bytes: 17588974            # where it is known
    licence: Apache-2.0
    card: my-room.md

Other keys are information for people, and are left alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from gam_depth_ros.core.model_file import MAX_MODEL_BYTES, model_folders
from gam_depth_ros.plain_file import PlainFileError, read_yaml

LISTS_ENVIRONMENT_VARIABLE = "GAM_DEPTH_MODELS"
LIST_NAME = "models.yaml"
MODEL_SUFFIX = ".onnx"
MAX_ENTRIES = 1000
_MAX_TEXT = 2000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ModelListError(ValueError):
    """A list of models, or a name in it, cannot be used. One line: got, expected, remedy."""


class NotFetchedError(ModelListError):
    """A listed model has a url and lies nowhere here yet.

    Attributes:
        entry: The model.
    """

    def __init__(self, entry: ModelEntry) -> None:
        super().__init__(
            f"model '{entry.name}': got no file of it here, expected one; fetch it: "
            f"`gam-depth models fetch {entry.name}`"
        )
        self.entry = entry


@dataclass(frozen=True)
class ModelEntry:
    """One listed model.

    Attributes:
        name: Its name.
        listed_in: The list.
        file: Where it lies beside that list, absolute; None where it has a url alone.
        url: Where it can be fetched from: https, file, or http on this machine; may be empty.
        sha256: Of its bytes, 64 lower-case hexadecimal digits; empty where it is not stated.
        size_bytes: Its size; None where it is not stated.
        licence: SPDX identifier or a line on terms; may be empty.
        card: Its card, as the list names it; may be empty.
    """

    name: str
    listed_in: Path
    file: Path | None = None
    url: str = ""
    sha256: str = ""
    size_bytes: int | None = None
    licence: str = ""
    card: str = ""

    @property
    def cached(self) -> Path:
        """Where it lies once it is fetched; raises ModelListError where there is no home."""
        return cache_folder() / f"{self.sha256}{MODEL_SUFFIX}"


def cache_folder() -> Path:
    """Return where fetched models lie.

    Raises:
        ModelListError: neither ``XDG_CACHE_HOME`` nor a home directory is known.
    """
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        base = named if named.is_absolute() else Path.home() / ".cache"
    except RuntimeError as error:
        raise ModelListError(
            "models: got neither XDG_CACHE_HOME nor a home directory, expected a place for fetched "
            "models; set XDG_CACHE_HOME"
        ) from error
    return base / "gam_depth_ros" / "models"


def list_paths() -> list[Path]:
    """Return the lists that count: the shipped one, then those in ``GAM_DEPTH_MODELS``."""
    shipped = (folder / LIST_NAME for folder in model_folders())
    named = os.environ.get(LISTS_ENVIRONMENT_VARIABLE, "").split(os.pathsep)
    paths = [path for path in shipped if path.is_file()][:1]
    paths += [Path(path).absolute() for path in named if path]
    return list(dict.fromkeys(paths))


def read_lists(paths: Sequence[Path]) -> dict[str, ModelEntry]:
    """Return the models of several lists by name.

    Raises:
        ModelListError: as :func:`read_list`, or a name that two lists have.
    """
    found: dict[str, ModelEntry] = {}
    for path in paths:
        for entry in read_list(path):
            if entry.name in found:
                raise ModelListError(
                    f"{path}: got the model '{entry.name}', which {found[entry.name].listed_in} "
                    "lists too, expected each name once; rename one"
                )
            found[entry.name] = entry
    return found


def read_list(path: Path) -> list[ModelEntry]:
    """Read one list.

    Raises:
        ModelListError: unreadable, no list of models, or an entry that cannot be used.
    """
    try:
        content = read_yaml(path)
    except PlainFileError as error:
        raise ModelListError(f"{path}: {error}; correct the list") from error
    entries = content.get("models") if isinstance(content, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        got = f"{len(entries)} entries" if isinstance(entries, list) else "no list `models`"
        raise _wrong(path, got, f"`models:` with at most {MAX_ENTRIES} entries")
    found: dict[str, ModelEntry] = {}
    for number, values in enumerate(entries, start=1):
        entry = _entry(path, number, values)
        if entry.name in found:
            raise _wrong(path, f"the name '{entry.name}' twice", "each name once")
        found[entry.name] = entry
    return list(found.values())


def _entry(path: Path, number: int, values: Any) -> ModelEntry:
    if not isinstance(values, dict):
        raise _wrong(path, f"{type(values).__name__} as entry {number}", "a mapping with a name")
    where = f"entry {number}: "
    name, file, url, sha256, licence, card = (
        _text(path, where, values, key)
        for key in ("name", "file", "url", "sha256", "licence", "card")
    )
    if not _NAME.fullmatch(name) or name.lower().endswith(MODEL_SUFFIX):
        expected = "1 to 64 letters, digits, '.', '_' or '-', without the ending of a file"
        raise _wrong(path, f"{where}name '{name[:80]}'", expected)
    where = f"{name}: "
    if not file and not url:
        raise _wrong(path, f"{where}neither file nor url", "one of them")
    size_bytes = values.get("bytes")
    whole = type(size_bytes) is int and 0 < size_bytes <= MAX_MODEL_BYTES
    if size_bytes is not None and not whole:
        raise _wrong(path, f"{where}other bytes", f"a whole number from 1 to {MAX_MODEL_BYTES}")
    if (sha256 or url) and not _SHA256.fullmatch(sha256):
        expected = "the 64 hexadecimal digits that `gam-depth models hash` prints"
        raise _wrong(path, f"{where}sha256 '{sha256[:80]}'", expected)
    if url:
        _check_url(path, where, url)
    place = _beside(path, where, file) if file else None
    return ModelEntry(name, path, place, url, sha256, size_bytes, licence, card)


def _text(path: Path, where: str, values: Mapping[Any, Any], key: str) -> str:
    value = values.get(key, "")
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not value.isprintable():
        raise _wrong(path, f"{where}{key} that is no short text", "one line of text; quote it")
    return value


def _beside(path: Path, where: str, file: str) -> Path:
    """Return where a list's file lies.

    A list speaks for its own folder: whoever takes one from a stranger lets it point nowhere else.
    Links in that folder are its owner's, and followed.
    """
    named = PurePosixPath(file)
    if named.is_absolute() or ".." in named.parts:
        raise _wrong(
            path,
            f"{where}file '{file[:80]}'",
            "a path below the list's folder, or a url such as file:///folder/model.onnx",
        )
    return path.absolute().parent / named


def _check_url(path: Path, where: str, url: str) -> None:
    if not url_allowed(url):
        expected = "https://HOST/..., or file:///..., without a user name"
        raise _wrong(path, f"{where}url '{url[:80]}'", expected)


def url_allowed(url: str) -> bool:
    """Return whether a model may come from there: https, a file, or http on this machine."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # refused here if it is no number
    except ValueError:
        return False
    if "@" in parts.netloc or any(character.isspace() for character in url):
        return False
    if parts.scheme == "file":
        return parts.netloc in ("", "localhost") and parts.path.startswith("/")
    on_this_machine = parts.hostname in _LOOPBACK
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and on_this_machine)
    )


def _wrong(path: Path, got: str, expected: str) -> ModelListError:
    return ModelListError(f"{path}: got {got}, expected {expected}; correct the list")
