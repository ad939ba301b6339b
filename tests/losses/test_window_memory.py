"""Peak memory of the losses that look at the labels around each pixel."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "bench_baselines.py"


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("name", ["CRaCLoss", "NACLLoss", "SVLSLoss"])
def test_peak_is_below_two_tensors_of_the_logits(name: str) -> None:
    # Each worker thread has an arena of the allocator, so the peak is that of two threads.
    command = [sys.executable, str(BENCHMARK), "--threads", "2", "--memory-of", name]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    assert 1.0 <= float(run.stdout.split()[-1]) <= 2.0
