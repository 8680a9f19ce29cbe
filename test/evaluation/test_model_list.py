"""models.yaml: what a list may say, and what its names lead to."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from model_lists import sha256, write_list

from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.model_list import ModelListError, NotFetchedError, list_paths, read_list
from gam_depth_ros.model_names import find_model

DATA = b"weights"
SHA = sha256(DATA)
URL = "https://example.org/m.onnx"
FETCHED = {"name": "m", "url": URL, "sha256": SHA}


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Make the entries the user's own, with an empty cache; returns the list."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("GAM_DEPTH_MODEL", raising=False)

    def write(*entries: object) -> Path:
        path = write_list(tmp_path / "mine" / "models.yaml", *entries)
        monkeypatch.setenv("GAM_DEPTH_MODELS", str(path))
        return path

    return write


def cached(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "cache/gam_depth_ros/models" / f"{SHA}.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return path


def test_an_entry_is_read_and_keys_for_people_are_left_alone(tmp_path):
    path = write_list(
        tmp_path / "models.yaml",
        {"name": "a", "file": "sub/a.onnx", "abs_rel": 0.2, "trained_on": ["x"]},
        {**FETCHED, "bytes": 7, "licence": "MIT", "card": "m.md"},
    )
    first, second = read_list(path)
    assert (first.name, first.file, first.sha256) == ("a", tmp_path / "sub/a.onnx", "")
    assert (second.file, second.url, second.sha256) == (None, URL, SHA)
    assert (second.size_bytes, second.licence, second.card) == (7, "MIT", "m.md")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("text", "got str as entry 1"),
        ({"file": "a.onnx"}, "name ''"),
        ({"name": 1.5, "file": "a.onnx"}, "name that is no short text"),
        ({"name": "../a", "file": "a.onnx"}, "name '../a'"),
        ({"name": "a.onnx", "file": "a.onnx"}, "without the ending of a file"),
        ({"name": "a\nb", "file": "a.onnx"}, "one line of text"),
        ({"name": "m"}, "neither file nor url"),
        ({"name": "m", "file": "../a.onnx"}, "a path below the list's folder"),
        ({"name": "m", "file": "a/../../b.onnx"}, "a path below the list's folder"),
        ({"name": "m", "file": "/etc/passwd"}, "a path below the list's folder"),
        ({"name": "m", "url": URL}, "gam-depth models hash"),
        ({"name": "m", "file": "a.onnx", "sha256": SHA[:-1]}, "64 hexadecimal digits"),
        ({**FETCHED, "sha256": SHA.upper()}, "64 hexadecimal digits"),
        ({**FETCHED, "bytes": "7"}, "whole number"),
        ({**FETCHED, "bytes": 0}, "whole number"),
        ({**FETCHED, "bytes": 2**31}, "whole number"),
        *(
            ({**FETCHED, "url": url}, "expected https://HOST/..., or file:///...")
            for url in (
                "http://example.org/m.onnx",
                "http://127.0.0.1.example.org/m.onnx",
                "ftp://example.org/m.onnx",
                "data:,weights",
                "https:///m.onnx",
                "https://user:secret@example.org/m.onnx",
                "https://example.org:port/m.onnx",
                "https://example.org/m.onnx HTTP/1.1",
                "file://elsewhere/m.onnx",
                "file:m.onnx",
                "m.onnx",
            )
        ),
    ],
)
def test_what_an_entry_must_not_say_costs_one_line(tmp_path, entry, said):
    path = write_list(tmp_path / "models.yaml", entry)
    with pytest.raises(ModelListError) as refused:
        read_list(path)
    text = str(refused.value)
    assert said in text
    assert text.startswith(f"{path}: got ")
    assert "; correct the list" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no list `models`"),
        ("models: {a: b}", "no list `models`"),
        ("models: [{name: a, file: a.onnx}, {name: a, file: b.onnx}]", "the name 'a' twice"),
        ("models: [" + "{}," * 1001 + "]", "1001 entries"),
        ("models: !!python/object/apply:os.system [id]", "expected a YAML file of plain values"),
        ("models: [{name: 2026-13-45}]", "expected a YAML file of plain values"),
        ("models: [!!bool maybe]", "expected a YAML file of plain values"),
        ("models: [!!int '']", "expected a YAML file of plain values"),
        ("models: [!!timestamp x]", "expected a YAML file of plain values"),
        ("# " + "x" * 2**20, "expected at most 1048576 of YAML"),
    ],
)
def test_what_is_no_list_costs_one_line(tmp_path, content, said):
    path = tmp_path / "models.yaml"
    path.write_text(content)
    with pytest.raises(ModelListError) as refused:
        read_list(path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_list_that_is_missing_or_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "missing"):
        with pytest.raises(ModelListError, match="expected a YAML file"):
            read_list(tmp_path / name)


def test_the_shipped_list_comes_first_and_each_list_once(named):
    path = named({"name": "a", "file": "a.onnx"})
    os.environ["GAM_DEPTH_MODELS"] += f":{path}:"
    shipped = default_model_path().parent / "models.yaml"
    assert list_paths() == [shipped, path]


def test_a_shipped_name_leads_to_the_shipped_file(named):
    named()
    path = default_model_path()
    assert find_model(path.stem) == path


def test_a_name_that_two_lists_have_is_refused(named):
    named({"name": default_model_path().stem, "file": "a.onnx"})
    with pytest.raises(ModelListError, match="expected each name once; rename one"):
        find_model("anything")


def test_a_path_is_taken_as_it_is_and_reads_no_list(named, tmp_path):
    named("broken")
    for path in ("new.onnx", "folder/new", "./new.onnx", tmp_path / "NEW.ONNX"):
        assert find_model(path) == Path(path)
    assert find_model("") is None
    assert find_model(None) is None
    assert find_model(Path()) is None
    with pytest.raises(ModelListError, match="entry 1"):
        find_model("new")


def test_an_unlisted_name_is_a_file_or_one_line(named, tmp_path, monkeypatch):
    named({"name": "m", "file": "m.onnx"})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelListError, match=r"got 'new', expected the path .* one of .*, m; list"):
        find_model("new")
    (tmp_path / "new").write_bytes(DATA)
    assert find_model("new") == Path("new")


def test_a_listed_file_is_held_to_its_hash(named):
    path = named({"name": "m", "file": "m.onnx", "sha256": SHA}).parent / "m.onnx"
    with pytest.raises(ModelListError, match=f"got no file {path}"):
        find_model("m")
    path.write_bytes(DATA)
    assert find_model("m") == path
    path.write_bytes(DATA + b"!")
    with pytest.raises(ModelListError, match=f"got the sha256 {sha256(DATA + b'!')} .*{SHA}"):
        find_model("m")


def test_a_link_beside_the_list_is_followed(named, tmp_path):
    folder = named({"name": "m", "file": "m.onnx", "sha256": SHA}).parent
    (tmp_path / "elsewhere.onnx").write_bytes(DATA)
    (folder / "m.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    assert find_model("m") == folder / "m.onnx"


def test_a_model_with_a_url_comes_from_the_cache_and_never_from_the_network(
    named, tmp_path, monkeypatch
):
    named(FETCHED)
    monkeypatch.setattr(socket, "socket", None)
    monkeypatch.setattr(socket, "getaddrinfo", None)
    with pytest.raises(NotFetchedError, match="fetch it: `gam-depth models fetch m`"):
        find_model("m")
    path = cached(tmp_path, DATA)
    assert find_model("m") == path
    path.write_bytes(DATA[:-1])
    with pytest.raises(ModelListError, match="fetch it anew: `gam-depth models fetch m`"):
        find_model("m")


def test_a_file_beside_the_list_goes_before_the_url(named, tmp_path):
    folder = named({**FETCHED, "file": "m.onnx"}).parent
    path = cached(tmp_path, DATA)
    assert find_model("m") == path
    (folder / "m.onnx").write_bytes(DATA)
    assert find_model("m") == folder / "m.onnx"


def test_the_default_may_be_a_name(named, monkeypatch):
    folder = named({"name": "m", "file": "m.onnx"}).parent
    (folder / "m.onnx").write_bytes(DATA)
    monkeypatch.setenv("GAM_DEPTH_MODEL", "m")
    assert find_model(None) == folder / "m.onnx"
    monkeypatch.setenv("GAM_DEPTH_MODEL", "folder/m.onnx")
    assert find_model("") is None


def test_without_a_home_the_cache_costs_one_line(named, monkeypatch):
    named(FETCHED)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")

    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    with pytest.raises(ModelListError, match="set XDG_CACHE_HOME"):
        find_model("m")
