"""Many recordings under many models: one table, and nothing computed twice.

Results lie in ``out/MODEL/RECORDING/``, each with the key of the job that gave it. A run that finds
a result with its key takes it as it is: a batch that was killed goes on where it stopped, one with
another model added computes that model alone. ``gam-depth compare out/A out/B`` reads the same
folders.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gam_depth_ros.core.config import PipelineConfig
from gam_depth_ros.evaluation.bag import BagError, Topics
from gam_depth_ros.evaluation.bag_writer import make_directory
from gam_depth_ros.evaluation.jobs import Job, JobResult, job_key, parsed
from gam_depth_ros.evaluation.report import HTML_NAME, JSON_NAME
from gam_depth_ros.evaluation.runners import Finished

KEY_NAME = "key.txt"
SHIPPED = "shipped"

Runner = Callable[[Sequence[Job]], Finished]


@dataclass(frozen=True)
class BatchEntry:
    """One cell of the batch.

    Attributes:
        job: What was asked.
        model_name: Folder of its model.
        report: Content of its report.json; None where it failed.
        error: One line why; empty where it did not.
        cached: Whether it was there already.
    """

    job: Job
    model_name: str
    report: dict[str, Any] | None
    error: str = ""
    cached: bool = False


def make_jobs(
    recordings: Sequence[Path],
    models: Sequence[Path],
    config: PipelineConfig,
    topics: Topics,
    max_frames: int | None,
    listed: Sequence[str] = (),
) -> list[Job]:
    """Return one job for each recording and model, model by model.

    Args:
        recordings: Their paths.
        models: Their files; none for the shipped one.
        config: The pipeline's settings.
        topics: Topics that were named.
        max_frames: Stop after so many images of each.
        listed: For each model the name under which it is listed, empty for a path.

    Raises:
        BagError: two recordings or two models of one name, whose results would share a folder.
    """
    names = [path.resolve().stem for path in recordings]
    _check_once("recordings", names)
    asked: list[tuple[Path | None, str]] = [(None, "")]
    if models:  # absolute paths: workers may run in another directory
        called = listed or [""] * len(models)
        asked = [(path.resolve(), name) for path, name in zip(models, called, strict=True)]
        _check_once("models", [_folder(path, name) for path, name in asked])
    return [
        Job(path.resolve(), model, name, config, topics, max_frames, called)
        for model, called in asked
        for path, name in zip(recordings, names, strict=True)
    ]


def run_batch(
    jobs: Sequence[Job],
    out: Path,
    runner: Runner,
    *,
    again: bool = False,
    on_done: Callable[[BatchEntry], None] = lambda entry: None,
) -> list[BatchEntry]:
    """Run what is not there yet and store each result as it comes.

    Args:
        jobs: What is wanted.
        out: Where results lie.
        runner: Runs jobs: see :mod:`~gam_depth_ros.evaluation.runners`.
        again: Compute even what is there.
        on_done: Called after each job, those that were there first.

    Returns:
        An entry for each job, in their order.

    Raises:
        BagError: a recording or model is not there, or the directory cannot be made.
    """
    make_directory(out)
    keys = [job_key(job) for job in jobs]
    entries: dict[int, BatchEntry] = {}
    for place, job in enumerate(jobs):
        stored = None if again else read_result(folder_of(out, job), keys[place])
        if stored is not None:
            entry = BatchEntry(job, model_name(job), parsed(stored), cached=True)
            entries[place] = entry
            on_done(entry)
    missing = [place for place in range(len(jobs)) if place not in entries]
    for finished, result in runner([jobs[place] for place in missing]) if missing else ():
        place = missing[finished]
        job = jobs[place]
        if not result.error:
            store_result(folder_of(out, job), keys[place], result)
        report = None if result.error else parsed(result)
        entries[place] = BatchEntry(job, model_name(job), report, result.error)
        on_done(entries[place])
    return [entries[place] for place in range(len(jobs))]


def model_name(job: Job) -> str:
    """Return the folder name of a job's model."""
    return _folder(job.model, job.listed)


def folder_of(out: Path, job: Job) -> Path:
    """Return where the result of a job lies."""
    return out / model_name(job) / job.name


def read_result(folder: Path, key: str) -> JobResult | None:
    """Return the stored result of a key, None where there is none."""
    files = [folder / name for name in (KEY_NAME, JSON_NAME, HTML_NAME)]
    if not all(file.is_file() for file in files) or files[0].read_text().strip() != key:
        return None
    return JobResult(*(file.read_text(encoding="utf-8") for file in files[1:]))


def store_result(folder: Path, key: str, result: JobResult) -> None:
    """Write a result so that a reader finds all of it or nothing; replaces an older one."""
    new = folder.with_name(folder.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    make_directory(new)
    (new / JSON_NAME).write_text(result.report, encoding="utf-8")
    (new / HTML_NAME).write_text(result.page, encoding="utf-8")
    (new / KEY_NAME).write_text(key + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)


def _folder(model: Path | None, listed: str) -> str:
    return listed or (SHIPPED if model is None else model.stem)


def _check_once(what: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BagError(f"{what}: got two named {twice[0]}, expected different names; rename one")
