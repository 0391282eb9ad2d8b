"""How long the page takes under load: 20 readers at once on the results of a nation, while new versions are being published.

    hrrp simulate --hospitals 3000 --stays 1000000 --seed 2026 --out nation-extract
    HRRP_PUBLISH_PATIENTS=true hrrp run --data nation-extract --out nation
    .venv/bin/python benchmarks/bench_page.py nation [--seconds 60] [--pause 1.0] [--publish-every 30]

Readers take turns through the views, each time of a hospital, program year and measure drawn anew, so that most pages have not been
asked for before. With --pause each waits that long on average between two pages (exponentially distributed), as people do; with 0 each
asks as soon as it has its answer. The page is `hrrp serve` in a process of its own, behind a pretended proxy on this machine, so that
single stays are among the views. Publishing is the last step of a run (`hrrp.warehouse.publish.write_review`) in a process of its own,
from the run's working file; the page lays each new version out as it does for any. Nothing here sets a priority.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

READERS = 20
KEPT_OPEN_SECONDS = 4.0
MEASURES = ("AMI", "COPD", "HF", "PN", "CABG", "THA_TKA")
USER = "reader"
SETTINGS = """
trusted_proxies = ["127.0.0.1"]
publish_patients = true
[users.reader]
hospitals = "all"
level = "{level}"
"""
# The last step of a run, on its closed working file: what `hrrp run` does when all its tables are made, whenever a line says so.
PUBLISH = """
import sys
from pathlib import Path
from hrrp.settings import Settings
from hrrp.warehouse import open_warehouse
from hrrp.warehouse.publish import write_review
working, target = Path(sys.argv[1]), Path(sys.argv[2])
settings = Settings(out=target.parent, publish_patients=True)
with open_warehouse(target, settings, read_only=True) as review:
    checks = review.read("from result.quality_checks")
for line in sys.stdin:
    write_review(working, target, settings, checks)
    print("published", file=sys.stderr, flush=True)
"""
FIRST_PUBLISHED_AFTER = 2.0
Timings = dict[str, list[float]]


class Reader:
    """One connection, one page after the other."""

    def __init__(self, port: int, seed: int, hospitals: list[str], years: list[int], patient_level: bool) -> None:
        self.port, self.random = port, random.Random(seed)
        self.hospitals, self.years, self.patient_level = hospitals, years, patient_level
        self.timings: Timings = defaultdict(list)
        self.statuses: dict[int, int] = defaultdict(int)

    async def read(self, until: float, pause: float, warm: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        asked = time.perf_counter()
        await asyncio.sleep(self.random.random() * min(pause, 1.0))
        while time.perf_counter() < until:
            for view, path in self.visit():
                if time.perf_counter() - asked > KEPT_OPEN_SECONDS:
                    # The page closes a connection on which nothing is asked; a browser opens another.
                    writer.close()
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                started = time.perf_counter()
                status = await ask(reader, writer, path)
                asked = time.perf_counter()
                taken = time.perf_counter() - started
                if started > warm:
                    self.timings[view].append(taken)
                    self.statuses[status] += 1
                if pause:
                    await asyncio.sleep(self.random.expovariate(1.0 / pause))
                if time.perf_counter() >= until:
                    break
        writer.close()

    def visit(self) -> list[tuple[str, str]]:
        ccn, year, measure = (
            self.random.choice(self.hospitals),
            self.random.choice(self.years),
            self.random.choice(MEASURES),
        )
        place = f"/hospitals/{ccn}/{year}"
        pages = [
            (
                "system",
                f"/?year={year}&page={self.random.randint(1, 60)}&sort={self.random.choice(['-likely', 'name', '-chance'])}",
            ),
            ("system, filtered", f"/?name={ccn[:3]}"),
            ("hospital", place),
            ("what-if", f"{place}/what-if?dual=0.{self.random.randint(1, 9)}"),
            ("what-if as JSON", f"{place}/what-if.json?dual=0.{self.random.randint(1, 99):02d}"),
            ("worth", f"{place}/worth"),
            ("measure", f"{place}/measures/{measure}"),
            ("method and data", "/method"),
        ]
        if self.patient_level:
            pages += [("stays", f"{place}/stays?sort={self.random.choice(['-discharge', 'age', '-risk'])}")]
        return pages


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> int:
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-User: {USER}\r\n\r\n".encode())
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.I)
    assert length is not None, head
    await reader.readexactly(int(length[1]))
    return int(head.split(b" ", 2)[1])


async def publish(working: Path, out: Path, every: float, begun: float, until: float) -> list[tuple[float, float]]:
    """Publish again and again; of each time how long it took, and how much later the page had the version laid out."""
    found: list[tuple[float, float]] = []
    if not every:
        return found
    command = [sys.executable, "-c", PUBLISH, str(working), str(out / "review.duckdb")]
    # Its standard output has the database's progress.
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    run = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=nothing, stderr=pipe)
    assert run.stdin is not None and run.stderr is not None
    start = begun + FIRST_PUBLISHED_AFTER
    while start < until:
        await asyncio.sleep(start - time.perf_counter())
        before = laid_out(out)
        run.stdin.write(b"now\n")
        said = await run.stderr.readline()
        assert said == b"published\n", said
        done = time.perf_counter()
        while laid_out(out) <= before and time.perf_counter() < until:
            await asyncio.sleep(0.05)
        found.append((done - start, time.perf_counter() - done if laid_out(out) > before else float("nan")))
        start = max(start + every, time.perf_counter())
    run.stdin.close()
    await run.wait()
    return found


def laid_out(out: Path) -> set[str]:
    return {path.name for path in out.glob(".serve-*/*.pages")}


async def measure(
    port: int, out: Path, arguments: argparse.Namespace, hospitals: list[str], years: list[int]
) -> tuple[list[Reader], list[tuple[float, float]]]:
    readers = [Reader(port, seed, hospitals, years, arguments.level == "patient") for seed in range(READERS)]
    begun = time.perf_counter()
    until = begun + arguments.warm + arguments.seconds
    *_, published = await asyncio.gather(
        *(reader.read(until, arguments.pause, begun + arguments.warm) for reader in readers),
        publish(arguments.out / "hrrp.duckdb", out, arguments.publish_every, begun + arguments.warm, until),
    )
    return readers, published


def report(
    readers: list[Reader], published: list[tuple[float, float]], seconds: float, memory: float, own: float
) -> dict[str, Any]:
    together: Timings = defaultdict(list)
    for reader in readers:
        for view, timings in reader.timings.items():
            together[view] += timings
    together["all"] = [each for timings in list(together.values()) for each in timings]
    statuses: dict[int, int] = defaultdict(int)
    for reader in readers:
        for status, times in reader.statuses.items():
            statuses[status] += times
    print(f"{'view':18s} {'pages':>6s} {'median':>8s} {'p99':>8s} {'worst':>8s}  (ms)")
    views = {}
    for view, timings in together.items():
        ordered = sorted(timings)
        p99 = ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)]
        views[view] = {"pages": len(ordered), "median_ms": statistics.median(ordered) * 1e3, "p99_ms": p99 * 1e3}
        print(
            f"{view:18s} {len(ordered):6d} {statistics.median(ordered) * 1e3:8.1f} {p99 * 1e3:8.1f} {ordered[-1] * 1e3:8.1f}"
        )
    rate = len(together["all"]) / seconds
    print(
        f"{rate:.1f} pages a second; answers {dict(statuses)}; memory of the page {memory:.0f} MB; processor of the readers {own:.1f} s"
    )
    for took, later in published:
        print(f"published in {took:.1f} s, laid out for the page {later:.1f} s later")
    return {"views": views, "pages_a_second": rate, "published": published, "statuses": dict(statuses)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of a run")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--warm", type=float, default=5.0, help="seconds that are not counted")
    parser.add_argument("--pause", type=float, default=1.0, help="mean seconds between two pages of a reader; 0: none")
    parser.add_argument(
        "--publish-every", type=float, default=30.0, help="seconds from one new version to the next; 0: none"
    )
    parser.add_argument("--level", choices=["aggregate", "patient"], default="aggregate")
    parser.add_argument("--workers", type=int, default=2, help="processes of hrrp serve")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    packages = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "starlette", "uvicorn", "jinja2"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}")
    with tempfile.TemporaryDirectory(prefix="bench-page-", dir=arguments.out.parent) as folder:
        out = Path(folder) / "out"
        out.mkdir()
        for name in ("review.duckdb", "review_patients.duckdb"):
            if (arguments.out / name).exists():
                shutil.copyfile(arguments.out / name, out / name)
        settings = Path(folder) / "hrrp.toml"
        settings.write_text(SETTINGS.format(level=arguments.level), encoding="utf-8")
        served = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "hrrp",
                "serve",
                "--out",
                str(out),
                "--port",
                "0",
                "--json",
                "--workers",
                str(arguments.workers),
            ],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "HRRP_SETTINGS": str(settings), "OPENBLAS_NUM_THREADS": "1"},
        )
        try:
            assert served.stdout is not None
            ready = json.JSONDecoder()
            text = ""
            while True:
                text += served.stdout.readline()
                try:
                    document, _ = ready.raw_decode(text)
                    break
                except ValueError:
                    continue
            port = int(document["url"].rsplit(":", 1)[1])
            hospitals, years = places(out)
            print(
                f"{len(hospitals):,} hospitals, FY{years}; {arguments.workers} processes, {READERS} readers, "
                f"pause {arguments.pause} s, {arguments.level} level"
            )
            readers, published = asyncio.run(measure(port, out, arguments, hospitals, years))
            memory = resident(served.pid)
        finally:
            served.terminate()
            served.wait(30)
        found = report(readers, published, arguments.seconds, memory, time.process_time())
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2), encoding="utf-8")


def places(out: Path) -> tuple[list[str], list[int]]:
    import duckdb

    with duckdb.connect(str(out / "review.duckdb"), read_only=True) as database:
        hospitals = [
            ccn
            for (ccn,) in database.execute("select distinct ccn from result.hospital_penalties order by 1").fetchall()
        ]
        years = [
            year
            for (year,) in database.execute("select program_year from intake.run_program_years order by 1").fetchall()
        ]
    return hospitals, years


def resident(process: int) -> float:
    """Memory of a process and its children in MB, what they share counted once, where the system tells."""
    children = Path(f"/proc/{process}/task/{process}/children")
    processes = [process, *map(int, children.read_text().split())] if children.exists() else []
    found = [re.search(r"Pss:\s+(\d+)", Path(f"/proc/{each}/smaps_rollup").read_text()) for each in processes]
    return sum(int(each[1]) for each in found if each) / 1e3 if found else float("nan")


if __name__ == "__main__":
    main()
