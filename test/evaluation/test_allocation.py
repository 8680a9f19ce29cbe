"""Memory of a picture's arrays is used again, not fetched from the system each time."""

from __future__ import annotations

import subprocess
import sys

import pytest

PAGES = 512  # of the array below
COUNT_FAULTS = f"""
import resource
import numpy as np
from gam_depth_ros.evaluation.allocation import keep_freed
keep_freed()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    two = [np.ones({PAGES} << 12, np.uint8) for _ in range(2)]
    del two
before = faults()
for _ in range(50):
    two = [np.ones({PAGES} << 12, np.uint8) for _ in range(2)]
    del two
print(faults() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc's allocator")
def test_arrays_of_a_picture_cost_no_page_faults_again_and_again() -> None:
    found = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS], check=True, capture_output=True, text=True
    )
    # From the system each time they would be 50 times 1024.
    assert int(found.stdout) < PAGES
