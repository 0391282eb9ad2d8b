"""Reading the workbook of CMS's Hospital-Specific Report, program years 2020 to 2025.

Everything is found by what it is called: sheets by their titles, columns by their headings, the coefficient row by what
stands in it. Headings carry line breaks, non-breaking spaces and footnote marks, and their words change from year to year;
values are numbers or text, with or without trailing spaces; dates are dates, text or masked (99/99/9999). A workbook that
does not have these tables is refused, with what was seen and what was expected, rather than read wrongly.

The layout is that of the mock workbooks of FY2020, FY2022, FY2024 and FY2025. FY2019's order and content differ, FY2026 on
has another format.
"""

from __future__ import annotations

import csv
import re
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from hrrp.errors import InputContractError, ReportFormatError
from hrrp.program import MEASURES, Period, Reference
from hrrp.program.hospital_report import (
    DISCHARGE_HEADINGS,
    DUAL_STAY_HEADINGS,
    EFFECT_HEADINGS,
    MONTHS,
    TABLE_1_HEADINGS,
    TABLE_2_HEADINGS,
    Discharge,
    DischargeTable,
    DualStay,
    HospitalReport,
    MeasureResult,
    PaymentAdjustment,
    RiskFactor,
)

FIRST_PROGRAM_YEAR = 2020
UNDERSTOOD = "the Excel workbook of program years 2020 to 2025"

# A sheet is known by its title cell or, failing that, by its name.
TABLE_1, TABLE_2, TABLE_9 = "Table 1 (payment adjustment)", "Table 2 (hospital results)", "Table 9 (dual stays)"
SHEET_PATTERNS: dict[str, tuple[str, str]] = {
    TABLE_1: (r"payment adjustment factor information", r"payment adjustment"),
    TABLE_2: (r"your hospital's .*30-day all-cause unplanned", r"hospital results"),
    "AMI": (r"discharge-level information for the ami\b", r"discharges ami\b"),
    "COPD": (r"discharge-level information for the copd\b", r"discharges copd\b"),
    "HF": (r"discharge-level information for the hf\b", r"discharges hf\b"),
    "PN": (r"discharge-level information for the (pneumonia|pn)\b", r"discharges (pn|pneumonia)\b"),
    "CABG": (r"discharge-level information for the cabg\b", r"discharges cabg\b"),
    "THA_TKA": (r"discharge-level information for the (tha/tka|hk)\b", r"discharges (hk|tha)"),
    TABLE_9: (r"stay-level information for patients who are dual", r"dual stays"),
}

# A column is known by its heading in lower case, without footnote marks.
TABLE_1_PATTERNS = {
    "dual_stays": r"\(numerator\)",
    "stays": r"\(denominator\)",
    "dual_proportion": r"^dual proportion$",
    "peer_group": r"^peer group assignment$",
    "neutrality_modifier": r"^neutrality modifier$",
    "payment_reduction": r"^payment reduction percentage$",
    "paf": r"^payment adjustment factor$",
}
TABLE_2_PATTERNS = {
    "measure": r"^measure$",
    "eligible_discharges": r"^number of eligible discharges$",
    "readmissions": r"^number of readmissions among eligible discharges$",
    "predicted": r"^predicted readmission rate$",
    "expected": r"^expected readmission rate$",
    "err": r"^excess readmission ratio",
    "peer_group_median": r"^peer group median",
    "penalty_indicator": r"^penalty indicator",
    "drg_payment_ratio": r"^ratio of drg payments",
    "national_rate": r"^national observed readmission rate$",
}
DISCHARGE_PATTERNS = {
    "id_number": r"^id number$",
    "hicno": r"^hicno$",
    "mbi": r"^mbi$",
    "medical_record_number": r"^medical record number$",
    "birth_date": r"^beneficiary (dob|date of birth)$",
    "admit_date": r"^admission date of index stay$",
    "discharge_date": r"^discharge date of index stay$",
    "exclusion_codes": r"inclusion/ ?exclusion indicator$",
    "index_stay": r"^index stay\b",
    "principal_diagnosis": r"^principal discharge diagnosis of index stay$",
    "discharge_destination": r"^discharge destination$",
    "unplanned_readmission": r"^unplanned readmission\b",
    "planned_readmission": r"^planned readmission\b",
    "readmission_date": r"^readmission date$",
    "readmission_discharge_date": r"^discharge date of readmission$",
    "readmission_diagnosis": r"^principal discharge diagnosis of readmission$",
    "same_hospital": r"^readmission to same hospital\b",
    "readmitting_ccn": r"^(provider id|ccn|cms certification number)\b.* of readmitting hospital$",
    "hospital_effect": r"^hosp_effect$",
    "average_effect": r"^avg_effect$",
}
DUAL_STAY_PATTERNS = {
    "id_number": r"^id number$",
    "hicno": r"^hicno$",
    "mbi": r"^mbi$",
    "birth_date": r"^beneficiary (dob|date of birth)$",
    "admit_date": r"^admission date$",
    "discharge_date": r"^discharge date$",
    "claim_type": r"^claim type$",
}
# Columns that only some years have, or that no figure rests on.
OPTIONAL_TABLE_1 = {"payment_reduction"}
NEEDED_DISCHARGE = {"id_number", "exclusion_codes", "index_stay", "unplanned_readmission", "planned_readmission"} | set(
    EFFECT_HEADINGS
)
NEEDED_DUAL_STAY = {"id_number", "claim_type"}

MEASURE_NAMES = {
    "ami": "AMI",
    "copd": "COPD",
    "hf": "HF",
    "pneumonia": "PN",
    "pn": "PN",
    "cabg": "CABG",
    "tha/tka": "THA_TKA",
    "hk": "THA_TKA",
}
NOT_GIVEN = {"", "nq", "n/a", "na", "--", "-", "."}
HEADING_SEARCH_DEPTH = 60
# What zipfile, zlib, the XML parser and openpyxl raise over a file that is truncated, damaged or encrypted.
UNREADABLE = (
    zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, SyntaxError, ValueError, KeyError, IndexError,
    TypeError, AttributeError,
)  # fmt: skip
SHOWN_AT_MOST, FOLDER_HEADINGS_SHOWN = 80, 12


@dataclass(frozen=True)
class _Sheet:
    """A worksheet's values; row 1 is `rows[0]`. `formats` holds the number formats of Table 1 by (row, column)."""

    name: str
    rows: Sequence[Sequence[Any]]
    file_name: str

    def at(self, row: int, column: int) -> Any:
        values = self.rows[row - 1]
        return values[column - 1] if column <= len(values) else None


@dataclass(frozen=True)
class _Heading:
    """The heading row of a table: `columns` maps a field to its column number, `texts` a column number to its heading."""

    row: int
    columns: Mapping[str, int]
    texts: Mapping[int, str]


def read_hsr(path: Path, reference: Reference | None = None) -> HospitalReport:
    """Read a Hospital-Specific Report: an .xlsx workbook, or a folder that holds exactly one.

    The labels of the risk factors are turned into the keys of `risk_coefficients` and `risk_variables` (all years, the
    report's own first). Raises ReportFormatError where the layout is not one that is understood, naming what was seen and
    what was expected, and InputContractError where the file cannot be read or a cell that a figure rests on holds
    something else than it must.
    """
    reference = reference or Reference()
    path = _workbook_path(Path(path))
    sheets, percentages = _load(path)
    tables = _identify(sheets, path.name)
    year = _program_year(sheets, tables, path.name)
    faults = _Faults()

    adjustment = _payment_adjustment(tables[TABLE_1], percentages)
    results = _results(tables[TABLE_2])
    discharges = {}
    for measure in MEASURES:
        labels = risk_factor_labels(reference, measure, year)
        discharges[measure] = _discharge_table(tables[measure], measure, labels, faults)
    return HospitalReport(
        program_year=year,
        hospital_name=_hospital_name(tables[TABLE_1]),
        periods=_periods(sheets, path.name),
        payment_adjustment=adjustment,
        results=results,
        discharges=discharges,
        dual_stays=_dual_stays(tables[TABLE_9], faults),
        dual_stays_sheet=tables[TABLE_9].name,
        excluded_quarters=_excluded_quarters(sheets),
        notes=tuple(faults.sentences()),
        file_name=path.name,
    )


def risk_factor_labels(reference: Reference, measure: str, year: int) -> dict[str, str]:
    """variable_key by label, letters and digits only: CMS changes spacing, line breaks and, now and then, words."""
    labels: dict[str, str] = {}
    years = sorted(
        (row for row in reference.rows("risk_coefficients") if row["measure"] == measure),
        key=lambda row: (int(row["program_year"]) == year, int(row["program_year"])),
    )
    for row in [*(row for row in reference.rows("risk_variables") if row["measure"] == measure), *years]:
        labels[_letters(row["report_label"])] = row["variable_key"]
    return labels


# ---- the file --------------------------------------------------------------------------------------------------------


def _workbook_path(path: Path) -> Path:
    if path.is_dir():
        books = sorted(
            child for child in path.iterdir() if child.suffix.lower() == ".xlsx" and child.name[0] not in "~."
        )
        if len(books) == 1:
            return books[0]
        advice = (
            "pass the one to recompute"
            if books
            else "the format that CMS delivers from FY2026 on is not understood yet, so pass the workbook of an earlier year"
        )
        raise ReportFormatError(
            f"{path.name or path}: a folder with {len(books)} Excel workbooks. {_folder_contents(path)} Expected one "
            f"Hospital-Specific Report, {UNDERSTOOD}: {advice}."
        )
    if not path.exists():
        raise InputContractError(f"{path}: there is no such file. Expected {UNDERSTOOD}; check the path.")
    return path


def _folder_contents(folder: Path) -> str:
    files = sorted(child for child in folder.iterdir() if child.is_file())
    parts = [f"Files seen: {_shown(child.name for child in files) or 'none'}."]
    for child in files[:10]:
        if child.suffix.lower() in {".csv", ".txt"}:
            parts.append(f"{child.name}: {_first_line(child, FOLDER_HEADINGS_SHOWN)}.")
    return " ".join(parts)


def _first_line(path: Path, at_most: int = SHOWN_AT_MOST) -> str:
    """The headings of a text file; a first line that holds values rather than headings is not shown."""
    try:
        with path.open("rb") as file:
            start = file.read(8192)
    except OSError:
        return "cannot be read"
    if b"\0" in start:
        return "not a text file"
    line = start.decode("utf-8-sig", errors="replace").splitlines()[0] if start.strip() else ""
    delimiter = max(",\t|;", key=line.count)
    return _headings_seen(next(csv.reader([line], delimiter=delimiter), []), at_most)


def _headings_seen(cells: Iterable[Any], at_most: int = SHOWN_AT_MOST) -> str:
    """Cells of a row as headings, unless they may be a patient's: any number or date among them makes the row unseen."""
    texts = [_text(cell) for cell in cells if _text(cell)]
    if not texts:
        return "no headings"
    if any(isinstance(cell, (int, float, date)) for cell in cells) or any(re.search(r"\d{3,}", text) for text in texts):
        return "no headings in the first row"
    return f"headings seen: {_shown(texts, at_most)}"


def _shown(texts: Iterable[str], at_most: int = SHOWN_AT_MOST) -> str:
    found = [text if len(text) <= 45 else text[:42] + "..." for text in texts]
    more = f" and {len(found) - at_most} more" if len(found) > at_most else ""
    return "; ".join(f"'{text}'" for text in found[:at_most]) + more


def _load(path: Path) -> tuple[list[_Sheet], set[tuple[str, int, int]]]:
    """Every sheet's values, and the cells (sheet, row, column) of short sheets whose number format is a percentage."""
    from openpyxl import load_workbook

    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise InputContractError(
            f"{path.name} cannot be read ({error.strerror}). Expected {UNDERSTOOD}; check its permissions."
        ) from None
    if not start:
        raise InputContractError(f"{path.name} is empty. Expected {UNDERSTOOD}; fetch it again.")
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        raise ReportFormatError(
            f"{path.name} is an old-format (.xls) or password-protected workbook. Expected {UNDERSTOOD}: open it and save "
            "it as .xlsx without a password."
        )
    if not start.startswith(b"PK"):
        raise ReportFormatError(
            f"{path.name} is not an Excel workbook (.xlsx); {_first_line(path)}. Expected {UNDERSTOOD}. "
            "The format that CMS delivers from FY2026 on is not understood yet."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if "xl/workbook.xml" not in names:
            raise ReportFormatError(
                f"{path.name} is a zip archive without a workbook in it; files seen: {_shown(names)}. Expected "
                f"{UNDERSTOOD}: unpack the archive and pass the workbook."
            )
        book = load_workbook(path, read_only=True, data_only=True)
        sheets, percentages = [], set()
        for worksheet in book.worksheets:
            worksheet.reset_dimensions()  # some programs write a wrong extent, and rows would be cut to it
            rows = list(worksheet.iter_rows(values_only=True))
            sheets.append(_Sheet(worksheet.title, rows, path.name))
            if len(rows) <= HEADING_SEARCH_DEPTH:
                percentages |= {
                    (worksheet.title, cell.row, cell.column)
                    for cells in worksheet.iter_rows()
                    for cell in cells
                    if cell.value is not None and "%" in str(cell.number_format)
                }
        book.close()
    except UNREADABLE as error:
        raise InputContractError(
            f"{path.name} cannot be read as an Excel workbook: it is truncated or damaged ({type(error).__name__}). "
            f"Expected {UNDERSTOOD}; fetch it again."
        ) from None
    return sheets, percentages


# ---- sheets, columns, cells ------------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    """A cell as text: control characters and non-breaking spaces become spaces, runs of spaces one, ends trimmed."""
    if isinstance(value, str):
        return _cleaned(value)
    if value is None:
        return ""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


@lru_cache(maxsize=4096)
def _cleaned(text: str) -> str:
    text = re.sub(r"_x[0-9A-Fa-f]{4}_", " ", text)  # how a workbook's file writes a control character
    text = unicodedata.normalize("NFKC", text).replace("\u2019", "'").replace("\u2018", "'")
    text = "".join(" " if unicodedata.category(letter) in {"Cc", "Cf"} else letter for letter in text)
    return " ".join(text.split())


def _heading(value: Any) -> str:
    """A heading in lower case without footnote marks ([a], *)."""
    return " ".join(re.sub(r"\[\w+\]|\*", " ", _text(value)).lower().split())


def _letters(value: Any) -> str:
    return re.sub(r"[^a-z0-9]", "", _heading(value))


def _identify(sheets: Sequence[_Sheet], file_name: str) -> dict[str, _Sheet]:
    """Each table's sheet, by title cell or by sheet name."""
    found: dict[str, _Sheet] = {}
    for table, (title, name) in SHEET_PATTERNS.items():
        matches = [sheet for sheet in sheets if re.search(title, _title(sheet))]
        matches = matches or [sheet for sheet in sheets if re.search(name, _heading(sheet.name))]
        if len(matches) > 1:
            raise ReportFormatError(
                f"{file_name}: {len(matches)} sheets look like {_called(table)} ({_shown(s.name for s in matches)}). "
                "Expected one; remove the copies or pass the workbook as CMS delivered it."
            )
        if matches:
            found[table] = matches[0]
    missing = [table for table in SHEET_PATTERNS if table not in found]
    if missing:
        headings = "" if found or not sheets else f" First sheet: {_headings_seen(_first_row(sheets[0]))}."
        raise ReportFormatError(
            f"{file_name}: no sheet for {', '.join(_called(table) for table in missing)}. Sheets seen: "
            f"{_shown(sheet.name for sheet in sheets) or 'none'}.{headings} Expected the sheets of {UNDERSTOOD}: Table 1 "
            "Payment Adjustment, Table 2 Hospital Results, Tables 3 to 8 Discharges (AMI, COPD, HF, PN, CABG, HK), Table 9 "
            "Dual Stays. Pass the workbook as CMS delivered it."
        )
    return found


def _called(table: str) -> str:
    return table if table.startswith("Table") else f"the discharges of {table}"


def _title(sheet: _Sheet) -> str:
    return _heading(next((cell for row in sheet.rows[:5] for cell in row if _text(cell)), ""))


def _first_row(sheet: _Sheet) -> Sequence[Any]:
    return next((row for row in sheet.rows if any(_text(cell) for cell in row)), ())


def _heading_row(
    sheet: _Sheet, patterns: Mapping[str, str], needed: Iterable[str], names: Mapping[str, str]
) -> _Heading:
    """The row with the most known headings; raises ReportFormatError where one that is needed is not there."""
    best: tuple[int, dict[str, list[int]], dict[int, str]] = (0, {}, {})
    for number, row in enumerate(sheet.rows[:HEADING_SEARCH_DEPTH], start=1):
        texts = {column: _heading(cell) for column, cell in enumerate(row, start=1) if isinstance(cell, str)}
        columns: dict[str, list[int]] = {}
        for name, pattern in patterns.items():
            where = [column for column, text in texts.items() if re.search(pattern, text)]
            if where:
                columns[name] = where
        if len(columns) > len(best[1]):
            shown = {column: _text(cell) for column, cell in enumerate(row, start=1) if _text(cell)}
            best = (number, columns, shown)
    number, columns, texts = best
    missing = [names[name] for name in names if name in set(needed) and name not in columns]
    twice = [names[name] for name, where in columns.items() if len(where) > 1]
    if missing or twice:
        problem = f"no column {_shown(missing)}" if missing else f"more than one column {_shown(twice)}"
        seen = f"Headings seen in row {number}: {_shown(texts.values())}" if number else "No heading row was found"
        raise ReportFormatError(
            f"{sheet.file_name}, sheet '{sheet.name}': {problem}. {seen}. Expected the headings of {UNDERSTOOD}; "
            "pass the workbook as CMS delivered it."
        )
    return _Heading(number, {name: where[0] for name, where in columns.items()}, texts)


class _Faults:
    """What the reader met and could pass over, counted, so that each is one sentence."""

    def __init__(self) -> None:
        self._counted: Counter[str] = Counter()
        self._said: list[str] = []

    def count(self, sheet: _Sheet, column: str, problem: str) -> None:
        self._counted[f"{sheet.name}, column '{column}'|{problem}"] += 1

    def say(self, sentence: str) -> None:
        self._said.append(sentence)

    def sentences(self) -> list[str]:
        counted = []
        for key, times in self._counted.items():
            where, problem = key.split("|")
            counted.append(f"{where}: {times} {'cell is' if times == 1 else 'cells are'} {problem}.")
        return self._said + counted


def _refused(sheet: _Sheet, row: int, column: str, value: Any, expected: str) -> InputContractError:
    """An error about one cell: where it is and what kind of thing stands there, never what."""
    kind = "nothing" if not _text(value) else "a number" if isinstance(value, (int, float)) else "text"
    return InputContractError(
        f"{sheet.file_name}, sheet '{sheet.name}', row {row}, column '{column}': {kind} that is not understood; expected "
        f"{expected}. Restore the cell as CMS delivered it."
    )


def _number(value: Any) -> float | None:
    """A number, also as text with thousands separators or a percent sign; None where none is given; ValueError otherwise."""
    if isinstance(value, (bool, date, timedelta)):
        raise ValueError
    if isinstance(value, (int, float)):
        return float(value)
    text = _text(value)
    if text.lower() in NOT_GIVEN:
        return None
    number = float(text.removesuffix("%").replace(",", ""))
    return round(number / 100.0, 12) if text.endswith("%") else number


def _yes(value: Any) -> bool | None:
    text = _text(value).lower()
    if text in NOT_GIVEN:
        return None
    if text in {"yes", "y"}:
        return True
    if text in {"no", "n"}:
        return False
    raise ValueError


def _date(value: Any) -> date | None:
    """A date, also as text or as a worksheet's day number; None where none is given or it is masked; ValueError otherwise."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if isinstance(value, (int, float)) and 10_000 < value < 80_000:
        return date(1899, 12, 30) + timedelta(days=int(value))
    text = _text(value)
    if text.lower() in NOT_GIVEN or text.startswith("99/99"):
        return None
    if parts := re.fullmatch(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})( 0?0:00(:00)?)?", text):
        month, day, year = (int(parts[group]) for group in (1, 2, 3))
        return date(year, month, day)
    if parts := re.fullmatch(r"(\d{4})-?(\d{2})-?(\d{2})([ T]00:00:00)?", text):
        year, month, day = (int(parts[group]) for group in (1, 2, 3))
        return date(year, month, day)
    if parts := re.fullmatch(r"(\d{1,2})-?([A-Za-z]{3})-?(\d{4})", text):
        names = [month[:3].lower() for month in MONTHS]
        return date(int(parts[3]), names.index(parts[2].lower()) + 1, int(parts[1]))
    raise ValueError


def _code(value: Any) -> str | None:
    """A code or identifier as text, or None where none is given."""
    text = _text(value)
    return None if text.lower() in NOT_GIVEN else text


# ---- what is told about the whole ------------------------------------------------------------------------------------


def _program_year(sheets: Sequence[_Sheet], tables: Mapping[str, _Sheet], file_name: str) -> int:
    """The program year that the cover sheet names, or the one that the sheets name most often."""
    own = {sheet.name for sheet in tables.values()}
    for group in ([s for s in sheets if s.name not in own], list(sheets)):
        years = Counter(
            int(year)
            for sheet in group
            for row in sheet.rows
            for cell in row
            if isinstance(cell, str)
            for year in re.findall(r"\b(?:fy|fiscal year(?: \(fy\))?) ?(20\d\d)\b", _heading(cell))
        )
        if years:
            year = years.most_common(1)[0][0]
            if year < FIRST_PROGRAM_YEAR:
                raise ReportFormatError(
                    f"{file_name}: a report of FY{year}, whose tables stand in another order. Expected {UNDERSTOOD}; "
                    "pass a later year's report."
                )
            return year
    raise ReportFormatError(
        f"{file_name}: no sheet names a fiscal year (FY), so the program year is not known. Expected it on the cover sheet, "
        "as in 'Hospital-Specific Report (HSR) for the Fiscal Year (FY) 2025'; pass the workbook as CMS delivered it."
    )


PERIOD_LABEL = "hospital discharge period"


def _hospital_name(sheet: _Sheet) -> str:
    """The name stands above the discharge period."""
    texts = [next((_text(cell) for cell in row if _text(cell)), "") for row in sheet.rows[:10]]
    for above, below in pairwise(texts):
        if below.lower().startswith(PERIOD_LABEL):
            return above
    return ""


def _periods(sheets: Sequence[_Sheet], file_name: str) -> tuple[Period, ...]:
    names = [month.lower() for month in MONTHS]
    day = rf"({'|'.join(names)}) (\d{{1,2}}), (\d{{4}})"
    for sheet in sheets:
        for row in sheet.rows[:HEADING_SEARCH_DEPTH]:
            for cell in row:
                text = _heading(cell) if isinstance(cell, str) else ""
                if not text.startswith(PERIOD_LABEL):
                    continue
                found = re.findall(rf"{day} (?:through|to|-) {day}", text)
                if found:
                    return tuple(
                        Period(
                            date(int(one[2]), names.index(one[0]) + 1, int(one[1])),
                            date(int(one[5]), names.index(one[3]) + 1, int(one[4])),
                        )
                        for one in found
                    )
    raise ReportFormatError(
        f"{file_name}: no 'Hospital Discharge Period: ... through ...' on any sheet. Expected it in the first rows of each "
        "table; pass the workbook as CMS delivered it."
    )


def _excluded_quarters(sheets: Sequence[_Sheet]) -> tuple[str, ...]:
    """The line under the cover sheet's sentence about quarters excluded for an individual exception."""
    for sheet in sheets:
        lines = [next((_text(cell) for cell in row if _text(cell)), "") for row in sheet.rows]
        for sentence, below in pairwise(lines):
            if "quarters of data are excluded" in sentence.lower():
                parts = [part.strip() for part in re.split(r"[;,]", below)]
                return tuple(part for part in parts if part and part.lower() not in NOT_GIVEN | {"none"})
    return ()


# ---- the tables ------------------------------------------------------------------------------------------------------


def _figure(sheet: _Sheet, heading: _Heading, row: int, name: str, names: Mapping[str, str]) -> float | None:
    """A printed figure, None where the report prints none."""
    if name not in heading.columns:
        return None
    value = sheet.at(row, heading.columns[name])
    try:
        return _number(value)
    except ValueError:
        raise _refused(sheet, row, names[name], value, "a number, NQ or N/A") from None


def _whole(sheet: _Sheet, heading: _Heading, row: int, name: str, names: Mapping[str, str]) -> int | None:
    value = _figure(sheet, heading, row, name, names)
    if value is None:
        return None
    if not value.is_integer() or value < 0:
        raise _refused(sheet, row, names[name], value, "a whole number, NQ or N/A")
    return int(value)


def _payment_adjustment(sheet: _Sheet, percentages: set[tuple[str, int, int]]) -> PaymentAdjustment:
    names = TABLE_1_HEADINGS
    heading = _heading_row(sheet, TABLE_1_PATTERNS, TABLE_1_PATTERNS.keys() - OPTIONAL_TABLE_1, names)
    paf_column = heading.columns["paf"]
    row = next(
        (n for n in range(heading.row + 1, len(sheet.rows) + 1) if _text(sheet.at(n, paf_column))), heading.row + 1
    )
    if row > len(sheet.rows):
        raise ReportFormatError(
            f"{sheet.file_name}, sheet '{sheet.name}': nothing stands under the headings of row {heading.row}. Expected one "
            "row with the hospital's figures; pass the workbook as CMS delivered it."
        )
    reduction = _figure(sheet, heading, row, "payment_reduction", names)
    if reduction is not None:
        # Printed as text with a percent sign, or as a fraction that the cell's format shows as a percentage.
        column = heading.columns["payment_reduction"]
        shown_as_percentage = (sheet.name, row, column) in percentages
        if not isinstance(sheet.at(row, column), str) and not shown_as_percentage:
            reduction = round(reduction / 100.0, 12)
    return PaymentAdjustment(
        sheet=sheet.name,
        row=row,
        dual_stays=_whole(sheet, heading, row, "dual_stays", names),
        stays=_whole(sheet, heading, row, "stays", names),
        dual_proportion=_figure(sheet, heading, row, "dual_proportion", names),
        peer_group=_whole(sheet, heading, row, "peer_group", names),
        neutrality_modifier=_figure(sheet, heading, row, "neutrality_modifier", names),
        payment_reduction=reduction,
        paf=_figure(sheet, heading, row, "paf", names),
        columns=heading.columns,
    )


def _results(sheet: _Sheet) -> dict[str, MeasureResult]:
    names = TABLE_2_HEADINGS
    heading = _heading_row(sheet, TABLE_2_PATTERNS, TABLE_2_PATTERNS, names)
    found: dict[str, MeasureResult] = {}
    for row in range(heading.row + 1, len(sheet.rows) + 1):
        measure = MEASURE_NAMES.get(_heading(sheet.at(row, heading.columns["measure"])))
        if measure is None or measure in found:
            continue
        indicator = sheet.at(row, heading.columns["penalty_indicator"])
        try:
            penalty = _yes(indicator)
        except ValueError:
            raise _refused(sheet, row, names["penalty_indicator"], indicator, "Yes, No or N/A") from None
        found[measure] = MeasureResult(
            measure=measure,
            sheet=sheet.name,
            row=row,
            eligible_discharges=_whole(sheet, heading, row, "eligible_discharges", names),
            readmissions=_whole(sheet, heading, row, "readmissions", names),
            predicted=_figure(sheet, heading, row, "predicted", names),
            expected=_figure(sheet, heading, row, "expected", names),
            err=_figure(sheet, heading, row, "err", names),
            peer_group_median=_figure(sheet, heading, row, "peer_group_median", names),
            penalty_indicator=penalty,
            drg_payment_ratio=_figure(sheet, heading, row, "drg_payment_ratio", names),
            national_rate=_figure(sheet, heading, row, "national_rate", names),
            no_qualifying_cases=_text(sheet.at(row, heading.columns["eligible_discharges"])).lower() == "nq",
            columns=heading.columns,
        )
    missing = [measure for measure in MEASURES if measure not in found]
    if missing:
        raise ReportFormatError(
            f"{sheet.file_name}, sheet '{sheet.name}': no row for {', '.join(missing)} under the headings of row "
            f"{heading.row}. Expected AMI, COPD, HF, Pneumonia, CABG and THA/TKA; pass the workbook as CMS delivered it."
        )
    return {measure: found[measure] for measure in MEASURES}


def _discharge_table(sheet: _Sheet, measure: str, labels: Mapping[str, str], faults: _Faults) -> DischargeTable:
    names = DISCHARGE_HEADINGS | EFFECT_HEADINGS
    heading = _heading_row(sheet, DISCHARGE_PATTERNS, NEEDED_DISCHARGE, names)
    columns = heading.columns
    for name in DISCHARGE_HEADINGS:
        if name not in columns and name != "hicno":
            faults.say(f"{sheet.name}: there is no column '{names[name]}'; what rests on it is not known.")

    coefficient_row = _coefficient_row(sheet, heading)
    factors, factor_columns = _risk_factors(sheet, heading, coefficient_row, labels, faults)

    def effect(name: str) -> float | None:
        value = sheet.at(coefficient_row, columns[name])
        try:
            return _number(value)
        except ValueError:
            raise _refused(sheet, coefficient_row, names[name], value, "a number or --") from None

    stays: list[Discharge] = []
    values: list[list[float]] = []
    for row in range(coefficient_row + 1, len(sheet.rows) + 1):
        if not _is_stay(sheet, heading, row):
            continue
        stay = _discharge(sheet, heading, row, faults)
        stays.append(stay)
        values.append([_risk_value(sheet, heading, row, column, stay.included) for column in factor_columns])
    return DischargeTable(
        measure=measure,
        sheet=sheet.name,
        coefficient_row=coefficient_row,
        variables=tuple(factors),
        hospital_effect=effect("hospital_effect"),
        average_effect=effect("average_effect"),
        discharges=tuple(stays),
        risk_factors=np.array(values, dtype=np.float64).reshape(len(stays), len(factors)),
        columns=dict(columns) | {f.variable_key: c for f, c in zip(factors, factor_columns, strict=True)},
    )


def _is_stay(sheet: _Sheet, heading: _Heading, row: int) -> bool:
    """A stay has a number of its own, or most of its cells filled; the rest are blank rows and footnotes."""
    if _id_number(sheet.at(row, heading.columns["id_number"])) is not None:
        return True
    return sum(bool(_text(cell)) for cell in sheet.rows[row - 1][: len(heading.texts)]) > len(heading.texts) // 2


def _coefficient_row(sheet: _Sheet, heading: _Heading) -> int:
    """The row under the headings that holds the national intercept, marked -- where the stays have their ID."""
    for row in range(heading.row + 1, min(heading.row + 11, len(sheet.rows) + 1)):
        mark = _text(sheet.at(row, heading.columns["id_number"]))
        intercept = sheet.at(row, heading.columns["average_effect"])
        if mark == "--" or isinstance(intercept, float):
            return row
    raise ReportFormatError(
        f"{sheet.file_name}, sheet '{sheet.name}': no coefficient row found under the headings of row {heading.row}. "
        f"Headings seen: {_shown(heading.texts.values())}. Expected a row marked -- with the risk factors' coefficients; "
        "pass the workbook as CMS delivered it."
    )


def _risk_factors(
    sheet: _Sheet, heading: _Heading, row: int, labels: Mapping[str, str], faults: _Faults
) -> tuple[list[RiskFactor], list[int]]:
    """The columns that have a coefficient, in the report's order."""
    factors: list[RiskFactor] = []
    factor_columns: list[int] = []
    known = set(heading.columns.values())
    for column, label in heading.texts.items():
        if column in known:
            continue
        value = sheet.at(row, column)
        try:
            coefficient = _number(value)
        except ValueError:
            raise _refused(sheet, row, label, value, "a coefficient") from None
        if coefficient is None:
            if _letters(label) in labels:
                raise _refused(sheet, row, label, value, "a coefficient")
            faults.say(f"{sheet.name}: the column '{label}' is not known and has no coefficient; it was left out.")
            continue
        key = labels.get(_letters(label))
        if key is None:
            key = "unlisted:" + re.sub(r"[^a-z0-9]+", "_", _heading(label)).strip("_")
            faults.say(f"{sheet.name}: no earlier report has a risk factor '{label}'; it is used with its coefficient.")
        if key in {factor.variable_key for factor in factors}:
            raise ReportFormatError(
                f"{sheet.file_name}, sheet '{sheet.name}': two columns for the risk factor '{label}'. Expected one; pass the "
                "workbook as CMS delivered it."
            )
        factors.append(RiskFactor(key, label, coefficient))
        factor_columns.append(column)
    if not factors:
        raise ReportFormatError(
            f"{sheet.file_name}, sheet '{sheet.name}': no risk factor columns. Headings seen in row {heading.row}: "
            f"{_shown(heading.texts.values())}. Expected one column a risk factor before HOSP_EFFECT, with its coefficient "
            f"in row {row}; pass the workbook as CMS delivered it."
        )
    return factors, factor_columns


def _risk_value(sheet: _Sheet, heading: _Heading, row: int, column: int, included: bool) -> float:
    value = sheet.at(row, column)
    if type(value) is int:
        return float(value)
    try:
        number = _number(value)
    except ValueError:
        number = None if not included else np.nan
    if included and (number is None or np.isnan(number)):
        raise _refused(sheet, row, heading.texts[column], value, "the risk factor's value of a stay that counts")
    return np.nan if number is None else number


def _discharge(sheet: _Sheet, heading: _Heading, row: int, faults: _Faults) -> Discharge:
    names, columns = DISCHARGE_HEADINGS, heading.columns

    def value(name: str) -> Any:
        return sheet.at(row, columns[name]) if name in columns else None

    def day(name: str) -> date | None:
        return _day(sheet, names[name], value(name), faults)

    def yes(name: str) -> bool | None:
        try:
            return _yes(value(name))
        except ValueError:
            raise _refused(sheet, row, names[name], value(name), "Yes, No or N/A") from None

    codes = _exclusion_codes(sheet, row, value("exclusion_codes"))
    index_stay = yes("index_stay")
    if index_stay is None:
        raise _refused(sheet, row, names["index_stay"], value("index_stay"), "Yes or No")

    text = _text(value("unplanned_readmission")).lower()
    covid = "covid" in text
    unplanned = False if covid else yes("unplanned_readmission")
    if unplanned is None:
        if codes == (0,):
            raise _refused(
                sheet,
                row,
                names["unplanned_readmission"],
                value("unplanned_readmission"),
                "Yes, No or N/A-COVID patient",
            )
        unplanned = False

    ccn = _code(value("readmitting_ccn"))
    destination = _code(value("discharge_destination"))
    about_readmission = ("readmission_date", "readmission_discharge_date", "readmission_diagnosis", "readmitting_ccn")
    return Discharge(
        row=row,
        id_number=_id_number(value("id_number")),
        hicno=_code(value("hicno")),
        mbi=_code(value("mbi")),
        medical_record_number=_code(value("medical_record_number")),
        birth_date=day("birth_date"),
        admit_date=day("admit_date"),
        discharge_date=day("discharge_date"),
        exclusion_codes=codes,
        index_stay=index_stay,
        principal_diagnosis=_code(value("principal_diagnosis")),
        discharge_destination=destination.zfill(2) if destination else None,
        unplanned_readmission=unplanned,
        covid_readmission=covid,
        planned_readmission=yes("planned_readmission"),
        readmission_date=day("readmission_date"),
        readmission_discharge_date=day("readmission_discharge_date"),
        readmission_diagnosis=_code(value("readmission_diagnosis")),
        same_hospital=yes("same_hospital"),
        readmitting_ccn=ccn.zfill(6) if ccn else None,
        readmission_listed=any(_code(value(name)) is not None for name in about_readmission),
    )


def _exclusion_codes(sheet: _Sheet, row: int, value: Any) -> tuple[int, ...]:
    text = _text(value)
    if not re.fullmatch(r"\d+([ ,;]+\d+)*", text):
        raise _refused(sheet, row, DISCHARGE_HEADINGS["exclusion_codes"], value, "0, or codes joined by commas")
    return tuple(int(code) for code in re.split(r"[ ,;]+", text))


def _id_number(value: Any) -> int | None:
    text = _text(value)
    return int(text) if text.isdecimal() else None


def _day(sheet: _Sheet, name: str, value: Any, faults: _Faults) -> date | None:
    try:
        return _date(value)
    except ValueError:
        faults.count(sheet, name, "no date that is understood (MM/DD/YYYY or YYYY-MM-DD), and was left out")
        return None


def _dual_stays(sheet: _Sheet, faults: _Faults) -> tuple[DualStay, ...]:
    names = DUAL_STAY_HEADINGS
    heading = _heading_row(sheet, DUAL_STAY_PATTERNS, NEEDED_DUAL_STAY, names)
    stays = []
    for row in range(heading.row + 1, len(sheet.rows) + 1):
        cells = {name: sheet.at(row, column) for name, column in heading.columns.items()}
        # Blank rows and footnotes have no claim type and no number of their own.
        if _id_number(cells["id_number"]) is None and not _text(cells["claim_type"]):
            continue
        days = {name: _day(sheet, names[name], cells.get(name), faults) for name in names if name.endswith("_date")}
        stays.append(
            DualStay(
                row=row,
                id_number=_id_number(cells["id_number"]),
                hicno=_code(cells.get("hicno")),
                mbi=_code(cells.get("mbi")),
                birth_date=days["birth_date"],
                admit_date=days["admit_date"],
                discharge_date=days["discharge_date"],
                claim_type=_code(cells["claim_type"]),
            )
        )
    return tuple(stays)
