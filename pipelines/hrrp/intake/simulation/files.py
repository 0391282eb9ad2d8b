"""Columns that are cheap to hold and to write, and tables of them as Parquet or CSV files, the same bytes every time.

A file is written under a passing name and then takes its own, so that a reader never meets half of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

# One row group; also the rows written at once.
_ROWS_AT_ONCE = 131_072


class Column(Protocol):
    """One column of a table; `part` gives rows start to stop (not included) as an Arrow array."""

    def __len__(self) -> int: ...
    def part(self, start: int, stop: int) -> pa.Array: ...


@dataclass(frozen=True)
class Ids:
    """Identifiers `prefix` and `digits` digits. Where equal ones stand together (`repeated`), each is stored once."""

    prefix: str
    digits: int
    numbers: NDArray[np.integer[Any]]
    repeated: bool = False

    def __len__(self) -> int:
        return len(self.numbers)

    def part(self, start: int, stop: int) -> pa.Array:
        numbers = self.numbers[start:stop]
        if not self.repeated:
            return self._text(numbers)
        new = np.diff(numbers, prepend=-1) != 0
        return pa.DictionaryArray.from_arrays(pa.array((np.cumsum(new) - 1).astype(np.int32)), self._text(numbers[new]))

    def _text(self, numbers: NDArray[np.integer[Any]]) -> pa.Array:
        width = len(self.prefix) + self.digits
        characters = np.empty((len(numbers), width), dtype=np.uint8)
        characters[:, : len(self.prefix)] = np.frombuffer(self.prefix.encode(), dtype=np.uint8)
        rest = numbers.astype(np.int64)
        for place in range(width - 1, len(self.prefix) - 1, -1):
            rest, digit = np.divmod(rest, 10)
            characters[:, place] = digit + ord("0")
        offsets = np.arange(len(numbers) + 1, dtype=np.int32) * width
        return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(characters))


@dataclass(frozen=True)
class Labels:
    """Text from a list of different `labels`: `index` of each row in it, -1 for null."""

    labels: Sequence[str]
    index: NDArray[np.integer[Any]]

    def __len__(self) -> int:
        return len(self.index)

    def part(self, start: int, stop: int) -> pa.Array:
        index = self.index[start:stop].astype(np.int32)
        return pa.DictionaryArray.from_arrays(pa.array(index, mask=index < 0), pa.array(self.labels, pa.string()))


@dataclass(frozen=True)
class Days:
    """Dates as days since 1970-01-01, null where negative and `nullable`."""

    days: NDArray[np.int32]
    nullable: bool = False

    def __len__(self) -> int:
        return len(self.days)

    def part(self, start: int, stop: int) -> pa.Array:
        days = self.days[start:stop]
        return pa.array(days, mask=days < 0 if self.nullable else None).view(pa.date32())


@dataclass(frozen=True)
class Values:
    """Numbers or booleans; null where NaN."""

    values: NDArray[np.generic]

    def __len__(self) -> int:
        return len(self.values)

    def part(self, start: int, stop: int) -> pa.Array:
        values = self.values[start:stop]
        missing = np.isnan(values) if values.dtype.kind == "f" else None
        return pa.array(values, mask=missing)


@dataclass(frozen=True)
class Derived:
    """A column whose parts are made when they are written, from row numbers: `make(start, stop)` gives another column's
    part.
    """

    length: int
    make: Callable[[int, int], Column]

    def __len__(self) -> int:
        return self.length

    def part(self, start: int, stop: int) -> pa.Array:
        made = self.make(start, stop)
        return made.part(0, len(made))


Table = Mapping[str, Column]


@dataclass(frozen=True)
class Written:
    """One file as it lies on disk."""

    name: str
    rows: int
    bytes: int


def rows_of(table: Table) -> int:
    """Number of rows; every column has as many."""
    return len(next(iter(table.values())))


def write_table(path: Path, table: Table) -> Written:
    """Write `table` to `path`, as Parquet or CSV by its ending. Returns what was written, named by the file's own
    name.
    """
    passing = path.with_name(f".{path.name}.part")
    rows = rows_of(table)
    write = _write_parquet if path.suffix == ".parquet" else _write_csv
    try:
        write(passing, table, rows)
        passing.replace(path)
    finally:
        passing.unlink(missing_ok=True)
    return Written(path.name, rows, path.stat().st_size)


def _part(table: Table, start: int, stop: int) -> pa.Table:
    return pa.table({name: column.part(start, stop) for name, column in table.items()})


def _write_parquet(path: Path, table: Table, rows: int) -> None:
    import pyarrow.parquet as pq

    schema = _part(table, 0, 0).schema
    dates = [field.name for field in schema if pa.types.is_date(field.type)]
    # Dictionaries where values repeat and minima and maxima where they help a reader: elsewhere they only cost time.
    settings = {
        "compression": "zstd",
        "compression_level": 1,
        "version": "2.6",
        "use_dictionary": dates + [field.name for field in schema if pa.types.is_dictionary(field.type)],
        "write_statistics": dates or False,
    }
    with pq.ParquetWriter(path, schema, **settings) as writer:
        for start in range(0, rows, _ROWS_AT_ONCE):
            writer.write_table(_part(table, start, min(start + _ROWS_AT_ONCE, rows)), row_group_size=_ROWS_AT_ONCE)


def _write_csv(path: Path, table: Table, rows: int) -> None:
    import pyarrow.csv as csv

    def plain(part: pa.Table) -> pa.Table:
        columns = [
            column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column for column in part.columns
        ]
        return pa.table(columns, names=part.column_names)

    # Identifiers, codes and invented names hold no comma, quote or line break.
    options = csv.WriteOptions(quoting_style="none", quoting_header="none")
    with csv.CSVWriter(path, plain(_part(table, 0, 0)).schema, write_options=options) as writer:
        for start in range(0, rows, _ROWS_AT_ONCE):
            writer.write_table(plain(_part(table, start, min(start + _ROWS_AT_ONCE, rows))))


def write_tables(folder: Path, tables: Mapping[str, Table], threads: int | None = None) -> list[Written]:
    """Write every table under its file name (with ending), several at once; the bytes do not depend on `threads`."""
    workers = threads or min(2, os.cpu_count() or 1)
    # The largest first, so that no worker ends up alone with it.
    largest_first = sorted(tables, key=lambda name: -rows_of(tables[name]) * len(tables[name]))
    with ThreadPoolExecutor(workers) as pool:
        written = list(pool.map(lambda name: write_table(folder / name, tables[name]), largest_first))
    by_name = {file.name: file for file in written}
    return [by_name[name] for name in tables]
