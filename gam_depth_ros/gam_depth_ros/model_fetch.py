"""Fetches a listed model into the cache, held to its size and SHA-256. The command line's alone."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from gam_depth_ros import __version__
from gam_depth_ros.core.model_file import MAX_MODEL_BYTES
from gam_depth_ros.model_list import ModelEntry, ModelListError, url_allowed

SILENCE_S = 30.0
"""Longest time without a byte."""
WHOLE_S = 2 * 3600.0
"""Longest time for all of it: one byte now and then would keep the line open for ever."""
_CHUNK_BYTES = 2**18

OnBytes = Callable[[int, "int | None"], None]


def fetch_model(
    entry: ModelEntry,
    on_bytes: OnBytes = lambda done, total: None,
    *,
    silence_s: float = SILENCE_S,
    whole_s: float = WHOLE_S,
) -> Path:
    """Fetch a model into the cache, in the place of what may lie there.

    Nothing appears under the final name before its hash is right; what fails leaves nothing.

    Args:
        entry: What to fetch.
        on_bytes: Is told of the bytes so far and of all, None where nobody knows.
        silence_s: Longest time without a byte.
        whole_s: Longest time for all of it.

    Returns:
        Where it lies.

    Raises:
        ModelListError: no url, no answer, too late, too large, truncated, another file, no room.
    """
    if not entry.url:
        raise ModelListError(
            f"model '{entry.name}': got no url in {entry.listed_in}, expected one to fetch it "
            "from; add it, or put the file there"
        )
    target = entry.cached
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=target.parent, prefix=f"{entry.name}.", suffix=".part", delete=False
        ) as part:
            place = Path(part.name)
            try:
                with _opened(entry, silence_s) as (stream, announced):
                    _copy(entry, stream, announced, part, on_bytes, time.monotonic() + whole_s)
                part.flush()
                os.fsync(part.fileno())
                place.replace(target)
            finally:
                with suppress(FileNotFoundError):  # it has its final name
                    place.unlink()
    except (OSError, http.client.HTTPException) as error:
        said = _reason(error)
        raise _failed(entry, said, "the model", "look at the url and the cache") from error
    return target


def _copy(
    entry: ModelEntry,
    stream: Any,
    announced: int | None,
    part: IO[bytes],
    on_bytes: OnBytes,
    end_s: float,
) -> None:
    """Copy and check: not a byte more than was declared, not one less, and the right ones."""
    limit = entry.size_bytes or MAX_MODEL_BYTES
    too_large = f"{limit} bytes{' as listed' if entry.size_bytes else ' at most'}"
    if announced is not None and announced > limit:
        raise _failed(entry, f"{announced} bytes announced", too_large)
    expected, done, digest = entry.size_bytes or announced, 0, hashlib.sha256()
    while chunk := stream.read1(_CHUNK_BYTES):
        done += len(chunk)
        if done > limit:
            raise _failed(entry, f"more than {limit} bytes", too_large)
        if time.monotonic() > end_s:
            raise _failed(entry, f"{done} bytes when the time was over", "it sooner", "try again")
        digest.update(chunk)
        part.write(chunk)
        on_bytes(done, expected)
    if expected is not None and done < expected:
        raise _failed(entry, f"{done} of {expected} bytes", "all of them", "try again")
    if digest.hexdigest() != entry.sha256:
        raise _failed(entry, f"the sha256 {digest.hexdigest()}", entry.sha256)


@contextmanager
def _opened(entry: ModelEntry, silence_s: float) -> Iterator[tuple[Any, int | None]]:
    """Open the url; yields a stream and how many bytes it announces."""
    parts = urlsplit(entry.url)
    if parts.scheme == "file":
        path = Path(urllib.request.url2pathname(parts.path))
        if not path.is_file():  # a device or a pipe may never end
            raise _failed(entry, f"no file {path}", "one")
        with path.open("rb") as file:
            yield file, path.stat().st_size
        return
    handlers: list[urllib.request.BaseHandler] = [_SameTrust()]
    if parts.scheme == "http":  # this machine: no proxy knows it
        handlers.append(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(
        entry.url,
        headers={"User-Agent": f"gam_depth_ros/{__version__}", "Accept-Encoding": "identity"},
    )
    with urllib.request.build_opener(*handlers).open(request, timeout=silence_s) as response:
        length = response.headers.get("Content-Length", "")
        yield response, int(length) if length.isascii() and length.isdigit() else None


class _SameTrust(urllib.request.HTTPRedirectHandler):
    """Follows redirections to https, and from this machine to this machine; nowhere else."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Return the request that follows; raises HTTPError."""
        scheme = urlsplit(newurl).scheme
        if not url_allowed(newurl) or scheme not in ("https", req.type):
            raise urllib.error.HTTPError(
                req.full_url, code, f"a redirection to {newurl[:80]!r}", headers, fp
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"'HTTP {error.code} {error.reason}'"
    inner = getattr(error, "reason", error)
    said = getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
    return f"'{' '.join(said.split())[:200]}'"


def _failed(
    entry: ModelEntry, got: str, expected: str, remedy: str = "look at the url and the list"
) -> ModelListError:
    parts = urlsplit(entry.url)  # without its query: that may be a key
    source = f"{parts.scheme}://{parts.netloc}{parts.path}"
    return ModelListError(
        f"model '{entry.name}' from {source}: got {got}, expected {expected}; {remedy}"
    )
