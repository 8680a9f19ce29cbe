"""Feed the targets of ``fuzz_targets`` with atheris, guided by the coverage of our own code.

Not part of ``make test``; atheris is no dependency. Ten minutes, from the repository's root::

    pip install --target out/atheris atheris
    PYTHONPATH=out/atheris:test python test/fuzz/atheris_run.py out/corpus \
        -max_total_time=600 -timeout=10 -rss_limit_mb=4096

Options after the corpus are libFuzzer's. It ends with an error, and leaves the input that caused
it, where a target crashes, hangs or raises what it should not.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gam_depth_ros"], enable_loader_override=False):
    import fuzz_targets

NAMES = list(fuzz_targets.TARGETS)


def one_input(data: bytes) -> None:
    """The first byte chooses the target."""
    if data:
        fuzz_targets.TARGETS[NAMES[data[0] % len(NAMES)]](data[1:])


def write_corpus(folder: Path) -> None:
    """Write the seeds, one file each."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(NAMES):
        for number, seed in enumerate(fuzz_targets.seeds()[name]):
            (folder / f"{name}_{number}").write_bytes(bytes([index]) + seed)


if __name__ == "__main__":
    write_corpus(Path(sys.argv[1]))
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
