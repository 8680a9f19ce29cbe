"""Where jobs run: here, in processes of this machine, or on the machines of a Dask cluster."""

from __future__ import annotations

import importlib
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from gam_depth_ros.evaluation.bag_contents import BagError
from gam_depth_ros.evaluation.jobs import Job, JobResult, run_job

POLL_S = 0.2
CONNECT_S = 10.0

Finished = Iterator[tuple[int, JobResult]]
"""Place of a job in the list and its result, in the order in which they end."""

_counter: Any = None  # of a worker process: how many frames all workers have done


def run_here(jobs: Sequence[Job], on_frames: Callable[[int], None]) -> Finished:
    """Run one job after the other.

    Args:
        jobs: What to run.
        on_frames: Called with the number of frames done so far.
    """
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        on_frames(done)

    for place, job in enumerate(jobs):
        yield place, run_job(job, count)


def run_in_processes(
    jobs: Sequence[Job], workers: int, on_frames: Callable[[int], None]
) -> Finished:
    """Run jobs in worker processes.

    Args:
        jobs: What to run.
        workers: How many processes.
        on_frames: As in :func:`run_here`.

    Raises:
        BagError: a worker died; what ended before is done.
    """
    # Not forked: ONNX Runtime's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_count_into, initargs=(counter,)
    )
    try:
        waiting = {pool.submit(_run_counted, job): place for place, job in enumerate(jobs)}
        while waiting:
            done, _ = wait(waiting, timeout=POLL_S, return_when=FIRST_COMPLETED)
            on_frames(int(counter.value))
            for future in done:
                yield waiting.pop(future), future.result()
    except BrokenProcessPool as error:
        raise BagError(
            f"workers: got a worker process that died, expected {workers} to live; the machine "
            "may be out of memory: run again with fewer --jobs, what is done is kept"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def run_on_dask(jobs: Sequence[Job], address: str) -> Finished:
    """Run jobs on a Dask cluster, whose machines see recordings and models under the same paths.

    Args:
        jobs: What to run.
        address: Of the scheduler, for example ``tcp://host:8786``.

    Raises:
        BagError: Dask is not installed, or nobody answers at the address.
    """
    try:
        distributed: Any = importlib.import_module("distributed")  # an optional extra
    except ImportError as error:
        raise BagError(
            "--dask: got no Dask, expected the extra; pip install 'gam_depth_ros[dask]'"
        ) from error
    try:
        client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise BagError(
            f"--dask: got no answer at {address}, expected a scheduler; run `dask scheduler` "
            "there, and `dask worker` on each machine"
        ) from error
    with client:
        # Not pure: a result is kept in the output directory, not in the cluster's memory.
        futures = [client.submit(run_job, job, pure=False) for job in jobs]
        places = {future.key: place for place, future in enumerate(futures)}
        for future in distributed.as_completed(futures, loop=client.loop):
            failed = future.status == "error"
            error_line = f"the worker raised {future.exception()!r}" if failed else ""
            yield places[future.key], JobResult(error=error_line) if failed else future.result()
            future.release()


def _count_into(counter: Any) -> None:
    global _counter  # noqa: PLW0603  the one thing that a pool's workers share
    _counter = counter


def _run_counted(job: Job) -> JobResult:
    def count() -> None:
        with _counter.get_lock():
            _counter.value += 1

    return run_job(job, count)
