"""A read-only SQLAlchemy dialect for DuckDB files, made for one user: Great Expectations.

Great Expectations knows no DuckDB; it takes any SQLAlchemy dialect, but closes its connection before it fetches the rows, and
keeps connections open that would hold the file's lock. So here the cursor fetches all rows while the statement runs (its answers
are a few numbers), a closed connection is really closed (NullPool), nothing can be written, and nothing outside the file reached.

`reader_url(path, settings)` gives the address while it holds the file open; importing this module registers `duckdb+reader`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
from sqlalchemy import pool, text, types
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine import URL

from hrrp.settings import Settings

_COLUMN_TYPES: dict[str, type[types.TypeEngine[Any]]] = {
    "BIGINT": types.BIGINT,
    "BOOLEAN": types.BOOLEAN,
    "DATE": types.DATE,
    "DECIMAL": types.DECIMAL,
    "DOUBLE": types.DOUBLE,
    "INTEGER": types.INTEGER,
    "SMALLINT": types.SMALLINT,
    "TIMESTAMP": types.TIMESTAMP,
    "VARCHAR": types.VARCHAR,
}


@contextmanager
def reader_url(path: Path, settings: Settings) -> Iterator[str]:
    """The SQLAlchemy address of the DuckDB file at `path`, read-only, under the settings' memory limit and threads.

    Within the block one connection stays open, so that the many short ones of Great Expectations share its buffers and cost
    next to nothing; after it the file is free again.
    """
    limits = {"memory_limit": settings.memory_limit, "threads": str(settings.threads)}
    url = URL.create("duckdb+reader", database=str(path.resolve()), query=limits)
    held = _Connection(str(path.resolve()), **limits)
    try:
        yield url.render_as_string()
    finally:
        held.close()


class _Cursor:
    """A DB-API cursor that holds all rows of its last statement in memory."""

    arraysize = 1
    lastrowid = None

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._rows: list[tuple[Any, ...]] = []
        self.description: list[tuple[Any, ...]] | None = None
        self.rowcount = -1

    def execute(self, statement: str, values: Sequence[Any] | None = None) -> None:
        result = self._connection.execute(statement, list(values) if values else None)
        if result.description is None:
            self.description, self._rows = None, []
            return
        # DB-API wants seven fields a column; DuckDB's nullability and sizes are of no use here.
        self.description = [(column[0], column[1], None, None, None, None, None) for column in result.description]
        self._rows = result.fetchall()
        self.rowcount = len(self._rows)

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        taken, self._rows = self._rows[: size or self.arraysize], self._rows[size or self.arraysize :]
        return taken

    def fetchall(self) -> list[tuple[Any, ...]]:
        taken, self._rows = self._rows, []
        return taken

    def setinputsizes(self, *sizes: Any) -> None:
        """DuckDB takes its types from the values."""

    def close(self) -> None:
        self._rows = []


class _Connection:
    """A DB-API connection that only reads, so there is nothing to commit or roll back."""

    def __init__(self, path: str, **limits: Any) -> None:
        config = {
            "enable_external_access": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            **limits,
        }
        self._connection = duckdb.connect(path, read_only=True, config=config)

    def cursor(self) -> _Cursor:
        return _Cursor(self._connection)

    def commit(self) -> None:
        """Nothing was written."""

    def rollback(self) -> None:
        """Nothing was written."""

    def close(self) -> None:
        self._connection.close()


# DuckDB's module has every DB-API exception but InterfaceError.
_DBAPI = SimpleNamespace(
    paramstyle="qmark",
    apilevel="2.0",
    threadsafety=1,
    connect=_Connection,
    InterfaceError=duckdb.Error,
    **{
        name: getattr(duckdb, name)
        for name in (
            "Error",
            "DatabaseError",
            "DataError",
            "IntegrityError",
            "InternalError",
            "NotSupportedError",
            "OperationalError",
            "ProgrammingError",
        )
    },
)


class Dialect(PGDialect):
    """DuckDB speaks PostgreSQL's SQL; its catalog is asked through DuckDB's own functions."""

    name = "duckdb"
    driver = "reader"
    supports_statement_cache = True
    default_paramstyle = "qmark"

    @classmethod
    def import_dbapi(cls) -> Any:
        return _DBAPI

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:
        return pool.NullPool

    def create_connect_args(self, url: URL) -> Any:
        return [url.database], dict(url.query)

    def initialize(self, connection: Any) -> None:
        # PostgreSQL's version decides which SQL is written; DuckDB follows a recent one.
        self.server_version_info = (15, 0)
        self.default_schema_name = "main"

    def on_connect(self) -> None:
        return None

    def do_ping(self, dbapi_connection: Any) -> bool:
        return True

    def get_schema_names(self, connection: Any, **kw: Any) -> Any:
        return list(connection.scalars(text("select distinct schema_name from duckdb_schemas() where not internal")))

    def get_table_names(self, connection: Any, schema: str | None = None, **kw: Any) -> Any:
        query = text("select table_name from duckdb_tables() where schema_name = :schema and not internal")
        return list(connection.scalars(query, {"schema": schema or "main"}))

    def get_view_names(self, connection: Any, schema: str | None = None, **kw: Any) -> Any:
        query = text("select view_name from duckdb_views() where schema_name = :schema and not internal")
        return list(connection.scalars(query, {"schema": schema or "main"}))

    def has_table(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> bool:
        return table_name in {*self.get_table_names(connection, schema), *self.get_view_names(connection, schema)}

    def get_columns(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> Any:
        query = text(
            "select column_name, data_type, is_nullable from duckdb_columns() "
            "where schema_name = :schema and table_name = :table order by column_index"
        )
        return [
            {
                "name": name,
                "type": _COLUMN_TYPES.get(kind.split("(")[0], types.NullType)(),
                "nullable": bool(nullable),
                "default": None,
            }
            for name, kind, nullable in connection.execute(query, {"schema": schema or "main", "table": table_name})
        ]

    def get_pk_constraint(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> Any:
        return {"constrained_columns": [], "name": None}

    def get_multi_columns(self, connection: Any, *args: Any, **kw: Any) -> Any:
        raise NotImplementedError  # SQLAlchemy then asks table by table


registry.register("duckdb.reader", __name__, "Dialect")
