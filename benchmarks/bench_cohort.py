"""From Parquet to index admissions with risk factors: the engine beside the same question in polars and in pandas.

    python benchmarks/bench_cohort.py                      3,000,000 stays, every row below; then 300,000 for the cost per stay
    python benchmarks/bench_cohort.py --stays 300000       another size
    python benchmarks/bench_cohort.py --repeat 3           each row several times (default 3)
    python benchmarks/bench_cohort.py --only ours polars   some of the rows
    python benchmarks/bench_cohort.py --folder DIR         keep the extracts there, and use them again
    python benchmarks/bench_cohort.py --bound 3            hold every process to 3 GB of memory, and say which ends

The extract is that of `hrrp simulate`: three years of discharges (July 2021 to June 2024, the applicable period of FY2026) at 3,000
hospitals, each stay's list of diagnoses filled up to 25 with other ICD-10-CM codes. Two questions are put to it.

*Returns*, the readmission query: every index stay of any cause (a short-term acute hospital, fee for service, 65 or older, left alive and
not against advice, the last of its chain of transfers by date and hospital) with its first admission to an acute hospital 0 to 30 days
later. It is answered from the two files of stays and persons alone: no diagnosis is read, so adjacent records of one hospital are not
merged, and no enrollment is asked for; nor is any record checked.

    returns                 returns.sql, in the warehouse that the engine works in, under its settings
    returns_polars          peers/returns_polars.py, lazy, on its streaming engine
    returns_pandas          peers/returns_pandas.py

*Admissions*, the whole answer: every index admission of the six measures in FY2026, its first return with the planned readmission
algorithm, and its risk factors, from all files.

    ours                    the whole engine: all rules, every record checked and accounted for, every stay's reasons in every measure, the
                            records behind every risk factor, and whatever else the steps of staging, cohort and risk make
    answer                  of these, the steps that the three answers need, from Parquet, with the checks of all records that they rest on:
                            without the flow of every stay, the records behind the risk factors, the accounts of rows, the indicators
    rules                   of these, the steps of cohort and risk over the staging tables that a run of ours has left: they read no Parquet
    polars, pandas          peers/cohort_*.py: they check no record, apply only the rules that decide anything in this extract, and get
                            their code lists expanded

All answers to a question must be equal, row by row. Every run is a process of its own; wall seconds, processor seconds and peak memory
are its whole life's, from the start of Python. As in `hrrp run` from the second run on, the SQL files are parsed already. Under a bound a
process is put into a memory cgroup of its own (version 1, which takes the rights to make one): what it holds resident counts, and one
that needs more is killed. Where that cannot be, its data segment is limited instead (RLIMIT_DATA), which also counts what an
allocator has reserved and not touched.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

PEERS = Path(__file__).with_name("peers")
RETURNS = ("returns", "returns_polars", "returns_pandas")
ADMISSIONS = ("ours", "answer", "rules", "polars", "pandas")
ENGINE = ("ours", "answer", "rules")  # rows that leave a working file
CGROUPS = Path("/sys/fs/cgroup/memory")
PROGRAM_YEAR, START, END = 2026, "2021-07-01", "2024-06-30"
HOSPITALS, DIAGNOSES, SEED = 3_000, 25, 7
PARTS = 30  # the diagnoses are filled up in so many parts, to keep the memory small
THREADS = min(2, os.cpu_count() or 1)
LIMIT = "1.6GB"  # DuckDB's own share of the memory; Python, the lists and the reader need some beside it
LISTS = {
    "code_roles": "select measure, role, code_system, code from cohort.code_roles",
    "variable_codes": "select * from risk.variable_codes",
    "category_codes": "select * from risk.category_codes",
    "complication_codes": "select code from risk.complication_codes",
    "planned_codes": "select * from cohort.planned_codes",
    "exceptions": "select distinct exception, code from reference.outcome_exception_codes "
    "join cohort.code_prefixes using (code_system, code_prefix)",
    "statuses": "select code, meaning from reference.discharge_status_codes",
    "risk_variables": "select measure, variable_key from reference.risk_variables",
}
ANSWERS = {
    "index": "select measure, stay_id from cohort.index_admissions",
    "returns": "select measure, stay_id, days, planned, unplanned_readmission as unplanned from cohort.readmissions",
    "factors": "select measure, stay_id, variable_key, value from risk.risk_factors",
}


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    wall: float
    processor: float
    memory: float  # GB

    def __str__(self) -> str:
        return f"{self.wall:6.1f} s, {self.processor:6.1f} s of processor time, peak {self.memory:.2f} GB"


def make_extract(folder: Path, stays: int) -> Path:
    """The simulated extract, made once."""
    place = folder / f"extract_{stays}"
    if (place / "made").exists():
        return place
    command = [sys.executable, "-c", "from hrrp.cli import main; main()", "simulate", "--json", "--force"]
    command += ["--hospitals", str(HOSPITALS), "--stays", str(stays), "--seed", str(SEED)]
    command += ["--start", START, "--end", END, "--out", str(place)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    fill_up(place / "diagnoses.parquet")
    (place / "made").touch()
    return place


def fill_up(diagnoses: Path) -> None:
    """Give every stay DIAGNOSES diagnoses: its own, then others of the ICD-10-CM codes, some more common than others."""
    import pyarrow.parquet as pq

    codes = Path(__file__).parents[1] / "data" / "reference" / "ccs_icd10cm.csv"
    full = diagnoses.with_name("full.part")
    connection = duckdb.connect(config={"memory_limit": "4GB"})
    connection.execute(
        f"create table pool as select row_number() over (order by hash(code)) - 1 as place, code "
        f"from read_csv('{codes}', all_varchar = true) where hash(code) % 24 = 0"
    )
    [[codes_in_pool]] = connection.execute("select count(*) from pool").fetchall()
    bounds = [
        row[0]
        for row in connection.execute(
            f"select max(stay_id) from (select stay_id, ntile({PARTS}) over (order by stay_id) as part from "
            f"(select distinct stay_id from '{diagnoses}')) group by part order by 1"
        ).fetchall()
    ]
    writer: pq.ParquetWriter | None = None
    for low, high in zip(["", *bounds], bounds, strict=False):
        part = connection.execute(
            f"""
            with own as (
                select * from '{diagnoses}' where sequence <= {DIAGNOSES} and stay_id > $low and stay_id <= $high
            ),
            more as (
                select stay_id, unnest(range(max(sequence) + 1, {DIAGNOSES} + 1)) as sequence from own group by stay_id
            )
            select stay_id, cast(sequence as integer) as sequence, cast(code as varchar) as code, cast(poa as varchar) as poa
            from own
            union all
            select more.stay_id, more.sequence, pool.code, if(hash(more.stay_id, more.sequence) % 10 = 0, 'N', 'Y')
            from more
            inner join pool on pool.place = cast(
                floor(pow((hash(more.stay_id, more.sequence, 1) % 1000003) / 1000003.0, 3) * {codes_in_pool}) as bigint)
            order by stay_id, sequence""",
            {"low": low, "high": high},
        ).to_arrow_table()
        writer = writer or pq.ParquetWriter(full, part.schema)
        writer.write_table(part, row_group_size=122_880)
    if writer:
        writer.close()
    connection.close()
    full.replace(diagnoses)


def ours(extract: Path, folder: Path) -> None:
    """The engine as `hrrp run` goes through it: intake, staging, cohort, risk factors, in a working file on disk."""
    steps = {
        step.name
        for step in known_steps(folder)
        if step.group in ("staging", "cohort", "risk")
        and "risk.model_in_force" not in step.upstreams
        and step.upstreams
    }
    run_steps(extract, folder, "ours", steps)


def answer(extract: Path, folder: Path) -> None:
    """What the three answers need of it, from Parquet on."""
    run_steps(extract, folder, "answer", needed_steps(folder, ("staging", "cohort", "risk")))


def rules(extract: Path, folder: Path) -> None:
    """The steps of cohort and risk that the answers need, made anew in a copy of the working file that a run of ours has left."""
    run_steps(extract, folder, "rules", needed_steps(folder, ("cohort", "risk")))


def parse_steps(folder: Path) -> None:
    """Parse the SQL files before anything is measured."""
    known_steps(folder)


def known_steps(folder: Path):
    from hrrp.warehouse import load_steps

    return load_steps(parsed_before=folder.parent / "sql_steps.json")


def needed_steps(folder: Path, groups: tuple[str, ...]) -> set[str]:
    """The steps that the three answers rest on, directly or not, of these groups."""
    steps = {step.name: step for step in known_steps(folder) if step.group in groups}
    needed: set[str] = set()
    waiting = ["cohort.index_admissions", "cohort.readmissions", "risk.risk_factors"]
    while waiting:
        name = waiting.pop()
        if name in steps and name not in needed:
            needed.add(name)
            waiting += steps[name].upstreams
    return needed


def run_steps(extract: Path, folder: Path, row: str, names: set[str]) -> None:
    """Some of the engine's steps; a row that finds a working file in its place goes on from there."""
    from hrrp.intake.extract import load_extract
    from hrrp.program import Reference
    from hrrp.settings import Settings
    from hrrp.warehouse import open_warehouse

    settings = Settings(data=extract, memory_limit=LIMIT, program_years=(PROGRAM_YEAR,))
    reference = Reference()
    values = {name: each.value for name, each in reference.parameters({}).items()}
    working = folder / row / "working.duckdb"
    is_new = not working.exists()
    with open_warehouse(working, settings) as warehouse:
        if is_new:
            warehouse.load_reference(reference)
            load_extract(warehouse, settings, reference)
        for step in known_steps(folder):
            if step.name in names:
                started = time.perf_counter()
                rows = warehouse.run_step(step, values)
                if os.environ.get("HRRP_BENCH_STEPS"):
                    print(f"{time.perf_counter() - started:7.2f} s {step.name} {rows}", file=sys.stderr)


def returns(extract: Path, folder: Path) -> None:
    """The readmission query as one statement in the engine's warehouse."""
    from hrrp.settings import Settings
    from hrrp.warehouse import open_warehouse

    query = Path(__file__).with_name("returns.sql").read_text(encoding="utf-8")
    with open_warehouse(folder / "returns" / "working.duckdb", Settings(memory_limit=LIMIT)) as warehouse:
        for name in ("stays", "persons"):
            warehouse.execute(f"create or replace view {name} as from read_parquet('{extract / name}.parquet')")
        warehouse.execute(f"copy ({query}) to '{folder / 'returns' / 'returns.parquet'}' (format parquet)")


def write_answers(engine: str, folder: Path) -> None:
    """What the engine answered, and what the peers need."""
    with duckdb.connect(str(folder / engine / "working.duckdb"), read_only=True) as connection:
        for name, sql in {**LISTS, **ANSWERS}.items():
            target = folder / (engine if name in ANSWERS else "lists") / f"{name}.parquet"
            target.parent.mkdir(exist_ok=True)
            connection.execute(f"copy ({sql}) to '{target}' (format parquet)")


def run(row: str, extract: Path, folder: Path, bound: float | None) -> Cost | None:
    """One row in a process of its own; None where it did not end within the bound."""
    (folder / row).mkdir(exist_ok=True)
    working = folder / row / "working.duckdb"
    working.unlink(missing_ok=True)
    if row == "rules":
        shutil.copyfile(folder / "ours" / "working.duckdb", working)
    if row in (*ENGINE, "returns"):
        command = [sys.executable, __file__, "--inside", row, str(extract), str(folder)]
    elif row in RETURNS:
        command = [sys.executable, str(PEERS / f"{row}.py"), str(extract), str(folder / row)]
    else:
        command = [sys.executable, str(PEERS / f"cohort_{row}.py")]
        command += [str(extract), str(folder / "lists"), str(folder / row)]
    environment = {**os.environ, "POLARS_MAX_THREADS": str(THREADS), "OMP_NUM_THREADS": str(THREADS)}
    with held_to(bound) as hold:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=environment, preexec_fn=hold)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
    if status:
        if bound is None and row in (*ENGINE, "returns"):
            raise SystemExit(f"{row} failed")
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        held = "" if bound is None else f", held to {bound:g} GB"
        print(f"  {row:14s} did not end: {'killed' if killed else 'failed'} after {wall:.1f} s{held}", flush=True)
        return None
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6)


@contextmanager
def held_to(bound: float | None) -> Iterator:
    """What a new process calls to be held to so many GB of memory: resident, in a cgroup of its own; else of its data segment."""
    if bound is None:
        yield None
        return
    size, group = int(bound * 1e9), CGROUPS / f"bench_cohort_{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(size))
    except OSError:
        print(f"  held to {bound:g} GB of data segment (RLIMIT_DATA): no memory cgroup can be made here")
        yield lambda: resource.setrlimit(resource.RLIMIT_DATA, (size, size))
        return
    try:
        yield lambda: (group / "cgroup.procs").write_text(str(os.getpid()))
    finally:
        group.rmdir()


def compare(row: str, folder: Path) -> str:
    """The row's answers against ours to the same question, row by row; the numbers of rows."""
    reference, names = ("returns", ("returns",)) if row in RETURNS else ("ours", tuple(ANSWERS))
    counts = []
    duckdb.execute("set enable_progress_bar = false")
    for name in names:
        one, other = folder / reference / f"{name}.parquet", folder / row / f"{name}.parquet"
        columns = [found[0] for found in duckdb.sql(f"describe select * from '{one}'").fetchall()]
        casts = ", ".join(f"cast({column} as {'double' if column == 'value' else 'varchar'})" for column in columns)
        [[rows]] = duckdb.sql(f"select count(*) from '{one}'").fetchall()
        [[differing]] = duckdb.sql(f"""
            select count(*) from (
                (select {casts} from '{one}' except all select {casts} from '{other}')
                union all
                (select {casts} from '{other}' except all select {casts} from '{one}'))""").fetchall()
        if differing:
            raise RuntimeError(f"{row}: {differing} rows of {name} differ from ours")
        counts.append(f"{rows:,} {name}")
    return ", ".join(counts)


def aside(function, *arguments):
    """The function's result, worked out in another process: a run's peak memory counts from that of the process that starts it."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def machine() -> str:
    """What a figure must be quoted with."""
    from importlib.metadata import version

    name = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
            break
    return (
        f"{name}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the run; Python {platform.python_version()}, "
        f"DuckDB {duckdb.__version__}, polars {version('polars')}, pandas {version('pandas')}"
    )


def measure(row: str, extract: Path, folder: Path, repeat: int, bound: float | None) -> list[Cost]:
    costs = []
    for _ in range(repeat):
        cost = run(row, extract, folder, bound)
        if cost is None:
            return []
        costs.append(cost)
        print(f"  {row:14s} {cost}", flush=True)
        if row in ENGINE:
            aside(write_answers, row, folder)
        if row not in ("ours", "returns"):
            print(f"  {'':14s} same answer: {aside(compare, row, folder)}", flush=True)
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stays", type=int, nargs="*", default=[3_000_000, 300_000])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=(*RETURNS, *ADMISSIONS), default=[*RETURNS, *ADMISSIONS])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--bound", type=float, metavar="GB")
    parser.add_argument("--inside", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        row, *places = options.inside
        {"ours": ours, "answer": answer, "rules": rules, "returns": returns}[row](*map(Path, places))
        return
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        place = options.folder or Path(scratch)
        place.mkdir(parents=True, exist_ok=True)
        per_stay: dict[int, float] = {}
        for stays in options.stays:
            extract = aside(make_extract, place, stays)
            folder = place / f"answers_{stays}"
            folder.mkdir(exist_ok=True)
            aside(parse_steps, folder)
            print(f"{stays:,} stays, {stays * DIAGNOSES:,} diagnoses")
            for row in options.only:
                costs = measure(row, extract, folder, options.repeat, options.bound)
                if not costs:
                    continue
                walls = [cost.wall for cost in costs]
                processor = statistics.median(cost.processor for cost in costs)
                print(
                    f"  {row:14s} median {statistics.median(walls):.1f} s (from {min(walls):.1f} to {max(walls):.1f}), "
                    f"{processor:.1f} s of processor time, peak {max(cost.memory for cost in costs):.2f} GB"
                )
                if row == "ours":
                    per_stay[stays] = processor / stays
        if len(per_stay) > 1:
            most, least = max(per_stay), min(per_stay)
            print(
                f"processor time per stay at {most:,} stays is {per_stay[most] / per_stay[least]:.2f} times that at {least:,}"
            )


if __name__ == "__main__":
    main()
