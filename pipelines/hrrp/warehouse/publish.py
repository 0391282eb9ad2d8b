"""From the working file to the published ones: whole files put in place in one step, readers undisturbed.

A reader that has the old file open keeps it until it closes; one that opens afterwards sees the new one. The review database
holds tables of hospitals and rules only: no table with a column that points to a stay, a person or a row of the extract. Only where
the site says so (publish_patients) a second file beside it holds the tables of single stays, for users of the page who may see them.

Writing a nation's files takes both processors of a small machine for seconds while people read the last version, so it gives way to them.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from hrrp.settings import Settings
from hrrp.warehouse.database import Warehouse, open_warehouse

PATIENTS = "review_patients.duckdb"
POLITENESS = 10
CHECK_COLUMNS = {
    "table_name": "varchar",
    "check_name": "varchar",
    "description": "varchar",
    "passed": "boolean",
    "is_blocking": "boolean",
}
# Results of `hrrp replicate` and `hrrp reconcile` that the page shows, kept from run to run (hrrp.warehouse.proofs).
PROOFS, PROOF_TABLE = "proofs.json", "result.proofs"
PROOF_COLUMNS = {
    "kind": "varchar",
    "program_year": "integer",
    "ccn": "varchar",
    "report": "varchar",
    "made_at": "timestamp",
    "document": "varchar",
}
REVIEW_SCHEMAS = ("cohort", "payment", "reference", "result", "risk")
REVIEW_TABLES = (
    "intake.inputs",
    "intake.run",
    "intake.run_program_years",
    "intake.source_files",
    "staging.hospitals",
    "staging.row_accounting",
    "staging.skipped_rules",
)
# What the page's stays need: why a stay is in or out, its outcome, its risk factors and the rows that set them.
PATIENT_TABLES = (
    "cohort.cohort_flow",
    "cohort.earlier_stays",
    "cohort.period_stays",
    "cohort.readmissions",
    "cohort.return_candidates",
    "cohort.planned_stays",
    "cohort.stay_parts",
    "cohort.stay_sources",
    "cohort.stays",
    "intake.run",
    "risk.linear_predictors",
    "risk.risk_factor_sources",
    "risk.risk_factors",
    "staging.diagnoses",
    "staging.diagnosis_codes",
    "staging.history_diagnoses",
    "staging.history_procedures",
    "staging.persons",
    "staging.procedures",
    "staging.stays",
)
# Columns that point to one stay, person or record. Reference tables have dates and codes of rules, which nobody need hide.
_OF_A_PATIENT = re.compile(
    r"(.*_)?(stay|person|patient|beneficiary|claim)_(id|key|number)s?|mbi|medical_record_number|row_number"
    r"|(birth|death|admit|admission|discharge|service|procedure|readmission)_date"
)


def names_a_patient(columns: Iterable[str]) -> bool:
    """Whether a table with these columns has rows of single stays, persons or records."""
    return any(_OF_A_PATIENT.fullmatch(column) for column in columns)


def review_tables(warehouse: Warehouse) -> list[str]:
    """The tables of the open warehouse that may go into the review database."""
    columns: dict[str, list[str]] = {}
    for schema, table, column in warehouse.rows(
        "select schema_name, table_name, column_name from duckdb_columns() where not internal order by all"
    ):
        columns.setdefault(f"{schema}.{table}", []).append(column)
    return [
        table
        for table, names in sorted(columns.items())
        if table.startswith("reference.")
        or ((table.split(".")[0] in REVIEW_SCHEMAS or table in REVIEW_TABLES) and not names_a_patient(names))
    ]


T = TypeVar("T")


def giving_way(work: Callable[[], T]) -> T:
    """What `work` returns, done in a thread that has to wait where others want the processor, the database's own threads with it.

    A priority once lowered cannot be raised again, but it is a thread's (on Linux; elsewhere nothing is lowered).
    """

    def lower() -> None:
        if sys.platform == "linux":
            own = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, own, max(os.getpriority(os.PRIO_PROCESS, own), POLITENESS))

    with ThreadPoolExecutor(1, initializer=lower) as apart:
        return apart.submit(work).result()


def write_review(working: Path, target: Path, settings: Settings, checks: pd.DataFrame | None = None) -> list[str]:
    """Write the review database from the closed working file to `target`, which is replaced in one step; its tables.

    `checks` are the run's quality checks, for result.quality_checks, which stands in the review database alone, as do the kept
    results of replications and reconciliations (result.proofs). With
    `publish_patients` the tables of single stays go into review_patients.duckdb beside it; without, that file goes.
    """
    return giving_way(lambda: _write_review(working, target, settings, checks))


def _write_review(working: Path, target: Path, settings: Settings, checks: pd.DataFrame | None) -> list[str]:
    with open_warehouse(working, settings, read_only=True) as warehouse:
        tables = review_tables(warehouse)
    patients = target.with_name(PATIENTS)
    stays = None
    if settings.publish_patients:
        stays = _write_tables(working, patients, settings, _present(working, settings, PATIENT_TABLES), mode=0o600)
    made = {PROOF_TABLE: (proof_table(kept_proofs(target.parent)), PROOF_COLUMNS)}
    if checks is not None:
        made["result.quality_checks"] = (checks, CHECK_COLUMNS)
    review = _write_tables(working, target, settings, tables, made)
    # Both in place one right after the other, so that who reads them finds two of the same run.
    if stays is not None:
        put_in_place(stays, patients)
    else:
        _remove(patients)
    put_in_place(review, target)
    return [*tables, *made]


def kept_proofs(out: Path) -> list[dict[str, Any]]:
    """The kept proofs of an output folder, oldest first; a file that cannot be read holds none."""
    try:
        rows = json.loads((out / PROOFS).read_text(encoding="utf-8"))
        return [{name: row[name] for name in PROOF_COLUMNS} for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def proof_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The kept proofs as the table result.proofs."""
    table = pd.DataFrame(rows, columns=list(PROOF_COLUMNS))
    return table.assign(made_at=pd.to_datetime(table["made_at"]))


def _present(working: Path, settings: Settings, tables: Iterable[str]) -> list[str]:
    with open_warehouse(working, settings, read_only=True) as warehouse:
        found = {
            f"{schema}.{table}"
            for schema, table in warehouse.rows("select schema_name, table_name from duckdb_tables()")
        }
    return [table for table in tables if table in found]


def _write_tables(
    working: Path,
    target: Path,
    settings: Settings,
    tables: Iterable[str],
    made: Mapping[str, tuple[pd.DataFrame, Mapping[str, str]]] | None = None,
    *,
    mode: int | None = None,
) -> Path:
    """Copy tables of the closed working file into a new file beside `target`, with the given access mode; where it lies.

    `made` are tables that only the new file has: rows, and types by column.
    """
    partial = target.with_name(f"{target.name}.part")
    _remove(partial)
    with open_warehouse(partial, settings) as warehouse:
        if mode is not None:
            partial.chmod(mode)
        warehouse.execute(f"attach '{_quoted(working)}' as working (read_only)")
        for schema in sorted({table.split(".")[0] for table in tables}):
            warehouse.execute(f"create schema {schema}")
        for table in tables:
            schema, name = table.split(".")
            warehouse.execute(f'create table {schema}."{name}" as from working.{schema}."{name}"')
        warehouse.execute("detach working")
        for table, (rows, types) in (made or {}).items():
            warehouse.write(table, rows, types)
    return partial


def put_in_place(source: Path, target: Path) -> None:
    """Let the closed DuckDB file `source` take the place of `target`, in one step and so that it survives a power cut."""
    log = source.with_name(f"{source.name}.wal")
    if log.exists():
        raise RuntimeError(f"{source.name} was not closed: it still has a log.")
    with source.open("rb") as content:
        os.fsync(content.fileno())
    source.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def drop_others(warehouse: Warehouse, keep: Iterable[str]) -> list[str]:
    """Drop every table that is not in `keep` (one that an earlier version made, say); returns their names."""
    known = set(keep)
    found = warehouse.rows(
        "select schema_name, table_name, 'table' from duckdb_tables() where not internal "
        "union all select schema_name, view_name, 'view' from duckdb_views() where not internal order by all"
    )
    extra = [(schema, name, kind) for schema, name, kind in found if f"{schema}.{name}" not in known]
    for schema, name, kind in extra:
        warehouse.execute(f'drop {kind} {schema}."{name}"')
    return [f"{schema}.{name}" for schema, name, _ in extra]


def _quoted(path: Path) -> str:
    return str(path.resolve()).replace("'", "''")


def _remove(path: Path) -> None:
    for each in (path, path.with_name(f"{path.name}.wal")):
        each.unlink(missing_ok=True)
