"""Fetching by hash: what arrives whole and right is kept, anything else leaves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from model_lists import Server, serving, sha256

from gam_depth_ros import model_fetch
from gam_depth_ros.model_fetch import fetch_model
from gam_depth_ros.model_list import ModelEntry, ModelListError


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with serving() as told:
        yield told


def entry_of(server: Server, **changes: object) -> ModelEntry:
    entry = ModelEntry("m", Path("models.yaml"), url=server.url, sha256=sha256(server.body))
    return replace(entry, **changes)


def left_in_the_cache(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "cache/gam_depth_ros/models").iterdir()]


def test_it_lies_under_its_hash_and_the_bytes_are_counted(server, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody there: it is not asked
    monkeypatch.setattr(model_fetch, "_CHUNK_BYTES", 1000)
    counts: list[tuple[int, int | None]] = []
    path = fetch_model(entry_of(server), lambda done, total: counts.append((done, total)))
    assert path == tmp_path / f"cache/gam_depth_ros/models/{sha256(server.body)}.onnx"
    assert path.read_bytes() == server.body
    assert counts[-1] == (8000, 8000)
    assert len(counts) >= 8
    assert left_in_the_cache(tmp_path) == [path.name]


def test_a_file_url_is_copied(server, tmp_path):
    source = tmp_path / "with space.onnx"
    source.write_bytes(server.body)
    path = fetch_model(entry_of(server, url=source.as_uri()))
    assert path.read_bytes() == server.body
    assert server.asked == 0


def test_nothing_announced_is_no_hindrance(server):
    server.announces = False
    assert fetch_model(entry_of(server)).read_bytes() == server.body


def test_what_lay_there_wrong_is_replaced(server):
    entry = entry_of(server)
    entry.cached.parent.mkdir(parents=True)
    entry.cached.write_bytes(b"wrong")
    assert fetch_model(entry).read_bytes() == server.body


@pytest.mark.parametrize(
    ("lie", "changes", "said"),
    [
        ({"body": b"other"}, {"sha256": "0" * 64}, f"got the sha256 {sha256(b'other')}"),
        ({"sent": b"weights "}, {}, "got 8 of 8000 bytes, expected all of them"),
        ({"sent": b"weights ", "announces": False}, {"size_bytes": 8000}, "got 8 of 8000 bytes"),
        ({"sent": b"weights ", "announces": False}, {}, "got the sha256"),
        ({}, {"size_bytes": 7999}, "got 8000 bytes announced, expected 7999 bytes as listed"),
        ({"announces": False}, {"size_bytes": 7999}, "got more than 7999 bytes"),
        ({}, {"size_bytes": 8001}, "got 8000 of 8001 bytes"),
        ({"status": 404}, {}, "got 'HTTP 404 Not Found'"),
        ({"status": 302, "location": "ftp://127.0.0.1/m"}, {}, "a redirection to 'ftp:"),
        ({"status": 302, "location": "file:///etc/hostname"}, {}, "Redirection to"),
        ({"status": 302, "location": "http://example.org/m"}, {}, "a redirection to 'http:"),
        ({}, {"url": "http://127.0.0.1:9/m?key=secret"}, "http://127.0.0.1:9/m: got 'Connection"),
        ({}, {"url": "file:///nowhere/m.onnx"}, "got no file /nowhere/m.onnx"),
        ({}, {"url": "file:///dev/zero"}, "got no file /dev/zero"),
        ({}, {"url": ""}, "got no url in models.yaml"),
    ],
)
def test_whatever_goes_wrong_costs_one_line_and_leaves_nothing(
    server, tmp_path, lie, changes, said
):
    entry = entry_of(server)
    for name, value in lie.items():
        setattr(server, name, value)
    with pytest.raises(ModelListError) as refused:
        fetch_model(replace(entry, **changes))
    text = str(refused.value)
    assert said in text
    assert "\n" not in text
    assert "secret" not in text
    if changes.get("url") != "":
        assert left_in_the_cache(tmp_path) == []


def test_a_redirection_on_this_machine_is_followed(server):
    entry = entry_of(server)
    server.status, server.location = 302, server.url
    assert fetch_model(entry).read_bytes() == server.body
    assert server.asked == 2


def test_a_silent_or_slow_server_is_given_up(server, tmp_path):
    entry = entry_of(server)
    with pytest.raises(ModelListError, match="when the time was over"):
        fetch_model(entry, whole_s=-1.0)
    server.waits.clear()
    with pytest.raises(ModelListError, match="timed out"):
        fetch_model(entry, silence_s=0.05)
    assert left_in_the_cache(tmp_path) == []


def test_more_than_any_model_has_is_refused_before_it_is_read(server, monkeypatch):
    monkeypatch.setattr(model_fetch, "MAX_MODEL_BYTES", 7999)
    with pytest.raises(ModelListError, match=r"got 8000 bytes announced, expected 7999 .* at most"):
        fetch_model(entry_of(server))


def test_an_interruption_leaves_nothing_and_keeps_what_was_there(server, tmp_path):
    entry = entry_of(server)
    fetch_model(entry)

    def interrupted(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_model(entry, interrupted)
    assert left_in_the_cache(tmp_path) == [entry.cached.name]


def test_a_cache_that_cannot_be_made_costs_one_line(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ModelListError, match=r"got 'Not a directory'.*the cache"):
        fetch_model(entry_of(server))
