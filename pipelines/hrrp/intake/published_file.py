"""Opening a file that CMS publishes: what kind of file it really is, its encoding and delimiter, its rows as text.

Knows nothing of what the file means; the readers of the single files look for their headings in the rows. A file is known by its
first bytes and not by its name, so that a workbook or zip archive renamed to .csv is recognised and named.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
import zipfile
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from hrrp.errors import InputContractError

DELIMITERS = "\t,;|"
WORKBOOK_SUFFIXES = {".xlsx", ".xlsm"}

# First bytes of what people download or save by mistake, and what to do then.
_NOT_A_TABLE = (
    (
        b"\xd0\xcf\x11\xe0",
        "an old Excel workbook (.xls) or one with a password",
        "Save it as .xlsx, or take CMS's text file",
    ),
    (b"\x1f\x8b", "a gzip archive", "Unpack it and pass the file inside"),
    (b"7z\xbc\xaf", "a 7-zip archive", "Unpack it and pass the file inside"),
    (b"%PDF", "a PDF document", "Take CMS's text or Excel file"),
    (b"PAR1", "a Parquet file", "Take CMS's text or Excel file"),
)


@dataclass(frozen=True, slots=True)
class Table:
    """One sheet or text file: every row as stripped text, row n being `rows[n - 1]`.

    `cut_off` says that the last line of a text has no line end, as in a file whose download broke off.
    """

    name: str
    rows: list[list[str]]
    cut_off: bool = False


def read_tables(path: Path, expected: str) -> list[Table]:
    """The sheets of a workbook, or the one table of a text file; `expected` names the file in messages.

    Raises InputContractError where the file is absent, empty, not a text or .xlsx file, truncated or of no known encoding.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputContractError(f"{path}: there is no such file. Expected: {expected}.") from None
    except IsADirectoryError:
        raise InputContractError(f"{path} is a folder. Pass one file: {expected}.") from None
    except OSError as error:
        raise InputContractError(f"{path} cannot be read ({error.strerror}). Expected: {expected}.") from None
    if not content.strip():
        raise InputContractError(f"{path.name} is empty. Expected: {expected}; download it again.")
    if content.startswith(b"PK"):
        return _workbook(path, content, expected)
    for magic, kind, remedy in _NOT_A_TABLE:
        if content.startswith(magic):
            raise InputContractError(f"{path.name} is {kind}. Expected: {expected}. {remedy}.")
    if path.suffix.lower() in WORKBOOK_SUFFIXES:
        raise InputContractError(
            f"{path.name} is named like an Excel workbook but is none. Expected: {expected}. If it is the text file, name it .csv."
        )
    return [_text(path, content, expected)]


def clean(text: str) -> str:
    """`text` with every run of white space (line breaks, no-break spaces) as one blank, none at the ends."""
    return " ".join(text.replace("\xa0", " ").replace("\ufeff", "").split())


def headings_seen(tables: list[Table], most: int = 40) -> str:
    """The fullest row of words among the first rows, for a message; cells that look like data are never shown."""
    best: list[str] = []
    for table in tables:
        for row in table.rows[:50]:
            words = [clean(cell) for cell in row if re.search(r"[A-Za-z]", cell)]
            filled = sum(bool(cell) for cell in row)
            if len(words) > len(best) and len(words) > 0.8 * filled:
                best = words
    shown = [word[:60] for word in best if not re.search(r"\d{3,}|@", word)]
    if not shown:
        return "none (no row of headings found)"
    return "; ".join(shown[:most]) + (f"; and {len(shown) - most} more" if len(shown) > most else "")


def _text(path: Path, content: bytes, expected: str) -> Table:
    text = _decode(path, content, expected)
    if text.lstrip()[:15].lower().startswith(("<!doctype", "<html", "<?xml")):
        raise InputContractError(
            f"{path.name} is a web page, not a table: the link answered with a page. Expected: {expected}; download it again."
        )
    beginning = text[:65536]
    delimiter = max(DELIMITERS, key=beginning.count)
    rows = [[clean(cell) for cell in row] for row in _records(path, text, delimiter)]
    return Table(path.name, rows, cut_off=not text.endswith(("\n", "\r")))


def _decode(path: Path, content: bytes, expected: str) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings: tuple[str, ...] = ("utf-16",)
    elif b"\x00" in content:
        raise InputContractError(f"{path.name} is not a text file (it holds zero bytes). Expected: {expected}.")
    else:
        encodings = ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InputContractError(
        f"{path.name} is neither UTF-8 nor Windows-1252 text. Expected: {expected}; download it again or save it as UTF-8."
    )


def _records(path: Path, text: str, delimiter: str) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        if "unexpected end of data" in str(error) or "field limit" in str(error):
            raise InputContractError(
                f"{path.name} ends within a quotation mark: it looks truncated. Download it again."
            ) from None
    # A stray quotation mark within a cell: harmless, and the lenient reader keeps it as it stands.
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def _workbook(path: Path, content: bytes, expected: str) -> list[Table]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.namelist()
    except zipfile.BadZipFile:
        raise InputContractError(
            f"{path.name} begins like an Excel workbook or zip archive but its end is missing: it looks truncated. "
            "Download it again."
        ) from None
    if "xl/workbook.xml" not in members:
        inside = ", ".join(members[:8]) + (" ..." if len(members) > 8 else "")
        raise InputContractError(
            f"{path.name} is a zip archive, not a table. Expected: {expected}. Unpack it and pass one of: {inside}."
        )
    if path.suffix.lower() not in WORKBOOK_SUFFIXES:
        raise InputContractError(
            f"{path.name} is an Excel workbook whose name does not say so. Rename it to {path.stem}.xlsx and pass that."
        )
    import openpyxl  # a fifth of a second, and only workbooks need it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns of styles and extensions that do not matter here
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
            tables = []
            for sheet in book.worksheets:
                sheet.reset_dimensions()
                tables.append(Table(sheet.title, [[_cell_text(cell) for cell in row] for row in sheet.iter_rows()]))
            book.close()
    except Exception as error:
        # openpyxl raises whatever the broken part raises: zip, XML, key and value errors.
        raise InputContractError(
            f"{path.name} is a damaged Excel workbook ({type(error).__name__}). Download it again, or save it anew in Excel."
        ) from None
    return tables


def _cell_text(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, float):
        if "%" in cell.number_format:
            return f"{Decimal(repr(value)) * 100:f}%"
        return str(int(value)) if value.is_integer() else f"{Decimal(repr(value)):f}"
    return clean(str(value))
