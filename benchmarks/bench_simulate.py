"""How long the simulator takes from options to files on disk, by number of stays.

    python benchmarks/bench_simulate.py                 one million stays at 3,000 hospitals to Parquet
    python benchmarks/bench_simulate.py 100000 1000000  several sizes

Prints one line a size with machine, cores and versions: quote it with them. Wall time, processor time of all threads,
and peak memory are those of a process of its own that does nothing else; starting Python and importing is counted.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HOSPITALS = 3_000


def measure(stays: int) -> str:
    """Simulate `stays` stays in a process of its own; what it cost, as one line."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", "from hrrp.cli import main; main()", "simulate", "--json"]
        command += ["--hospitals", str(HOSPITALS), "--stays", str(stays), "--seed", "1", "--out", folder]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wall = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (
        f"{stays:>10,} stays: {wall:6.1f} s, {processor:6.1f} s of processor time, "
        f"peak {after.ru_maxrss / 1024:,.0f} MB, files {size / 1e6:,.0f} MB"
    )


def machine() -> str:
    """Processor, cores, versions and how busy the machine was: what a figure must be quoted with."""
    import numpy
    import pyarrow

    name = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
            break
    return (
        f"{name}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the run; "
        f"Python {platform.python_version()}, numpy {numpy.__version__}, pyarrow {pyarrow.__version__}"
    )


if __name__ == "__main__":
    print(machine())
    for number in [int(argument) for argument in sys.argv[1:]] or [1_000_000]:
        print(measure(number))
