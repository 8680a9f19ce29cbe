"""Fixtures that every room of the tests may use."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
LOOPBACK_PROFILE = REPO / "config" / "fastdds_loopback.xml"
SHARED_MEMORY = Path("/dev/shm")
HIGHEST_DOMAIN = 100  # above 101 Fast DDS would use ports that Linux hands out to others


@dataclass(frozen=True)
class RosDomain:
    """A ROS 2 graph of one test's own.

    Attributes:
        domain_id: The private ROS_DOMAIN_ID.
        env: What a child process needs beside ``os.environ`` to be on the same graph.
    """

    domain_id: int
    env: dict[str, str]


@pytest.fixture(scope="session")
def repo_dir() -> Path:
    """The repository's root."""
    return REPO


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with recorded sequences and oracles; skips where a checkout has none."""
    path = Path(os.environ.get("GAM_DEPTH_SHARED", REPO.parent / "shared"))
    if not path.is_dir():
        pytest.skip(f"no recordings at {path}; GAM_DEPTH_SHARED names another folder")
    return path


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[RosDomain]:
    """A private graph on 127.0.0.1: this process and its children see it, nobody else does."""
    pytest.importorskip("rclpy", reason="needs ROS 2")
    with _reserved_domain() as domain_id:
        env = {
            "ROS_DOMAIN_ID": str(domain_id),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",  # LOCALHOST would bind every interface
            "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp",
            "FASTDDS_DEFAULT_PROFILES_FILE": str(LOOPBACK_PROFILE),  # Kilted and newer
            "FASTRTPS_DEFAULT_PROFILES_FILE": str(LOOPBACK_PROFILE),  # Humble, Jazzy
            "ROS_LOG_DIR": str(tmp_path / "ros_log"),
        }
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("ROS_LOCALHOST_ONLY", raising=False)
        before = _shared_memory_files()
        yield RosDomain(domain_id, env)
        _sweep_shared_memory(_shared_memory_files() - before, domain_id)


@contextlib.contextmanager
def _reserved_domain() -> Iterator[int]:
    """Hold a domain id that no other test run of this user holds: one locked byte per domain."""
    candidates = list(range(1, HIGHEST_DOMAIN + 1))
    random.shuffle(candidates)
    path = Path(tempfile.gettempdir(), f"gam_depth_ros_domains_{os.getuid()}.lock")
    with path.open("w") as locks:
        for domain_id in candidates:
            try:
                fcntl.lockf(locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, domain_id)
            except OSError:
                continue
            yield domain_id
            return
    raise RuntimeError(f"got {HIGHEST_DOMAIN} domains in use, expected a free one; end other runs")


def _shared_memory_files() -> set[Path]:
    """What Fast DDS has left in shared memory and this user owns."""
    if not SHARED_MEMORY.is_dir():
        return set()
    mine = set()
    for pattern in ("fastrtps_*", "fastdds_*", "sem.fastrtps_*", "sem.fastdds_*"):
        for path in SHARED_MEMORY.glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_uid == os.getuid():
                    mine.add(path)
    return mine


def _sweep_shared_memory(files: set[Path], domain_id: int) -> None:
    """Remove what killed processes of this test left: files of its ports, or that nobody has open.

    A process that still runs (a test's own participant, another test run) keeps its files.
    """
    if not files:
        return
    open_files = _open_shared_memory()
    ports = [str(port) for port in range(7400 + 250 * domain_id, 7650 + 250 * domain_id)]
    for path in files:
        own_port = any(f"port{port}" in path.name for port in ports)
        if str(path) not in open_files and (own_port or "port" not in path.name):
            path.unlink(missing_ok=True)


def _open_shared_memory() -> set[str]:
    """Files below /dev/shm that some process has mapped or open."""
    found: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for line in (process / "maps").read_text().splitlines():
                if str(SHARED_MEMORY) in line:
                    found.add(line.split(maxsplit=5)[-1])
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    found.add(str(descriptor.readlink()))
    return found
