"""Models by name on the command line: listed, fetched when they are needed, described."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from model_lists import Server, serving, sha256, write_list
from typer.testing import CliRunner

from gam_depth_ros.cli import app
from gam_depth_ros.core.model_file import default_model_path

runner = CliRunner()


def run(*arguments: object) -> tuple[int, str]:
    result = runner.invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


@pytest.fixture(autouse=True)
def nothing_but_the_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GAM_DEPTH_MODELS", "")  # also what --models leaves is undone
    monkeypatch.delenv("GAM_DEPTH_MODEL", raising=False)


@pytest.fixture
def server(model: Path) -> Iterator[Server]:
    with serving() as told:
        told.body = model.read_bytes()
        yield told


@pytest.fixture
def listed(server: Server, tmp_path: Path) -> Path:
    """A list with a model that has to be fetched."""
    entry = {"name": "mine", "url": server.url, "sha256": sha256(server.body), "licence": "MIT"}
    return write_list(tmp_path / "mine.yaml", {**entry, "bytes": len(server.body)})


def row(text: str, name: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.startswith(f"{name} "))


def test_the_list_tells_what_is_here_and_what_is_not(listed, model):
    code, text = run("--models", listed, "models")
    shipped = default_model_path()
    assert code == 0
    assert row(text, shipped.stem)[-1] == "here"
    assert f"{shipped.stem}, the default: {shipped}\n" in text
    megabytes = f"{model.stat().st_size / 1e6:.1f}"
    assert row(text, "mine") == ["mine", megabytes, "–", "–", "MIT", "not", "fetched"]
    run("--models", listed, "models", "fetch", "mine")
    _, text = run("models")
    assert row(text, "mine") == ["mine", megabytes, "48×64", "float32", "MIT", "cached"]
    assert text.count(str(listed)) == 1


def test_a_file_that_is_not_what_the_list_says_is_refused_in_its_row(model, tmp_path):
    (tmp_path / "other.onnx").write_bytes(b"other")
    path = write_list(
        tmp_path / "mine.yaml", {"name": "mine", "file": "other.onnx", "sha256": "0" * 64}
    )
    code, text = run("--models", path, "models")
    assert code == 0
    assert row(text, "mine")[-1] == "refused"
    assert f"got the sha256 {sha256(b'other')}" in text


def test_the_default_that_the_environment_names_is_marked_or_told(listed, monkeypatch, model):
    monkeypatch.setenv("GAM_DEPTH_MODEL", str(model))
    _, text = run("models")
    assert ", the default: " not in text
    assert f"the default is {model}\n" in text
    run("--models", listed, "models", "fetch", "mine")
    monkeypatch.setenv("GAM_DEPTH_MODEL", "mine")
    assert "mine, the default: " in run("models")[1]


def test_fetch_says_where_it_lies_and_fetches_once(listed, server, tmp_path):
    expected = tmp_path / f"cache/gam_depth_ros/models/{sha256(server.body)}.onnx"
    for _ in range(2):
        assert run("--models", listed, "models", "fetch", "mine") == (0, f"{expected}\n")
    assert server.asked == 1
    expected.write_bytes(b"rotten")
    assert run("models", "fetch", "mine")[0] == 0
    assert (expected.read_bytes(), server.asked) == (server.body, 2)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["models", "fetch", "nobody"], "got 'nobody', expected one of"),
        (["--models", "{tmp}/no.yaml", "models"], "no.yaml: got"),
        (["models", "hash", "{tmp}/no.onnx"], "model file"),
        (["models", "hash", "{model}", "--url", "http://example.org/m"], "--url: got"),
        (["replay", "{tmp}", "--out", "{tmp}/b", "--model", "nobody"], "got"),
        (["compare", "nobody", "{tmp}"], "got 'nobody', expected the path of an .onnx file"),
    ],
)
def test_mistakes_cost_one_line_and_status_2(arguments, expected, model, tmp_path):
    code, text = run(*(one.format(tmp=tmp_path, model=model) for one in arguments))
    assert code == 2
    assert expected in " ".join(text.split())
    assert len(text.strip().splitlines()) == 1


def test_a_wrong_file_is_refused_and_nothing_is_kept(listed, server, tmp_path):
    server.body = b"x" * len(server.body)
    code, text = run("--models", listed, "models", "fetch", "mine")
    assert code == 2
    assert "got the sha256" in text
    assert list((tmp_path / "cache/gam_depth_ros/models").iterdir()) == []


def test_the_printed_entry_is_one_that_leads_to_the_file(model, tmp_path):
    code, text = run("models", "hash", model)
    assert code == 0
    (entry,) = yaml.safe_load(text)
    assert entry == {
        "name": "tiny",
        "file": model.name,
        "sha256": sha256(model.read_bytes()),
        "bytes": model.stat().st_size,
        "licence": "Apache-2.0",
    }
    (tmp_path / model.name).write_bytes(model.read_bytes())
    path = tmp_path / "models.yaml"
    path.write_text(f"models:\n{text}")
    assert row(run("--models", path, "models")[1], "tiny")[-1] == "here"
    (entry,) = yaml.safe_load(run("models", "hash", model, "--url", model.as_uri())[1])
    assert (entry["url"], "file" in entry) == (model.as_uri(), False)


def test_replay_takes_a_name_and_fetches_it_where_it_must(listed, server, sequence, tmp_path):
    for bag in ("a", "b"):
        code, text = run(
            "--models", listed, "replay", sequence, "--model", "mine", "--out", tmp_path / bag
        )
        assert code == 0, text
        assert "of 6 frames" in text
    assert server.asked == 1


def test_compare_takes_names_for_models(listed, model):
    _, text = run("--models", listed, "compare", "mine", model)
    assert "got two models and no recording" in " ".join(text.split())


def test_the_option_is_added_to_what_the_environment_lists(listed, tmp_path):
    other = write_list(tmp_path / "other.yaml", {"name": "other", "file": "other.onnx"})
    os.environ["GAM_DEPTH_MODELS"] = str(other)
    text = run("--models", listed, "models")[1]
    assert row(text, "other")[-1] == "refused"
    assert row(text, "mine")[-1] == "fetched"


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of single evaluations cost a second each, and are another test's claim."""
    for module in ("jobs", "report"):
        monkeypatch.setattr(f"gam_depth_ros.evaluation.{module}.render", lambda result: "page")


@pytest.mark.usefixtures("no_drawing")
def test_a_fetched_model_goes_by_its_listed_name_in_tables_and_reports(
    listed, server, sequence, model, tmp_path
):
    digits = sha256(server.body)
    out, arguments = tmp_path / "out", (sequence, "--model", "mine", "--max-frames", 3)
    code, text = run("--models", listed, "evaluate", *arguments, "--model", model, "--out", out)
    assert code == 0, text
    assert digits not in text
    assert digits not in (out / "summary.html").read_text()
    assert called(out / "mine" / sequence.name) == "mine"
    code, text = run("evaluate", *arguments, "--out", tmp_path / "one")
    assert code == 0, text
    assert called(tmp_path / "one") == "mine"


@pytest.mark.usefixtures("no_drawing")
def test_a_comparison_calls_a_fetched_model_by_its_listed_name(listed, sequence, model, tmp_path):
    code, text = run(
        "--models", listed, "compare", "mine", model, sequence, "--out", tmp_path, "--max-frames", 5
    )
    assert code == 0, text
    assert called(tmp_path / "a" / sequence.name) == "mine"
    page = (tmp_path / "compare.html").read_text()
    assert "A <b>mine</b>" in page
    assert "B <b>tiny</b>" in page


def called(folder: Path) -> str:
    return json.loads((folder / "report.json").read_text())["model"]["name"]
