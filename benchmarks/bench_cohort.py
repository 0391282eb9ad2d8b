"""From Parquet to index admissions with risk factors: the engine beside the same question in polars and in pandas.

    python benchmarks/bench_cohort.py                      3,000,000 stays; polars and pandas beside it; then 300,000 for the cost per stay
    python benchmarks/bench_cohort.py --stays 300000       another size
    python benchmarks/bench_cohort.py --repeat 3           each engine several times (default 3)
    python benchmarks/bench_cohort.py --only ours          one of ours, rules, polars, pandas
    python benchmarks/bench_cohort.py --folder DIR         keep the extracts there, and use them again

The extract is that of `hrrp simulate`: three years of discharges (July 2021 to June 2024, the applicable period of FY2026) at 3,000
hospitals, each stay's list of diagnoses filled up to 25 with other ICD-10-CM codes. The question: every index admission of the
six measures in FY2026, its first return with the planned readmission algorithm, and its risk factors. The engine answers it with all
its rules, every record checked, accounted for and traceable (ours). polars and pandas (benchmarks/peers) check nothing, apply only the
rules that decide anything in this extract, and get their code lists expanded. Beside them stand the engine's own rules alone (rules):
the steps of cohort and risk that the three answers need, with all reasons, over the staging tables that a run of ours has left;
these steps read no Parquet, the peers check no record. All answers must be equal, row by row. Every run is a process of its own;
wall seconds, processor seconds and peak memory are its whole life's.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

PEERS = Path(__file__).with_name("peers")
ENGINES = ("ours", "rules", "polars", "pandas")
PROGRAM_YEAR, START, END = 2026, "2021-07-01", "2024-06-30"
HOSPITALS, DIAGNOSES, SEED = 3_000, 25, 7
PARTS = 30  # the diagnoses are filled up in so many parts, to keep the memory small
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
    from hrrp.intake.extract import load_extract
    from hrrp.program import Reference
    from hrrp.settings import Settings
    from hrrp.warehouse import load_steps, open_warehouse

    settings = Settings(data=extract, memory_limit=LIMIT, program_years=(PROGRAM_YEAR,))
    reference = Reference()
    values = {name: each.value for name, each in reference.parameters({}).items()}
    working = folder / "working.duckdb"
    working.unlink(missing_ok=True)
    with open_warehouse(working, settings) as warehouse:
        warehouse.load_reference(reference)
        load_extract(warehouse, settings, reference)
        for step in load_steps():
            if (
                step.group in ("staging", "cohort", "risk")
                and "risk.model_in_force" not in step.upstreams
                and step.upstreams
            ):
                started = time.perf_counter()
                rows = warehouse.run_step(step, values)
                if os.environ.get("HRRP_BENCH_STEPS"):
                    print(f"{time.perf_counter() - started:7.2f} s {step.name} {rows}", file=sys.stderr)


def rules(extract: Path, folder: Path) -> None:
    """The steps of cohort and risk that the answers need, made anew in a copy of the working file that a run of ours has left."""
    from hrrp.program import Reference
    from hrrp.settings import Settings
    from hrrp.warehouse import load_steps, open_warehouse

    values = {name: each.value for name, each in Reference().parameters({}).items()}
    steps = {step.name: step for step in load_steps() if step.group in ("cohort", "risk")}
    needed: set[str] = set()
    waiting = ["cohort.index_admissions", "cohort.readmissions", "risk.risk_factors"]
    while waiting:
        name = waiting.pop()
        if name in steps and name not in needed:
            needed.add(name)
            waiting += steps[name].upstreams
    settings = Settings(data=extract, memory_limit=LIMIT, program_years=(PROGRAM_YEAR,))
    with open_warehouse(folder / "rules" / "working.duckdb", settings) as warehouse:
        for name, step in steps.items():
            if name in needed:
                warehouse.run_step(step, values)


def write_answers(engine: str, folder: Path) -> None:
    """What the engine answered, and what the peers need."""
    working = folder / ("rules/working.duckdb" if engine == "rules" else "working.duckdb")
    with duckdb.connect(str(working), read_only=True) as connection:
        for name, sql in {**LISTS, **ANSWERS}.items():
            target = folder / (engine if name in ANSWERS else "lists") / f"{name}.parquet"
            target.parent.mkdir(exist_ok=True)
            connection.execute(f"copy ({sql}) to '{target}' (format parquet)")


def run(engine: str, extract: Path, folder: Path) -> Cost:
    """One engine in a process of its own."""
    (folder / engine).mkdir(exist_ok=True)
    if engine == "rules":
        shutil.copyfile(folder / "working.duckdb", folder / "rules" / "working.duckdb")
    if engine in ("ours", "rules"):
        command = [sys.executable, __file__, "--inside", engine, str(extract), str(folder)]
    else:
        command = [sys.executable, str(PEERS / f"cohort_{engine}.py")]
        command += [str(extract), str(folder / "lists"), str(folder / engine)]
    environment = {**os.environ, "POLARS_MAX_THREADS": str(min(2, os.cpu_count() or 1))}
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    if status:
        raise SystemExit(f"{engine} failed")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6)


def compare(engine: str, folder: Path) -> str:
    """The engine's three answers against ours, row by row; the numbers of rows."""
    counts = []
    for name in ANSWERS:
        one, other = folder / "ours" / f"{name}.parquet", folder / engine / f"{name}.parquet"
        columns = [row[0] for row in duckdb.sql(f"describe select * from '{one}'").fetchall()]
        casts = ", ".join(f"cast({column} as {'double' if column == 'value' else 'varchar'})" for column in columns)
        [[rows]] = duckdb.sql(f"select count(*) from '{one}'").fetchall()
        [[differing]] = duckdb.sql(f"""
            select count(*) from (
                (select {casts} from '{one}' except all select {casts} from '{other}')
                union all
                (select {casts} from '{other}' except all select {casts} from '{one}'))""").fetchall()
        if differing:
            raise SystemExit(f"{engine}: {differing} rows of {name} differ from ours")
        counts.append(f"{rows:,} {name}")
    return ", ".join(counts)


def machine() -> str:
    """What a figure must be quoted with."""
    import pandas
    import polars

    name = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
            break
    return (
        f"{name}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the run; Python {platform.python_version()}, "
        f"DuckDB {duckdb.__version__}, polars {polars.__version__}, pandas {pandas.__version__}"
    )


def measure(engine: str, extract: Path, folder: Path, repeat: int) -> list[Cost]:
    costs = []
    for _ in range(repeat):
        costs.append(run(engine, extract, folder))
        print(f"  {engine:7s} {costs[-1]}", flush=True)
        if engine in ("ours", "rules"):
            write_answers(engine, folder)
        if engine != "ours":
            print(f"          same answer: {compare(engine, folder)}", flush=True)
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stays", type=int, nargs="*", default=[3_000_000, 300_000])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--inside", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        engine, *places = options.inside
        {"ours": ours, "rules": rules}[engine](*map(Path, places))
        return
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        place = options.folder or Path(scratch)
        place.mkdir(parents=True, exist_ok=True)
        per_stay: dict[int, float] = {}
        for stays in options.stays:
            extract = make_extract(place, stays)
            folder = place / f"answers_{stays}"
            folder.mkdir(exist_ok=True)
            print(f"{stays:,} stays, {stays * DIAGNOSES:,} diagnoses")
            for engine in options.only:
                costs = measure(engine, extract, folder, options.repeat)
                walls = [cost.wall for cost in costs]
                processor = statistics.median(cost.processor for cost in costs)
                print(
                    f"  {engine:7s} median {statistics.median(walls):.1f} s (from {min(walls):.1f} to {max(walls):.1f}), "
                    f"{processor:.1f} s of processor time, peak {max(cost.memory for cost in costs):.2f} GB"
                )
                if engine == "ours":
                    per_stay[stays] = statistics.median(cost.processor for cost in costs) / stays
        if len(per_stay) > 1:
            most, least = max(per_stay), min(per_stay)
            print(
                f"processor time per stay at {most:,} stays is {per_stay[most] / per_stay[least]:.2f} times that at {least:,}"
            )


if __name__ == "__main__":
    main()
