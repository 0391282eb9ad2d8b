"""Open a DuckDB file under the site's limits, run steps in it, move small results in and out.

Each step opens the working file, writes, and closes it. Extensions are never installed by themselves, and nothing outside the
given files is reached. An error of a step names its table and the statement's kind of fault, never a value of a row.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from hrrp.errors import InputContractError
from hrrp.program import Reference
from hrrp.settings import Settings
from hrrp.warehouse.steps import SqlStep

if TYPE_CHECKING:
    # Whoever only runs SQL does not wait half a second for data frames.
    import numpy as np
    import pandas as pd

SCHEMAS = ("reference", "intake", "staging", "cohort", "risk", "payment", "result")

# What a view over a file says (behind the file's name) once the file is no longer the one that was accounted for.
CHANGED = "has changed since it was read. Wait until it is written, and run again."

# What the steps may call. A flag is mostly written true or false; only another way of writing it needs a closer look. A month is
# counted: its year times 12, plus its number. Among any 120 months in a row each has a bit of its own.
MACROS = (
    "create or replace temp macro as_flag(value) as "
    "case value when 'true' then true when 'false' then false else try_cast(trim(value) as boolean) end",
    "create or replace temp macro month_of(day) as cast(year(day) * 12 + month(day) as integer)",
    "create or replace temp macro as_month(value) as "
    "case when regexp_matches(trim(value), '^[0-9]{4}-[0-9]{2}') "
    "then month_of(try_cast(left(trim(value), 7) || '-01' as date)) end",
    "create or replace temp macro month_bit(number) as 1::hugeint << (number % 120)",
    "create or replace temp macro as_dual_code(value) as "
    "case when length(trim(value)) = 1 then '0' || trim(value) else nullif(upper(trim(value)), '') end",
    # A date as its file has it, or an ISO date (2025-06-30); a time of day behind it is left out.
    "create or replace temp macro as_date(value) as case when typeof(value) = 'DATE' then try_cast(value as date) "
    "when cast(value as varchar) like '____-__-__%' then try_cast(cast(value as varchar) as date) end",
)


class StepError(RuntimeError):
    """A SQL step failed; a fault of the program."""


class Warehouse:
    """One open DuckDB connection; made by `open_warehouse`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path | None, spill: Path) -> None:
        self._connection = connection
        self.path = path
        self._spill = spill

    def run_step(self, step: SqlStep, values: Mapping[str, Any]) -> int:
        """(Re)make the step's table from its SQL with exactly the parameters that it names; returns its number of rows."""
        missing = [name for name in step.parameters if name not in values]
        if missing:
            raise StepError(f"{step.name}: no value for parameter {', '.join('$' + name for name in missing)}.")
        given = {name: values[name] for name in step.parameters}
        self._connection.execute(f"create schema if not exists {step.group}")
        try:
            self._connection.execute(f"create or replace table {step.name} as\n{step.sql}", given or None)
        except duckdb.Error as error:
            self._refuse_files(step.upstreams)
            raise StepError(f"{step.name}: {type(error).__name__} in {step.path.name}: {_safe(error)}") from error
        return self.count(step.name)

    def _refuse_files(self, tables: Sequence[str]) -> None:
        """Raise InputContractError if it is a file under one of the tables that cannot be read (any more), and not the step."""
        for table in set(tables) & set(self._views()):
            try:
                self._connection.execute(f"select count(hash(columns(*))) from {table}").fetchall()  # noqa: S608
            except duckdb.OutOfMemoryException:
                return
            except duckdb.Error as error:
                # Our own sentence names the file alone; DuckDB's may hold more.
                if CHANGED in str(error):
                    raise InputContractError(str(error).removeprefix("Invalid Input Error: ")) from None
                raise InputContractError(
                    f"{table.split('.')[1]}: a Parquet file is missing, damaged or cut off. Write it again, and run again."
                ) from None

    def _views(self) -> list[str]:
        names = self._connection.execute(
            "select schema_name || '.' || view_name from duckdb_views() where not internal order by 1"
        ).fetchall()
        return [name for (name,) in names]

    def clear(self, table: str) -> None:
        """Make room for a table: its schema is there and it is not, be it a table or a view."""
        self._connection.execute(f"create schema if not exists {table.split('.')[0]}")
        kind = "view" if table in self._views() else "table"
        self._connection.execute(f"drop {kind} if exists {table}")

    def write(self, table: str, rows: pd.DataFrame, types: Mapping[str, str]) -> int:
        """(Re)make `table` from a data frame with the given columns and DuckDB types; returns its number of rows."""
        import pandas as pd

        schema = table.split(".")[0]
        self._connection.execute(f"create schema if not exists {schema}")
        frame = rows.reindex(columns=list(types)) if len(rows.columns) else pd.DataFrame(columns=list(types))
        self._connection.register("written_rows", frame)
        columns = ", ".join(f'cast("{name}" as {kind}) as "{name}"' for name, kind in types.items())
        try:
            self._connection.execute(f"create or replace table {table} as select {columns} from written_rows")  # noqa: S608
        finally:
            self._connection.unregister("written_rows")
        return self.count(table)

    def append(self, table: str, rows: pd.DataFrame) -> None:
        """Add the rows of a data frame to a table, columns matched by name."""
        self._connection.register("appended_rows", rows)
        try:
            self._connection.execute(f"insert into {table} by name select * from appended_rows")  # noqa: S608
        finally:
            self._connection.unregister("appended_rows")

    def spill_folder(self) -> Path:
        """Folder for what must lie on disk for a moment (it holds patients' rows): beside the working file, for its owner only."""
        self._spill.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._spill

    def read(self, sql: str, values: Mapping[str, Any] | Sequence[Any] | None = None) -> pd.DataFrame:
        """Rows of a query as a data frame; values are bound."""
        return self._connection.execute(sql, values).df()

    def arrays(self, sql: str, values: Mapping[str, Any] | Sequence[Any] | None = None) -> dict[str, np.ndarray]:
        """Columns of a query as numpy arrays, without pandas between; values are bound."""
        return dict(self._connection.execute(sql, values).fetchnumpy())

    def rows(self, sql: str, values: Mapping[str, Any] | Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows of a small query as tuples; values are bound."""
        return self._connection.execute(sql, values).fetchall()

    def records(self, sql: str, values: Mapping[str, Any] | Sequence[Any] | None = None) -> list[dict[str, Any]]:
        """Rows of a small query as dictionaries of plain Python values, missing ones None: a tenth of what a data frame takes."""
        found = self._connection.execute(sql, values)
        names = [column[0] for column in found.description or ()]
        return _as_records(names, found.fetchall())

    @contextmanager
    def beside(self) -> Iterator[Warehouse]:
        """A second connection to what this one has open, at a hundredth of the cost of opening it, and for another thread."""
        connection = self._connection.cursor()
        try:
            yield Warehouse(connection, self.path, self._spill)
        finally:
            connection.close()

    def execute(self, sql: str, values: Mapping[str, Any] | Sequence[Any] | None = None) -> None:
        """Run a statement without a result; values are bound."""
        self._connection.execute(sql, values)

    def count(self, table: str) -> int:
        """Number of rows of a table."""
        return int(self._connection.execute(f"select count(*) from {table}").fetchall()[0][0])  # noqa: S608

    def tables(self) -> dict[str, int]:
        """Every table with its number of rows; that of a view over files is the number that was read when it was made."""
        names = self._connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where not internal order by 1"
        ).fetchall()
        counts = {name: self.count(name) for (name,) in names}
        for view in self._views():
            [[counts[view]]] = self._connection.execute(
                "select coalesce(sum(rows_read), 0)::bigint from intake.source_files where canonical_file = $name",
                {"name": view.split(".")[1]},
            ).fetchall()
        return dict(sorted(counts.items()))

    def load_reference(self, reference: Reference) -> None:
        """Lay every reference table into schema `reference`, typed as the data dictionary says (varchar where it is silent)."""
        import pyarrow as pa

        kinds = {
            (row["table_name"], row["column_name"]): row["type"]
            for row in reference.rows("data_dictionary")
            if row["table_name"].startswith("reference.")
        }
        self._connection.execute("create schema if not exists reference")
        for table in reference.table_names():
            rows = reference.rows(table)
            # A table that ships without rows (a site's own) has the columns of the data dictionary.
            columns = list(rows[0]) if rows else [name for owner, name in kinds if owner == f"reference.{table}"]
            texts = pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in columns})
            self._connection.register("reference_rows", texts)
            picked = ", ".join(
                f'cast(nullif("{name}", \'\') as {kinds.get((f"reference.{table}", name), "varchar")}) as "{name}"'
                for name in columns
            )
            self._connection.execute(
                f'create or replace table reference."{table}" as select {picked} from reference_rows'  # noqa: S608
            )
            self._connection.unregister("reference_rows")


def _as_records(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [{name: None if value != value else value for name, value in zip(names, row, strict=True)} for row in rows]


def _safe(error: duckdb.Error) -> str:
    """The part of a DuckDB message that cannot carry a value of a row."""
    text = str(error)
    if isinstance(error, (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)):
        return text
    return "the message is withheld because it may show a value of the data"


@contextmanager
def open_warehouse(path: Path | None, settings: Settings, *, read_only: bool = False) -> Iterator[Warehouse]:
    """Open the DuckDB file at `path` (None: in memory) under the settings' memory limit and threads, and close it after.

    One writer or many readers: a second process that finds the file locked gets DuckDB's IOException.
    """
    # Rows that do not fit into memory lie beside the working file; those of a warehouse in memory in a private folder.
    spill = path.parent / "spill" if path is not None else Path(tempfile.mkdtemp(prefix="hrrp-spill-"))
    config: dict[str, Any] = {
        "threads": settings.threads,
        "memory_limit": settings.memory_limit,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    if read_only:
        # A reader reaches nothing but its file, whatever it is asked.
        config |= {"enable_external_access": False, "lock_configuration": True}
    else:
        # What is not written yet is written once, at the end, instead of in the middle of whichever step comes upon the limit.
        config["checkpoint_threshold"] = "1GB"
        spill.parent.mkdir(parents=True, exist_ok=True)
        config["temp_directory"] = str(spill)
    try:
        connection = duckdb.connect(str(path) if path is not None else ":memory:", read_only=read_only, config=config)
        try:
            for macro in () if read_only else MACROS:
                connection.execute(macro)
            yield Warehouse(connection, path, spill)
        finally:
            connection.close()
    finally:
        if path is None:
            shutil.rmtree(spill, ignore_errors=True)
