"""How long the intake takes: 1,000,000 stays with 10,000,000 diagnoses, from Parquet and from CSV, into a working file.

    .venv/bin/python benchmarks/bench_intake.py [FOLDER FOR THE DATA]

Prints wall seconds, CPU seconds, peak memory and the machine's load for each form. Run it on an idle machine. Parquet is read where it
lies, so that the intake only counts it and staging pays for reading (bench_cohort.py); text is copied.
"""

from __future__ import annotations

import os
import platform
import resource
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from hrrp.intake.canonical import load_files
from hrrp.settings import Settings
from hrrp.warehouse import open_warehouse

STAYS = 1_000_000
TABLES = {
    "stays": f"""
        select 'S' || i as stay_id, 'P' || (i % {STAYS // 3}) as person_id,
            lpad(cast((i % 40) * 10000 + 1 + i % 300 as varchar), 6, '0') as ccn,
            date '2022-01-01' + cast(i % 1300 as integer) as admit_date,
            date '2022-01-01' + cast(i % 1300 + 1 + i % 7 as integer) as discharge_date,
            ['01', '06', '03', '20'][1 + i % 4] as discharge_status, '1' as admit_type, '1' as admit_source, '291' as drg
        from range({STAYS}) as t(i)""",
    "diagnoses": f"""
        select 'S' || (i // 10) as stay_id, i % 10 + 1 as sequence, 'I50' || (i % 10) as code, 'Y' as poa
        from range({STAYS * 10}) as t(i)""",
    "persons": f"""
        select 'P' || i as person_id, date '1930-01-01' + cast(i % 9000 as integer) as birth_date,
            cast(1 + i % 2 as varchar) as sex
        from range({STAYS // 3}) as t(i)""",
}


def main(folder: Path) -> None:
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, DuckDB {duckdb.__version__}"
    )
    for suffix, form in (("parquet", "(format parquet)"), ("csv", "(header)")):
        place = folder / suffix
        place.mkdir(parents=True, exist_ok=True)
        for name, sql in TABLES.items():
            duckdb.execute(f"copy ({sql}) to '{place / name}.{suffix}' {form}")
        settings = Settings(data=place)
        working = folder / f"{suffix}.duckdb"
        working.unlink(missing_ok=True)
        wall, cpu = time.perf_counter(), time.process_time()
        with open_warehouse(working, settings) as warehouse:
            load_files(warehouse, place, settings)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"{suffix}: {time.perf_counter() - wall:.1f} s, {time.process_time() - cpu:.1f} CPU s, peak {memory:.2f} GB so far, "
            f"{settings.threads} threads, load {os.getloadavg()[0]:.1f}"
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))
