"""Many recordings, many models: one table, nothing computed twice, nothing lost when killed."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from plain_pipeline import PLAIN
from recording_maker import make_sequence
from tiny_model import write_tiny_model
from typer.testing import CliRunner

from gam_depth_ros.cli import app
from gam_depth_ros.evaluation.bag import BagError, Topics, sequence_to_bag
from gam_depth_ros.evaluation.batch import folder_of, make_jobs, read_result, run_batch
from gam_depth_ros.evaluation.comparison import load_results
from gam_depth_ros.evaluation.jobs import Job, JobResult, content_hash, job_key, run_job
from gam_depth_ros.evaluation.runners import run_here, run_in_processes, run_on_dask
from gam_depth_ros.evaluation.summary import best_of, render_summary, shown_columns, summarise_batch


@pytest.fixture(autouse=True)
def _no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages cost a second each, and are another test's claim."""
    monkeypatch.setattr("gam_depth_ros.evaluation.jobs.render", lambda result: "<html></html>")


@pytest.fixture
def recordings(tmp_path: Path) -> list[Path]:
    return [make_sequence(tmp_path / "hall", frames=3), make_sequence(tmp_path / "desk", frames=4)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [
        write_tiny_model(folder / "old.onnx"),
        write_tiny_model(folder / "new.onnx", depth_offset=3.0),
    ]


@pytest.fixture
def jobs(recordings: list[Path], models: list[Path]) -> list[Job]:
    return make_jobs(recordings, models, PLAIN, Topics(), None)


class Counting:
    """Runs here and remembers what it ran."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.ran: list[Job] = []
        self._stop_after = stop_after

    def __call__(self, jobs):
        for place, result in run_here(jobs, lambda count: None):
            if self._stop_after is not None and len(self.ran) >= self._stop_after:
                raise KeyboardInterrupt
            self.ran.append(jobs[place])
            yield place, result


def test_each_recording_is_evaluated_under_each_model(jobs: list[Job], tmp_path: Path) -> None:
    entries = run_batch(jobs, tmp_path / "out", Counting())
    assert [(e.model_name, e.job.name) for e in entries] == [
        ("old", "hall"), ("old", "desk"), ("new", "hall"), ("new", "desk"),
    ]  # fmt: skip
    assert [e.report["frames"]["in"] for e in entries] == [3, 4, 3, 4]
    assert entries[0].report["model"]["sha256"] != entries[2].report["model"]["sha256"]
    assert len(load_results(tmp_path / "out" / "old")) == 2  # as `compare` reads them


def test_a_second_run_computes_nothing(jobs: list[Job], tmp_path: Path) -> None:
    first = run_batch(jobs, tmp_path / "out", Counting())
    again = Counting()
    second = run_batch(jobs, tmp_path / "out", again)
    assert again.ran == []
    assert all(entry.cached for entry in second)
    assert [e.report for e in first] == [e.report for e in second]


def test_a_batch_killed_in_the_middle_goes_on(jobs: list[Job], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_batch(jobs, tmp_path / "out", Counting(stop_after=2))
    rest = Counting()
    entries = run_batch(jobs, tmp_path / "out", rest)
    assert rest.ran == jobs[2:]
    assert [entry.cached for entry in entries] == [True, True, False, False]


def test_a_split_bag_goes_on_at_its_next_file(
    recordings: list[Path], models: list[Path], tmp_path: Path
) -> None:
    split = tmp_path / "split"
    split.mkdir()
    for place, folder in enumerate(recordings):
        sequence_to_bag(folder, tmp_path / f"bag_{place}")
        shutil.move(tmp_path / f"bag_{place}" / f"bag_{place}.mcap", split / f"split_{place}.mcap")
    jobs = make_jobs(sorted(split.iterdir()), models[:1], PLAIN, Topics(), None)
    with pytest.raises(KeyboardInterrupt):
        run_batch(jobs, tmp_path / "out", Counting(stop_after=1))
    rest = Counting()
    entries = run_batch(jobs, tmp_path / "out", rest)
    assert [job.name for job in rest.ran] == ["split_1"]
    assert [e.report["frames"]["in"] for e in entries] == [3, 4]


def test_a_result_without_its_key_counts_for_nothing(jobs: list[Job], tmp_path: Path) -> None:
    run_batch(jobs[:1], tmp_path / "out", Counting())
    folder = folder_of(tmp_path / "out", jobs[0])
    key = (folder / "key.txt").read_text().strip()
    assert read_result(folder, key) is not None
    (folder / "key.txt").unlink()  # killed between the files
    assert read_result(folder, key) is None


def test_the_key_changes_with_all_that_a_result_depends_on(
    jobs: list[Job], tmp_path: Path
) -> None:
    job = jobs[0]
    key = job_key(job)
    assert job_key(job) == key
    threads = replace(PLAIN, engine=replace(PLAIN.engine, threads=7))
    assert job_key(replace(job, config=threads)) == key  # latency alone
    others = [
        jobs[1],
        jobs[2],
        replace(job, max_frames=2),
        replace(job, topics=Topics(image="/x")),
        replace(job, config=replace(PLAIN, max_depth_m=5.0)),
    ]
    assert len({key, *(job_key(other) for other in others)}) == 6


def test_content_is_what_is_hashed_not_its_place_or_age(tmp_path: Path) -> None:
    a, b = make_sequence(tmp_path / "a"), make_sequence(tmp_path / "b")
    os.utime(b / "frames.csv", (1, 1))
    assert content_hash(a) == content_hash(b)
    c = make_sequence(tmp_path / "c")
    picture = c / "color" / "000003.png"
    data = bytearray(picture.read_bytes())
    data[-9] ^= 1
    picture.write_bytes(data)
    assert content_hash(a) != content_hash(c)


def test_one_broken_recording_costs_its_own_rows(
    recordings: list[Path], models: list[Path], tmp_path: Path
) -> None:
    (recordings[0] / "frames.csv").write_text("frame,t_seconds\n")
    jobs = make_jobs(recordings, models[:1], PLAIN, Topics(), None)
    entries = run_batch(jobs, tmp_path / "out", Counting())
    assert "got no line in frames.csv" in entries[0].error
    assert entries[1].report is not None
    summary = summarise_batch(entries)
    assert summary["rows"][0]["figures"]["abs_rel"] is None
    assert "got no line in frames.csv" in render_summary(summary)
    json.dumps(summary, allow_nan=False)


def test_a_table_without_truth_shows_what_needs_none(model: Path, tmp_path: Path) -> None:
    folder = make_sequence(tmp_path / "hall", frames=6, depth_every=0)
    entries = run_batch(make_jobs([folder], [model], PLAIN, Topics(), None), tmp_path, Counting())
    summary = summarise_batch(entries)
    assert [column.name for column in shown_columns(summary)] == ["opw", "latency"]


def test_two_of_one_name_are_refused(tmp_path: Path, models: list[Path]) -> None:
    twins = [make_sequence(tmp_path / "a" / "hall"), make_sequence(tmp_path / "b" / "hall")]
    with pytest.raises(BagError, match="two named hall"):
        make_jobs(twins, models, PLAIN, Topics(), None)


def test_the_table_says_what_the_reports_say(jobs: list[Job], tmp_path: Path) -> None:
    entries = run_batch(jobs, tmp_path / "out", Counting())
    summary = summarise_batch(entries)
    for entry, row in zip(entries, summary["rows"], strict=True):
        assert row["figures"]["abs_rel"] == entry.report["depth"]["per_frame_median"]["abs_rel"]
    old = [row["figures"]["abs_rel"] for row in summary["rows"] if row["model"] == "old"]
    assert summary["models"][0]["figures"]["abs_rel"] == pytest.approx(sum(old) / 2)
    page = render_summary(summary)
    links = re.findall(r'href="([^"]+)"', page)
    assert links
    assert all((tmp_path / "out" / link).is_file() for link in links)
    assert f"{summary['rows'][0]['figures']['rmse']:.3f}" in page


def test_means_count_only_recordings_that_all_models_have() -> None:
    def row(model: str, recording: str, value: float | None) -> dict:
        figures = dict.fromkeys(
            ("abs_rel", "floor", "rmse", "d1", "online_abs_rel", "coverage", "ause", "miou",
             "opw", "latency"),
        )  # fmt: skip
        return {"model": model, "recording": recording, "figures": figures | {"abs_rel": value},
                "frames": 1, "error": ""}  # fmt: skip

    from gam_depth_ros.evaluation.summary import _means

    rows = [row("a", "x", 0.1), row("a", "y", 0.9), row("b", "x", 0.2), row("b", "y", None)]
    means = _means(rows)
    assert [mean["figures"]["abs_rel"] for mean in means] == [0.1, 0.2]
    assert best_of(means)["abs_rel"] == 0.1


def test_a_worker_process_gives_what_this_one_gives(jobs: list[Job]) -> None:
    counted: list[int] = []
    ((place, found),) = run_in_processes(jobs[:1], 1, counted.append)
    assert place == 0
    assert found.page.startswith("<!doctype html>")
    assert json.loads(found.report)["depth"] == json.loads(run_job(jobs[0]).report)["depth"]
    assert counted[-1] <= 3


@pytest.mark.parametrize(
    ("wanted", "processes"),
    [
        pytest.param(2, False, id="two jobs"),
        # Over a socket: jobs and results are sent as to other machines.
        pytest.param(1, True, id="a process of its own"),
    ],
)
def test_a_dask_cluster_gives_what_one_process_gives(
    jobs: list[Job], tmp_path: Path, wanted: int, processes: bool
) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is an optional extra")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=processes, dashboard_address=None,
        local_directory=str(tmp_path),
    ) as cluster:  # fmt: skip
        entries = run_batch(
            jobs[:wanted],
            tmp_path / "out",
            lambda missing: run_on_dask(missing, cluster.scheduler_address),
        )
    here = run_job(jobs[wanted - 1])
    assert [entry.error for entry in entries] == [""] * wanted
    assert entries[-1].report["depth"] == json.loads(here.report)["depth"]
    assert run_batch(jobs[:wanted], tmp_path / "out", Counting())[0].cached


def test_no_scheduler_at_the_address_costs_one_line(
    jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="Dask is an optional extra")
    monkeypatch.setattr("gam_depth_ros.evaluation.runners.CONNECT_S", 0.5)
    with pytest.raises(BagError, match="got no answer at"):
        list(run_on_dask(jobs, "tcp://127.0.0.1:9"))


def test_the_command_prints_one_table_and_goes_on(
    recordings: list[Path], models: list[Path], tmp_path: Path
) -> None:
    arguments = ["evaluate", *map(str, recordings), "--out", str(tmp_path / "out")]
    for model in models:
        arguments += ["--model", str(model)]
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.output
    assert "4 evaluations: 0 were there, 4 new" in first.output
    assert (tmp_path / "out" / "summary.html").is_file()
    second = CliRunner().invoke(app, arguments)
    assert "4 evaluations: 4 were there, 0 new" in second.output


def test_a_failed_job_is_not_stored(jobs: list[Job], tmp_path: Path) -> None:
    run_batch(jobs[:1], tmp_path / "out", lambda wanted: iter([(0, JobResult(error="no disk"))]))
    assert not folder_of(tmp_path / "out", jobs[0]).exists()
