"""Tiny patient tables in, the tables of cohort, risk and payment out: the door through which tests run the SQL.

    warehouse = run_cohort(tables, program_years=[2028], as_of=date(2026, 11, 23), parameters={"pcs_gap": "unanimous"})
    warehouse.rows("select stay_id, included, reasons from cohort.cohort_flow")

`tables` maps the files of the canonical extract (docs/design.md) to rows, a row being a dict of column to value; a value may be
text, a number, a bool, a date or None. A file that is absent or empty counts as missing, and so does an optional column without
any value in the whole file. Numbers of records are given in order of the rows, the heading being record 1.

Everything runs in one DuckDB in memory that lives as long as the process: the reference tables are laid in once, and the tables
of the call before are replaced. Read what you need before the next call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from hrrp.intake.layout import CANONICAL
from hrrp.program import Reference
from hrrp.settings import Settings
from hrrp.warehouse import SqlStep, Warehouse, load_steps, open_warehouse

Rows = Sequence[Mapping[str, Any]]

GROUPS = ("staging", "cohort", "risk", "payment")
_OPEN = ExitStack()


def run_cohort(
    tables: Mapping[str, Rows],
    program_years: Sequence[int],
    as_of: date | None = None,
    parameters: Mapping[str, Any] | None = None,
    *,
    extract_end: date | None = None,
    steps: Sequence[SqlStep] | None = None,
    reference_rows: Mapping[str, Rows] | None = None,
    until: str | None = None,
) -> Warehouse:
    """Run every SQL step of staging, cohort, risk and payment over `tables` and return the warehouse with their results.

    `as_of` and `extract_end` are by default the last discharge date of `tables`, as for a run. `parameters` overrides rows of
    data/reference/parameters.csv. `steps` takes other SQL than the shipped one (mutation tests). `reference_rows` replaces whole
    reference tables for this call only. `until` names the table (or the whole group,
    as `staging`) that is needed: other tables may then be missing or old.
    """
    warehouse = _warehouse()
    _load_intake(warehouse, tables, program_years, as_of, extract_end)
    values = {name: each.value for name, each in _reference().parameters(dict(parameters or {})).items()}
    replaced = _replace_reference(warehouse, reference_rows or {})
    try:
        for step in _needed(tuple(steps) if steps is not None else runnable_steps(), until):
            warehouse.run_step(step, values)
    finally:
        for table in replaced:
            warehouse.execute(f'create or replace table reference."{table}" as select * from shipped."{table}"')
    return warehouse


@cache
def runnable_steps(folder: Path | None = None) -> tuple[SqlStep, ...]:
    """The SQL steps of staging, cohort, risk and payment that need no table made by Python, upstreams first."""
    made: set[str] = set()
    found = []
    for step in load_steps(folder):
        known = all(up in made or up.split(".")[0] in {"intake", "reference"} for up in step.upstreams)
        if known and step.group in GROUPS:
            made.add(step.name)
            found.append(step)
    return tuple(found)


@cache
def _reference() -> Reference:
    return Reference()


@cache
def _warehouse() -> Warehouse:
    warehouse = _OPEN.enter_context(open_warehouse(None, Settings(threads=1)))
    warehouse.load_reference(_reference())
    warehouse.execute("create schema shipped")
    for table in ("intake", "staging", "cohort", "risk", "payment", "result"):
        warehouse.execute(f"create schema if not exists {table}")
    return warehouse


def _replace_reference(warehouse: Warehouse, rows_by_table: Mapping[str, Rows]) -> list[str]:
    for table, rows in rows_by_table.items():
        warehouse.execute(f'create or replace table shipped."{table}" as select * from reference."{table}"')
        warehouse.execute(f'delete from reference."{table}"')
        for row in rows:
            names = ", ".join(f'"{name}"' for name in row)
            places = ", ".join(f"${name}" for name in row)
            warehouse.execute(f'insert into reference."{table}" ({names}) values ({places})', dict(row))
    return list(rows_by_table)


def _needed(steps: tuple[SqlStep, ...], until: str | None) -> list[SqlStep]:
    if until is None:
        return list(steps)
    by_name = {step.name: step for step in steps}
    wanted: set[str] = set()
    waiting = [name for name in by_name if until in (name, name.split(".")[0])]
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in wanted:
            wanted.add(name)
            waiting.extend(by_name[name].upstreams)
    return [step for step in steps if step.name in wanted]


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _load_intake(
    warehouse: Warehouse,
    tables: Mapping[str, Rows],
    program_years: Sequence[int],
    as_of: date | None,
    extract_end: date | None,
) -> None:
    unknown = set(tables) - set(CANONICAL)
    if unknown:
        raise ValueError(f"no such file in the canonical extract: {sorted(unknown)}")
    files, inputs, rejects = [], [], []
    for name, layout in CANONICAL.items():
        given = tables.get(name, ())
        columns = layout.column_names
        for row in given:
            if set(row) - set(columns) - {"source_file", "reject"}:
                raise ValueError(f"{name} has no column {sorted(set(row) - set(columns))}")
        texts = {column: [_text(row.get(column)) for row in given] for column in columns}
        frame = pd.DataFrame(texts, dtype=object)
        # A row may name its file; each file's records are numbered on their own.
        frame["source_file"] = [row.get("source_file", f"{name}.csv") for row in given]
        frame["row_number"] = frame.groupby("source_file").cumcount() + 2
        frame["reason"] = pd.Series([row.get("reject") for row in given], dtype=object)
        broken = frame["reason"].notna()
        rejects.append(frame.loc[broken, ["source_file", "row_number", "reason"]])
        kinds = {**dict.fromkeys(columns, "varchar"), "source_file": "varchar", "row_number": "bigint"}
        warehouse.write(f"intake.{name}", frame.loc[~broken, list(kinds)], kinds)
        for file, rows_read in Counter(frame["source_file"]).items():
            files.append({"source_file": file, "canonical_file": name, "rows_read": rows_read})
        if not layout.required:
            inputs.append({"input": name, "present": bool(given)})
        for column in layout.columns:
            if not column.required:
                filled = any(value is not None for value in texts[column.name])
                named = any(column.name in row for row in given)
                inputs.append({"input": f"{name}.{column.name}", "present": filled or (named and column.null_is_value)})
    _write_run(warehouse, files, pd.concat(rejects), inputs, tables, program_years, as_of, extract_end)


def _write_run(
    warehouse: Warehouse,
    files: list[dict[str, Any]],
    rejects: pd.DataFrame,
    inputs: list[dict[str, Any]],
    tables: Mapping[str, Rows],
    program_years: Sequence[int],
    as_of: date | None,
    extract_end: date | None,
) -> None:
    kinds = {
        "source_file": "varchar",
        "canonical_file": "varchar",
        "format": "varchar",
        "bytes": "bigint",
        "sha256": "varchar",
        "rows_read": "bigint",
    }
    warehouse.write("intake.source_files", pd.DataFrame(files), kinds)
    kinds = {
        "source_file": "varchar",
        "row_number": "bigint",
        "column_name": "varchar",
        "value_class": "varchar",
        "reason": "varchar",
    }
    warehouse.write("intake.structural_rejects", rejects.assign(value_class="record"), kinds)
    warehouse.write("intake.inputs", pd.DataFrame(inputs), {"input": "varchar", "present": "boolean"})
    ends = [_as_date(row.get("discharge_date")) for row in tables.get("stays", ())]
    known = [end for end in ends if end is not None]
    last = extract_end or (max(known) if known else date(1900, 1, 1))
    run = pd.DataFrame([{"as_of": as_of or last, "extract_end": last}])
    warehouse.write("intake.run", run, {"as_of": "date", "extract_end": "date"})
    years = pd.DataFrame({"program_year": list(program_years)})
    warehouse.write("intake.run_program_years", years, {"program_year": "integer"})


def _as_date(value: Any) -> date | None:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None
