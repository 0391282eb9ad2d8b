"""Read one described file into a table: every value as text, every record with its file and its number.

Intake says which files there are and which heading feeds which column; this module only takes records in. The heading is record
1, blank lines are no records, and a quoted line break does not begin one. What cannot be taken apart into fields (too few or too
many of them, a broken quotation mark, bytes that are not text) is a structural reject; what a value means is for staging to judge.

Delimited text takes one of two ways. A file whose bytes hold nothing odd goes straight through DuckDB's reader, and its answer
counts only if it found exactly one record a line. Every other file is first sieved here, record by record: the good ones go
into a clean copy that carries their numbers, the rest are listed. DuckDB's own list of rejected lines is not used: it holds the
text of rows, and its line numbers drift after a quoted line break.

A table whose files are all plain Parquet is not copied: it is a view that reads them where they lie, in the same form (but for
`as_typed` columns), and refuses to answer once a file is no longer the one that was accounted for.

Whatever the file, no text has spaces around it, and an empty one is null.

No message of this module shows the text of a record, and none of DuckDB's is passed on.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, time
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Literal

import duckdb

from hrrp.errors import InputContractError
from hrrp.warehouse.database import CHANGED, Warehouse

Format = Literal["csv", "parquet", "excel"]

DELIMITERS = {",": "comma", "|": "pipe", "\t": "tab", ";": "semicolon"}
SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "csv",
    ".psv": "csv",
    ".dat": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "excel",
    ".xlsm": "excel",
}
# A real line break inside a value is a matter of a few lines; a quotation mark that stays open longer was never closed.
LONGEST_QUOTED_LINES = 100
LONGEST_HEADING = 1 << 20
LONGEST_RECORD = 1_000_000
CHUNK = 1 << 22
EXCEL_ROWS = 20_000


@dataclass(frozen=True)
class Member:
    """One file of an extract: on disk, or inside a zip archive (`inner`). `name` is what lineage and messages call it."""

    path: Path
    name: str
    inner: str | None = None

    @property
    def file_name(self) -> str:
        """The last part of the name, without a folder."""
        return (self.inner or self.path.name).replace("\\", "/").rsplit("/", 1)[-1]

    @property
    def is_gzip(self) -> bool:
        return self.file_name.lower().endswith(".gz")

    @property
    def suffix(self) -> str:
        """The suffix that says the format, in lower case, `.gz` set aside."""
        name = self.file_name.lower().removesuffix(".gz")
        return Path(name).suffix

    @property
    def stem(self) -> str:
        """The file's name without folder and suffixes, in lower case."""
        return Path(self.file_name.lower().removesuffix(".gz")).stem


@dataclass(frozen=True)
class Heading:
    """A file whose heading has been read: its format, delimiter and the headings in their order, spaces around them removed.

    `types` are DuckDB's names of the columns' types, for Parquet only.
    """

    member: Member
    format: Format
    delimiter: str
    names: tuple[str, ...]
    types: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Field:
    """One column of the table and where in the file it comes from (`position` in the heading; None: not in the file, null throughout).

    `kind` and `width` matter for typed files (Parquet, Excel) only: a time stamp in a date column becomes its ISO date, a number
    in a code column gets back the leading zeros that a number cannot hold. `free_text` columns may hold letters beyond ASCII in a
    file that is not UTF-8, and line breaks; in any other column both are damage. An `as_typed` column stays a number or a date where
    a table is a view over files that have it as one: what a nation's rows cost is turning them into text and back.
    """

    column: str
    position: int | None
    kind: Literal["text", "date", "month"] = "text"
    width: int = 0
    free_text: bool = False
    as_typed: bool = False


@dataclass(frozen=True)
class StructuralReject:
    """A record that could not be taken apart into fields."""

    row_number: int
    column_name: str | None
    value_class: str
    reason: str


@dataclass(frozen=True)
class FileRead:
    """What reading one file came to. rows_read = rows in the table + structural rejects."""

    source_file: str
    format: str
    bytes: int
    sha256: str
    rows_read: int
    rejects: tuple[StructuralReject, ...] = ()
    notes: tuple[str, ...] = ()


# ---------------------------------------------------------------------------------------------------------------------
# Finding files
# ---------------------------------------------------------------------------------------------------------------------


def list_members(place: Path, apart: Path | None = None) -> list[Member]:
    """The readable files of a folder (with its subfolders), of a zip archive, or the one file itself, in a stable order.

    Hidden files, what other programs leave beside data (`_SUCCESS`, `__MACOSX`), and what lies in the folder `apart` (a run's own
    results, where they are written below the extract) are passed over. Raises InputContractError where the place is missing or
    cannot be opened.
    """
    if not place.exists():
        raise InputContractError(
            f"{place}: there is no such folder or file. Pass the folder that holds the extract (stays, diagnoses, persons, ...)."
        )
    if place.is_file():
        return _zip_members(place, place.name) if place.suffix.lower() == ".zip" else [Member(place, place.name)]
    # Results above the extract, or in the same folder, are no folder of their own below it.
    own = apart.resolve() if apart is not None and place.resolve() in apart.resolve().parents else None
    found: list[Member] = []
    for path in sorted(place.rglob("*"), key=lambda path: path.relative_to(place).as_posix()):
        parts = path.relative_to(place).parts
        if any(part.startswith((".", "_")) for part in parts) or (
            own is not None and path.resolve().is_relative_to(own)
        ):
            continue
        name = "/".join(parts)
        if path.is_dir():
            if path.suffix.lower() in SUFFIXES and not any(path.iterdir()):
                raise InputContractError(f"{name} is an empty folder where a file was expected.")
        elif path.suffix.lower() == ".zip":
            found.extend(_zip_members(path, name))
        else:
            found.append(Member(path, name))
    return found


def _zip_members(path: Path, name: str) -> list[Member]:
    try:
        with zipfile.ZipFile(path) as archive:
            inner = sorted((info for info in archive.infolist() if not info.is_dir()), key=lambda info: info.filename)
    except (zipfile.BadZipFile, OSError):
        raise InputContractError(
            f"{name} is not a complete zip archive: it is damaged, cut off, or named .zip by mistake. Copy it again."
        ) from None
    members = []
    for info in inner:
        parts = info.filename.replace("\\", "/").split("/")
        if any(part.startswith((".", "_")) for part in parts):
            continue
        if info.flag_bits & 1:
            raise InputContractError(f"{name} is protected by a password: unpack it and pass the folder.")
        members.append(Member(path, f"{name}/{info.filename}", info.filename))
    return members


# ---------------------------------------------------------------------------------------------------------------------
# Headings
# ---------------------------------------------------------------------------------------------------------------------


def read_heading(member: Member) -> Heading:
    """Recognise the file's format by its content and read its headings.

    Raises InputContractError for a file that is empty, not what its name says, damaged, or no table.
    """
    try:
        with _stream(member) as stream:
            start = stream.read(LONGEST_HEADING)
    except IsADirectoryError:
        raise InputContractError(f"{member.name} is a folder where a file was expected.") from None
    except PermissionError:
        raise InputContractError(
            f"{member.name} cannot be read: permission is denied. Ask for the right to read it."
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile):
        raise _cut_off_archive(member) from None
    if not start.strip():
        raise InputContractError(f"{member.name} is empty. A heading line and at least one row were expected.")
    named = SUFFIXES.get(member.suffix, "csv")
    _refuse_disguise(member, named, start)
    if named == "parquet":
        return _parquet_heading(member)
    if named == "excel":
        return _excel_heading(member)
    return _csv_heading(member, start)


def _refuse_disguise(member: Member, named: Format, start: bytes) -> None:
    """Raise where the first bytes are of another kind of file than the name says."""
    found = None
    if start[:4] == b"PK\x03\x04":
        found = "an Excel workbook" if b"xl/" in start or b"[Content_Types].xml" in start[:4096] else "a zip archive"
    elif start[:2] == b"\x1f\x8b":
        found = "a gzip archive"
    elif start[:4] == b"PAR1":
        found = "a Parquet file"
    elif start[:4] == b"\xd0\xcf\x11\xe0":
        found = "an old Excel workbook (.xls) or one with a password"
    elif start[:5] == b"%PDF-":
        found = "a PDF document"
    elif start.lstrip()[:1] == b"<" and named == "csv":
        found = "a web page or XML document"
    fits = {"csv": None, "parquet": "a Parquet file", "excel": "an Excel workbook"}[named]
    if found == fits:
        if found is None:
            _refuse_wide_text(member, start)
        return
    remedy = {
        "an Excel workbook": "Save it as CSV (UTF-8), or give it the suffix .xlsx.",
        "a zip archive": "Unpack it, or give it the suffix .zip.",
        "a gzip archive": "Unpack it, or add the suffix .gz.",
        "a Parquet file": "Give it the suffix .parquet.",
    }.get(found or "", "Export it again as CSV (UTF-8) or Parquet.")
    what = found or "something else"
    raise InputContractError(
        f"{member.name}: {fits or 'delimited text'} was expected from its name, but by its content it is {what}. {remedy}"
    )


def _refuse_wide_text(member: Member, start: bytes) -> None:
    """Raise for UTF-16, UTF-32 and files that are no text at all."""
    head = start[:4096]
    if (
        head[:2] in (b"\xff\xfe", b"\xfe\xff")
        or (head.count(0) * 3 > len(head) and not head[::2].strip(b"\0"))
        or (head.count(0) * 3 > len(head) and not head[1::2].strip(b"\0"))
    ):
        raise InputContractError(
            f"{member.name} is encoded as UTF-16; UTF-8 was expected. Save it again as 'CSV UTF-8' (or: iconv -f UTF-16 -t UTF-8)."
        )
    if b"\0" in head:
        raise InputContractError(
            f"{member.name} is not a text file (it holds zero bytes). Export it again as CSV (UTF-8) or Parquet."
        )


def _csv_heading(member: Member, start: bytes) -> Heading:
    if b"\r" in start and b"\n" not in start:
        raise InputContractError(
            f"{member.name} ends its lines with carriage returns alone (old Macintosh); save it with LF or CRLF line ends."
        )
    text = start.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace").lstrip("\r\n")
    line = text.split("\n", 1)[0].rstrip("\r")
    delimiter = max(DELIMITERS, key=lambda sign: len(next(csv.reader([line], delimiter=sign))))
    # A quoted heading may itself hold a line break, so all of the text is offered.
    names = next(csv.reader(io.StringIO(text), delimiter=delimiter)) if '"' in line else line.split(delimiter)
    if len(names) < 2:
        raise InputContractError(
            f"{member.name}: the heading line has one column only. Columns separated by comma, pipe, tab or semicolon were expected."
        )
    while names and not names[-1].strip():
        names.pop()
    return Heading(member, "csv", delimiter, tuple(name.strip() for name in names))


def _parquet_heading(member: Member) -> Heading:
    with _local(member, None) as path, duckdb.connect(config=_PEEK) as connection:
        try:
            columns = connection.execute(
                "select column_name, column_type from (describe select * from read_parquet($path, binary_as_string = true))",
                {"path": str(path)},
            ).fetchall()
        except duckdb.Error:
            raise InputContractError(
                f"{member.name} is not a complete Parquet file: it is damaged or cut off. Write it again."
            ) from None
    return Heading(
        member, "parquet", "", tuple(name.strip() for name, _ in columns), tuple(kind for _, kind in columns)
    )


_PEEK = {"threads": 1, "autoinstall_known_extensions": False, "autoload_known_extensions": False}


def _excel_heading(member: Member) -> Heading:
    with _workbook(member) as (sheet, others):
        names = next((row for _, row in _excel_rows(sheet) if any(value is not None for value in row)), [])
    while names and names[-1] is None:
        names.pop()
    if len(names) < 2:
        raise InputContractError(
            f"{member.name}: the first filled row of the first sheet is no row of column names (it has fewer than two values). "
            "Remove what stands above the column names"
            + (", or put the table on the first sheet (only that is read)" if others else "")
            + "."
        )
    notes = (f"{member.name}: only the first sheet is read; {others} more left aside",) if others else ()
    return Heading(member, "excel", "", tuple(str(name or "").strip() for name in names), notes=notes)


# ---------------------------------------------------------------------------------------------------------------------
# Opening
# ---------------------------------------------------------------------------------------------------------------------


@contextmanager
def _stream(member: Member) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked."""
    if member.inner is None:
        with member.path.open("rb") as raw:
            yield gzip.GzipFile(fileobj=raw) if member.is_gzip else raw  # type: ignore[misc]
    else:
        with zipfile.ZipFile(member.path) as archive, archive.open(member.inner) as raw:
            yield gzip.GzipFile(fileobj=raw) if member.is_gzip else raw  # type: ignore[misc]


@contextmanager
def _local(member: Member, folder: Path | None) -> Iterator[Path]:
    """The file as a plain file on disk: itself, or unpacked into a private folder that is removed afterwards."""
    if member.inner is None and not member.is_gzip:
        yield member.path
        return
    with tempfile.TemporaryDirectory(prefix="hrrp-", dir=folder) as private:
        target = Path(private) / f"unpacked{member.suffix}"
        try:
            with _stream(member) as packed, target.open("wb") as plain:
                shutil.copyfileobj(packed, plain, CHUNK)
        except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile):
            raise _cut_off_archive(member) from None
        yield target


def _cut_off_archive(member: Member) -> InputContractError:
    kind = "gzip" if member.is_gzip else "zip"
    return InputContractError(
        f"{member.name} is not a complete {kind} archive: it is damaged, cut off, or named so by mistake. Copy it again."
    )


@lru_cache(maxsize=64)
def _fingerprint(path: Path, size: int, changed: int) -> str:
    """SHA-256 of a file as it lies on disk (an archive whole); size and time of change are in the key of the cache."""
    digest = hashlib.sha256()
    with path.open("rb") as raw:
        while chunk := raw.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


# ---------------------------------------------------------------------------------------------------------------------
# Reading
# ---------------------------------------------------------------------------------------------------------------------


def read_file(warehouse: Warehouse, table: str, heading: Heading, fields: Sequence[Field]) -> FileRead:
    """Add the file's records to `table`, whose columns are those of `fields`, then source_file and row_number.

    Raises InputContractError for a file that cannot be read whole: an unterminated quotation mark, no record that fits its
    heading, a cut-off end, a change while it is read.
    """
    member = heading.member
    before = member.path.stat()
    readers = {"csv": _read_csv, "parquet": _read_parquet, "excel": _read_excel}
    rows, rejects, notes = readers[heading.format](warehouse, table, heading, tuple(fields))
    after = member.path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise InputContractError(f"{member.name} changed while it was read. Wait until it is written, and run again.")
    return FileRead(
        source_file=member.name,
        format=heading.format,
        bytes=after.st_size,
        sha256=_fingerprint(member.path, after.st_size, after.st_mtime_ns),
        rows_read=rows + len(rejects),
        rejects=tuple(rejects),
        notes=(*heading.notes, *notes),
    )


def can_stay(heading: Heading) -> bool:
    """Whether the file can be read where it lies: plain Parquet, in no archive, its path without signs that stand for other paths."""
    member = heading.member
    return (
        heading.format == "parquet"
        and member.inner is None
        and not member.is_gzip
        and not set(str(member.path.resolve())) & set("*?[]{}")
    )


def read_in_place(warehouse: Warehouse, table: str, files: Sequence[tuple[Heading, Sequence[Field]]]) -> list[FileRead]:
    """Make `table` a view over Parquet files (those of which `can_stay` is true), with the columns that `read_file` would fill.

    Copying a nation's diagnoses as text takes ten times as long as reading them.
    """
    selects: list[str] = []
    found: list[FileRead] = []
    for heading, fields in files:
        member, status = heading.member, heading.member.path.stat()
        changed = f"{member.name} {CHANGED}"
        picked = ", ".join(f"{_picked_in_place(item, heading)} as {item.column}" for item in fields)
        path = _literal(str(member.path.resolve()))
        selects.append(
            f"select {picked}, {_literal(member.name)} as source_file, file_row_number + 2 as row_number "  # noqa: S608
            f"from {_parquet_source(path, heading)} where ("
            f"select if(size = {status.st_size} and epoch(last_modified) = {status.st_mtime_ns // 10**9}, true, "
            f"error({_literal(changed)})) from read_blob({path}))"
        )
        found.append(
            FileRead(
                source_file=member.name,
                format=heading.format,
                bytes=status.st_size,
                sha256=_fingerprint(member.path, status.st_size, status.st_mtime_ns),
                rows_read=warehouse.count(f"read_parquet({path})"),
                notes=(*heading.notes, *_parquet_notes(heading, fields)),
            )
        )
    warehouse.clear(table)
    warehouse.execute(f"create view {table} as {' union all '.join(selects)}")
    return found


def make_table(warehouse: Warehouse, table: str, columns: Sequence[str]) -> None:
    """(Re)make an empty table of text columns with the lineage columns behind them."""
    warehouse.clear(table)
    named = "".join(f'"{column}" varchar, ' for column in columns)
    warehouse.execute(f"create table {table} ({named}source_file varchar, row_number bigint)")


def _literal(text: str) -> str:
    """`text` as a SQL string; for places that take no bound value (the options of a reader)."""
    return "'" + text.replace("'", "''") + "'"


# --- delimited text ---


@dataclass
class _Profile:
    """What one pass over the bytes of a delimited file tells."""

    lines: int = 0
    blank_tail: int = 0
    quotes: int = 0
    zeros: int = 0
    stray_returns: int = 0
    has_spaces: bool = False
    is_utf8: bool = True

    @property
    def is_plain(self) -> bool:
        """Nothing that only the sieve can tell apart."""
        return self.is_utf8 and not self.zeros and not self.stray_returns and self.quotes % 2 == 0


def _profile(path: Path) -> _Profile:
    found = _Profile()
    decoder = codecs.getincrementaldecoder("utf-8")()
    ascii_so_far = True
    last = b""
    with path.open("rb") as raw:
        while chunk := raw.read(CHUNK):
            found.lines += chunk.count(b"\n")
            found.quotes += chunk.count(b'"')
            found.zeros += chunk.count(b"\0")
            found.has_spaces = found.has_spaces or b" " in chunk
            # A return that no line feed follows; the pair may be split between two chunks.
            found.stray_returns += chunk.count(b"\r") - chunk.count(b"\r\n")
            if last == b"\r" and chunk[:1] == b"\n":
                found.stray_returns -= 1
            last = chunk[-1:]
            ascii_so_far = ascii_so_far and chunk.isascii()
            if not ascii_so_far and found.is_utf8:
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    found.is_utf8 = False
        if found.is_utf8:
            try:
                decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                found.is_utf8 = False
        # Beyond ASCII there are other spaces, such as the one that does not break.
        found.has_spaces = found.has_spaces or not ascii_so_far
        if last != b"\n":
            found.lines += 1
        size = raw.tell()
        raw.seek(max(0, size - (1 << 16)))
        tail = raw.read()
        found.blank_tail = max(0, tail[len(tail.rstrip(b"\r\n")) :].count(b"\n") - 1)
    return found


def _read_csv(
    warehouse: Warehouse, table: str, heading: Heading, fields: tuple[Field, ...]
) -> tuple[int, list[StructuralReject], list[str]]:
    member = heading.member
    with _local(member, warehouse.spill_folder()) as path:
        profile = _profile(path)
        trims = profile.has_spaces
        if profile.is_plain:
            expected = profile.lines - 1 - profile.blank_tail
            try:
                rows = _insert_csv(warehouse, table, path, heading, fields, trims=trims, numbered=False)
            except (duckdb.InvalidInputException, duckdb.ConversionException):
                rows = -1
            if rows == expected:
                return rows, [], []
            if rows >= 0:
                # Blank lines or quoted line breaks: records and lines differ, so only the sieve can number them.
                warehouse.execute(f"delete from {table} where source_file = $name", {"name": member.name})  # noqa: S608
        with tempfile.TemporaryDirectory(prefix="hrrp-", dir=warehouse.spill_folder()) as private:
            clean = Path(private) / "clean.csv"
            sieved = _sieve(path, clean, heading, fields)
            rows = _insert_csv(warehouse, table, clean, heading, fields, trims=trims, numbered=True)
        if rows != sieved.kept:
            raise RuntimeError(f"{table}: {sieved.kept} records were written to the clean copy and {rows} came back.")
        notes = []
        if sieved.windows:
            notes.append(
                f"{member.name} is not all UTF-8: {sieved.windows:,} rows were read as Windows-1252 (only their free text differs)"
            )
        return rows, sieved.rejects, notes


def _insert_csv(
    warehouse: Warehouse,
    table: str,
    path: Path,
    heading: Heading,
    fields: tuple[Field, ...],
    *,
    trims: bool,
    numbered: bool,
) -> int:
    """Let DuckDB read the file strictly: any record that does not fit is an error. `numbered`: the sieve's copy, its first field
    the record number and no heading."""
    names = [f"f{position}" for position in range(len(heading.names))]
    if numbered:
        names.insert(0, "record")
    columns = ", ".join(f"'{name}': 'varchar'" for name in names)
    number = "cast(record as bigint)" if numbered else "1 + row_number() over ()"
    picked = ", ".join(
        "null" if item.position is None else (f"nullif(trim(f{item.position}), '')" if trims else f"f{item.position}")
        for item in fields
    )
    before = warehouse.count(table)
    warehouse.execute(
        f"insert into {table} select {picked}, $name, {number} from read_csv({_literal(str(path))}, auto_detect = false, "  # noqa: S608
        f"header = {str(not numbered).lower()}, delim = {_literal(heading.delimiter)}, quote = '\"', escape = '\"', "
        f"columns = {{{columns}}}, strict_mode = true, null_padding = false, nullstr = '', comment = '', "
        f"max_line_size = {LONGEST_RECORD * (3 if numbered else 1)})",
        {"name": heading.member.name},
    )
    return warehouse.count(table) - before


@dataclass
class _Sieved:
    kept: int = 0
    windows: int = 0
    rejects: list[StructuralReject] = field(default_factory=list)


class _BrokenQuote(Exception):
    """Text after a closing quotation mark, or a return outside quotation marks."""


def _split(record: bytes, delimiter: bytes) -> list[bytes] | None:
    """The fields of one record; None while a quotation mark is open at its end.

    A field is quoted when a quotation mark is its first sign besides spaces; inside, two marks stand for one. A mark in the
    middle of an unquoted field is an ordinary sign.
    """
    fields: list[bytes] = []
    at, end = 0, len(record)
    while True:
        opening = at
        while record[opening : opening + 1] == b" ":
            opening += 1
        if record[opening : opening + 1] == b'"':
            search = opening + 1
            while True:
                closing = record.find(b'"', search)
                if closing < 0:
                    return None
                if record[closing + 1 : closing + 2] != b'"':
                    break
                search = closing + 2
            fields.append(record[opening + 1 : closing].replace(b'""', b'"'))
            at = closing + 1
            while record[at : at + 1] == b" ":
                at += 1
            if at >= end:
                return fields
            if record[at : at + 1] != delimiter:
                raise _BrokenQuote
            at += 1
        else:
            stop = record.find(delimiter, at)
            value = record[at:] if stop < 0 else record[at:stop]
            if b"\r" in value:
                raise _BrokenQuote
            fields.append(value)
            if stop < 0:
                return fields
            at = stop + 1


def _quote(fields: Sequence[bytes], delimiter: bytes) -> bytes:
    return delimiter.join(b'"' + value.replace(b'"', b'""') + b'"' for value in fields)


def _sieve(path: Path, clean: Path, heading: Heading, fields: tuple[Field, ...]) -> _Sieved:
    """Write the records that fit into `clean`, each behind its number, as UTF-8; list the rest."""
    name, width = heading.member.name, len(heading.names)
    sign = heading.delimiter.encode()
    one = rb'(?:"[^"\r]*"|[^"\r' + re.escape(sign) + rb"]*)"
    well_formed = re.compile(one + rb"(?:" + re.escape(sign) + one + rb"){" + str(width - 1).encode() + rb"}")
    strict = {item.position: item.column for item in fields if item.position is not None and not item.free_text}
    sieved = _Sieved()
    number = 0
    ended = True

    def reject(value_class: str, reason: str, column: str | None = None) -> None:
        sieved.rejects.append(StructuralReject(number, column, value_class, reason))

    with path.open("rb") as lines, clean.open("wb") as out:
        for line in lines:
            ended = line.endswith(b"\n")
            body = line.removesuffix(b"\n").removesuffix(b"\r")
            if not body:
                continue
            number += 1
            if number == 1:
                body = body.removeprefix(b"\xef\xbb\xbf")
            quoted = b'"' in body
            odd = b"\0" in body or len(body) > LONGEST_RECORD or not body.isascii()
            simple = not quoted and not odd and b"\r" not in body
            if simple and number > 1:
                count = body.count(sign) + 1
                if count > width and body.endswith(sign * (count - width)):
                    body, count = body[: width - count], width
                if count == width:
                    out.write(b"%d%b%b\n" % (number, sign, body))
                    sieved.kept += 1
                else:
                    reject(*_miscount(count, width))
                continue
            if quoted and number > 1 and not odd and well_formed.fullmatch(body):
                out.write(b"%d%b%b\n" % (number, sign, body))
                sieved.kept += 1
                continue
            more = 0
            try:
                values = _split(body, sign)
                while values is None:
                    following = next(lines, None)
                    more += 1
                    if following is None or more > LONGEST_QUOTED_LINES:
                        raise _unterminated(name, number)
                    ended = following.endswith(b"\n")
                    body += b"\n" + following.removesuffix(b"\n").removesuffix(b"\r")
                    values = _split(body, sign)
            except _BrokenQuote:
                if more:
                    raise _unterminated(name, number) from None
                reject("broken quotation mark" if quoted else "broken line end", "broken record")
                continue
            if number == 1:
                continue
            while len(values) > width and not values[-1]:
                values.pop()
            if len(values) != width:
                reject(*_miscount(len(values), width))
                continue
            damage = _damage(values, body, strict)
            if damage:
                reject(*damage)
                continue
            try:
                body.decode("utf-8")
            except UnicodeDecodeError:
                values = [value.decode("cp1252", errors="replace").encode() for value in values]
                sieved.windows += 1
            out.write(b"%d%b%b\n" % (number, sign, _quote(values, sign)))
            sieved.kept += 1
    last = sieved.rejects[-1] if sieved.rejects else None
    if not ended and last is not None and last.row_number == number and last.value_class == "too few fields":
        raise InputContractError(
            f"{name} ends in the middle of its last record (row {number:,}): the file is cut off. Write or copy it again."
        )
    if sieved.rejects and not sieved.kept:
        raise InputContractError(
            f"{name}: none of its {len(sieved.rejects):,} rows fits the heading, which has {width} columns separated by "
            f"{DELIMITERS[heading.delimiter]} (first: {sieved.rejects[0].value_class}, row {sieved.rejects[0].row_number:,}). "
            "The rows must use the heading's delimiter and have a field for each of its columns."
        )
    return sieved


def _miscount(count: int, width: int) -> tuple[str, str]:
    return "too few fields" if count < width else "too many fields", "wrong number of fields"


def _damage(values: list[bytes], body: bytes, strict: dict[int, str]) -> tuple[str, str, str | None] | None:
    """Damage inside a record, or None.

    Monstrous length or zero bytes count anywhere; line breaks and bytes that are not UTF-8 in columns that are no free text.
    """
    if len(body) > LONGEST_RECORD:
        return "more than a million bytes", "broken record", None
    if b"\0" in body:
        return "zero bytes", "not UTF-8 text", None
    for position, column in strict.items():
        value = values[position]
        if b"\n" in value:
            return "line break", "broken record", column
        if not value.isascii():
            try:
                value.decode("utf-8")
            except UnicodeDecodeError:
                return "bytes that are not UTF-8", "not UTF-8 text", column
    return None


def _unterminated(name: str, number: int) -> InputContractError:
    return InputContractError(
        f"{name}: a quotation mark that opens in row {number:,} is never properly closed, so it is not certain where the rows "
        "after it begin and the file is refused whole. Correct that row (a quotation mark inside a value is written twice)."
    )


# --- Parquet ---

SIGNED = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
WHOLE_NUMBERS = frozenset(SIGNED) | {f"U{kind}" for kind in SIGNED}


def _parquet_value(item: Field, kind: str, heading: Heading) -> str:
    """SQL that turns a typed Parquet column into the text of the contract."""
    column = f"f{item.position}"
    kind = kind.upper().strip('"')
    if kind == "NULL":
        return "null"
    if kind == "VARCHAR":
        return f"nullif(trim({column}), '')"
    if kind == "BOOLEAN" or kind.startswith(("DECIMAL", "ENUM", "UUID")):
        return f"cast({column} as varchar)"
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        if kind == "TIMESTAMP WITH TIME ZONE":
            column = f"timezone('UTC', {column})"
        if item.kind == "month":
            return f"strftime(cast({column} as timestamp), '%Y-%m')"
        if item.kind == "date":
            return f"cast(cast({column} as date) as varchar)"
        return f"cast({column} as varchar)"
    whole = f"cast({column} as varchar)" if kind in WHOLE_NUMBERS else f"cast(cast({column} as hugeint) as varchar)"
    if item.width:
        whole = f"case when {column} >= 0 and length({whole}) < {item.width} then lpad({whole}, {item.width}, '0') else {whole} end"
    if kind in WHOLE_NUMBERS:
        return whole
    if kind in {"FLOAT", "DOUBLE"}:
        # Whole numbers without a point; what is not a number (how pandas writes a missing one) is missing.
        return (
            f"case when isnan({column}) then null when {column} = trunc({column}) and abs({column}) < 1e15 then {whole} "
            f"else cast({column} as varchar) end"
        )
    raise InputContractError(
        f"{heading.member.name}, column {heading.names[item.position or 0]}: it is of type {kind.lower()}; "
        "text, a number, a date or true/false was expected."
    )


def _read_parquet(
    warehouse: Warehouse, table: str, heading: Heading, fields: tuple[Field, ...]
) -> tuple[int, list[StructuralReject], list[str]]:
    picked = ", ".join(_picked(item, heading) for item in fields)
    before = warehouse.count(table)
    with _local(heading.member, warehouse.spill_folder()) as path:
        source = _parquet_source(_literal(str(path)), heading)
        try:
            warehouse.execute(
                f"insert into {table} select {picked}, $name, file_row_number + 2 from {source}",  # noqa: S608
                {"name": heading.member.name},
            )
        except duckdb.Error:
            # Is it the file, or is it us (memory, disk)? Reading it without writing anything tells.
            used = ", ".join(f"f{item.position}" for item in fields if item.position is not None)
            try:
                warehouse.rows(f"select count(hash({used})) from {source}")  # noqa: S608
            except duckdb.Error as error:
                if isinstance(error, duckdb.OutOfMemoryException):
                    raise
                raise InputContractError(
                    f"{heading.member.name} is not a complete Parquet file: it is damaged or cut off. Write it again."
                ) from None
            raise
    return warehouse.count(table) - before, [], _parquet_notes(heading, fields)


def _picked(item: Field, heading: Heading) -> str:
    return "null" if item.position is None else _parquet_value(item, heading.types[item.position], heading)


def _picked_in_place(item: Field, heading: Heading) -> str:
    kind = "" if item.position is None else heading.types[item.position].upper()
    if item.as_typed and (kind == "DATE" if item.kind == "date" else kind in WHOLE_NUMBERS):
        return f"f{item.position}"
    return f"cast({_picked(item, heading)} as varchar)"


def _parquet_source(path: str, heading: Heading) -> str:
    columns = "".join(f"f{position}, " for position in range(len(heading.names)))
    return f"read_parquet({path}, file_row_number = true, binary_as_string = true) as parquet({columns}file_row_number)"


def _parquet_notes(heading: Heading, fields: Sequence[Field]) -> list[str]:
    return [
        f"{heading.member.name}, column {item.column}: numbers; leading zeros put back to {item.width} signs"
        for item in fields
        if item.position is not None and item.width and heading.types[item.position].upper() not in {"VARCHAR", "DATE"}
    ]


# --- Excel ---


@contextmanager
def _workbook(member: Member) -> Iterator[tuple[Any, int]]:
    """The first sheet of a workbook, streamed, and how many others there are."""
    import openpyxl

    with _local(member, None) as path:
        try:
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        except Exception:
            raise InputContractError(
                f"{member.name} is not a complete Excel workbook: it is damaged, cut off or protected. Save it again as .xlsx or CSV."
            ) from None
        try:
            sheet = book.worksheets[0]
            # The size that a file claims for its sheet is often wrong.
            with suppress(AttributeError):
                sheet.reset_dimensions()
            yield sheet, len(book.worksheets) - 1
        finally:
            book.close()


def _excel_rows(sheet: Any) -> Iterator[tuple[int, list[Any]]]:
    """Rows with their number on the sheet."""
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        yield number, list(row)


def _excel_text(value: Any, item: Field) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        if item.kind == "month":
            return value.strftime("%Y-%m")
        return value.date().isoformat() if item.kind == "date" or value.time() == time() else value.isoformat(" ")
    if isinstance(value, date):
        return value.strftime("%Y-%m") if item.kind == "month" else value.isoformat()
    if isinstance(value, (int, float)):
        text = str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(value)
        return text.zfill(item.width) if item.width and text.isdigit() else text
    return str(value).strip() or None


def _read_excel(
    warehouse: Warehouse, table: str, heading: Heading, fields: tuple[Field, ...]
) -> tuple[int, list[StructuralReject], list[str]]:
    import pandas as pd

    width, rows = len(heading.names), 0
    columns = [item.column for item in fields]
    rejects: list[StructuralReject] = []
    batch: list[list[Any]] = []

    def flush() -> None:
        frame = pd.DataFrame(batch, columns=[*columns, "source_file", "row_number"], dtype=object)
        warehouse.append(table, frame)
        batch.clear()

    with _workbook(heading.member) as (sheet, _):
        filled = ((number, row) for number, row in _excel_rows(sheet) if any(value is not None for value in row))
        try:
            next(filled, None)
            for number, row in filled:
                if any(value is not None for value in row[width:]):
                    rejects.append(StructuralReject(number, None, *_miscount(len(row), width)))
                    continue
                row.extend([None] * (width - len(row)))
                values = [None if item.position is None else _excel_text(row[item.position], item) for item in fields]
                batch.append([*values, heading.member.name, number])
                rows += 1
                if len(batch) == EXCEL_ROWS:
                    flush()
        except InputContractError:
            raise
        except (ValueError, KeyError, zlib.error, zipfile.BadZipFile, EOFError, SyntaxError):
            raise InputContractError(
                f"{heading.member.name}: the workbook cannot be read to its end: it is damaged. Save it again as .xlsx or CSV."
            ) from None
    if batch:
        flush()
    notes = [
        f"{heading.member.name}, column {item.column}: numbers in Excel lose leading zeros; put back to {item.width} signs"
        for item in fields
        if item.position is not None and item.width
    ]
    return rows, rejects, notes
