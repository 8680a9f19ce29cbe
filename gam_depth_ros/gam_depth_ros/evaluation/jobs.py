"""One recording under one model: the unit that batches run, wherever they run it.

A job is plain data and its result text, so both cross to other processes and machines. The key of a
job tells whether a stored result is still the one that running it would give.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gam_depth_ros import __version__
from gam_depth_ros.core.camera import CameraError
from gam_depth_ros.core.config import PipelineConfig
from gam_depth_ros.core.engine import EngineError
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.core.model_spec import ModelContractError
from gam_depth_ros.core.pipeline import load_pipeline
from gam_depth_ros.evaluation.bag import BagError, Topics, open_recording
from gam_depth_ros.evaluation.evaluate import evaluate
from gam_depth_ros.evaluation.report import json_text, render

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Job:
    """What is to be evaluated.

    Attributes:
        recording: The recording.
        model: The ONNX file; None for the shipped one.
        name: What the report calls the recording.
        listed: The name under which the model is listed; empty where it was given by its path.
        config: The pipeline's settings.
        topics: Topics that were named.
        max_frames: Stop after so many images.
    """

    recording: Path
    model: Path | None
    name: str
    config: PipelineConfig = field(default_factory=PipelineConfig)
    topics: Topics = field(default_factory=Topics)
    max_frames: int | None = None
    listed: str = ""

    @property
    def model_path(self) -> Path:
        """The model's file."""
        return Path(default_model_path()) if self.model is None else self.model


@dataclass(frozen=True)
class JobResult:
    """What a job gave.

    Attributes:
        report: Text of report.json; empty where the job failed.
        page: Text of report.html; likewise.
        error: One line why it failed; empty where it did not.
    """

    report: str = ""
    page: str = ""
    error: str = ""


def run_job(job: Job, on_frame: Callable[[], None] = lambda: None) -> JobResult:
    """Evaluate; what a user can cause becomes an error line, for one recording of many."""
    try:
        pipeline = load_pipeline(job.model, job.config)
        source = open_recording(job.recording, job.topics, job.config.pairing_slop_s)
        result = evaluate(source, pipeline, max_frames=job.max_frames, on_frame=on_frame)
        result.report["recording"]["name"] = job.name
        result.report["model"]["name"] = job.listed or result.report["model"]["name"]
        return JobResult(json_text(result.report), render(result))
    except (BagError, CameraError, EngineError, ModelContractError, OSError) as error:
        return JobResult(error=str(error))


def job_key(job: Job) -> str:
    """Return the sha256 of all that a result depends on.

    The recording's and the model's content, settings, topics, and this package's own source: a
    changed metric is another key though no version was raised. Threads are left out, which change
    the latency alone.

    Raises:
        BagError: a recording or model that is not there.
    """
    config = replace(job.config, engine=replace(job.config.engine, threads=0))
    parts = {
        "recording": content_hash(job.recording),
        "model": content_hash(job.model_path),
        "config": repr(config),
        "topics": repr(job.topics),
        "max_frames": job.max_frames,
        "name": job.name,
        "listed": job.listed,
        "version": __version__,
        "source": source_hash(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def content_hash(path: Path) -> str:
    """Return the sha256 of a file, or of a directory's files and their relative names.

    Raises:
        BagError: nothing there, or nothing that can be read.
    """
    try:
        # Seconds for a large bag, against hours of evaluation: each is read once a batch.
        return _content_hash(path)
    except OSError as error:
        raise BagError(
            f"{path}: got {error.__class__.__name__} while reading it, expected a recording or "
            "model; check the path"
        ) from error


@functools.lru_cache(maxsize=256)
def _content_hash(path: Path) -> str:
    if not path.is_dir():
        return _hash_files([path], path.parent)
    return _hash_files(sorted(file for file in path.rglob("*") if file.is_file()), path)


@functools.lru_cache(maxsize=1)
def source_hash() -> str:
    """Return the sha256 of this package's source files."""
    root = Path(__file__).resolve().parent.parent
    files = [*root.glob("core/*.py"), *root.glob("evaluation/*.py"), *root.glob("evaluation/*/*")]
    kept = sorted(file for file in files if file.suffix in (".py", ".j2", ".css"))
    return _hash_files(kept, root)


def _hash_files(files: Iterable[Path], root: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(root)}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


def parsed(result: JobResult) -> dict[str, Any]:
    """Return the report of a result that has one."""
    return dict(json.loads(result.report))
