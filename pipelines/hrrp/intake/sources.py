"""The sources other than the canonical extract, by name, and what adapting one of them gives.

An adapter describes its files (layout.py), and turns the raw records that the warehouse has read (`intake.raw_<file>`) into the
canonical tables. A canonical row names the raw record that it comes from: where one record gives several rows of a table (25
diagnoses, 12 months), the file's name carries which of them it is ("claims.csv > diagnosis 3"), so that file and record number
still name one row. Records that are none of the pipeline's business (a skilled nursing claim, a cancelled bill) are set aside and
counted by reason; they are no rejects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hrrp.intake.layout import CANONICAL, FileLayout, match
from hrrp.warehouse import FileRead, Warehouse

PART = " > "


@dataclass(frozen=True)
class SetAside:
    """How many records of a file were left out on purpose, and why."""

    source_file: str
    reason: str
    rows: int


@dataclass
class Adapted:
    """What an adapter did: notes for people, records set aside by reason, canonical columns that the source cannot have."""

    notes: list[str] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)
    absent: dict[str, set[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """One source: its name (`--layout`), what people call it, its files, and the function that makes the canonical tables.

    `adapt` gets the warehouse and the names of the files that are there; every `intake.raw_<file>` exists, empty where the file
    is not there.
    """

    name: str
    title: str
    files: tuple[FileLayout, ...]
    adapt: Callable[[Warehouse, set[str]], Adapted]

    def role_of(self, headings: Sequence[str]) -> FileLayout | None:
        """The file of this source that has these headings, if any: of those that fit, the one with the most required columns."""
        fitting = [layout for layout in self.files if not match(layout, headings).missing]
        return max(fitting, key=lambda layout: sum(column.required for column in layout.columns), default=None)

    def recognises(self, files: Iterable[Sequence[str]]) -> bool:
        """Whether every file that the source must have is among those with these headings."""
        roles = {role.name for headings in files if (role := self.role_of(headings)) is not None}
        return all(layout.name in roles for layout in self.files if layout.required)


def account(warehouse: Warehouse, raw: Mapping[str, Sequence[FileRead]]) -> list[tuple[str, FileRead]]:
    """The source files of the canonical tables, as intake.source_files lists them: one entry for each file and part of its records.

    rows_read counts the canonical rows that came of it, and for the file itself its structural rejects too.
    """
    files = {file.source_file: file for reads in raw.values() for file in reads}
    entries: dict[str, tuple[str, FileRead]] = {}
    for name in CANONICAL:
        counted = warehouse.rows(
            f"select source_file, count(*) from intake.{name} group by source_file order by source_file"  # noqa: S608
        )
        for source_file, rows in counted:
            base = files[source_file.split(PART)[0]]
            own = base.rejects if source_file == base.source_file else ()
            entries[source_file] = (
                name,
                replace(base, source_file=source_file, rows_read=rows + len(own), rejects=own, notes=()),
            )
    for file in files.values():
        if file.source_file not in entries and file.rejects:
            entries[file.source_file] = (
                _main_table(entries, file.source_file),
                replace(file, rows_read=len(file.rejects), notes=()),
            )
    return list(entries.values())


def _main_table(entries: Mapping[str, tuple[str, FileRead]], source_file: str) -> str:
    """The canonical table that most of a file's parts went to; stays where nothing of it could be used."""
    tables = [name for part, (name, _) in entries.items() if part.startswith(source_file + PART)]
    return max(set(tables), key=tables.count, default="stays")
