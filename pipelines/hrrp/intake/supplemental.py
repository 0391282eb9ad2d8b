"""CMS's HRRP supplemental file: one row per hospital, FY2013 to today, as text (tab or comma) or .xlsx; reader and writer.

Everything is found by headings, never by position: the files have one to four title lines, other column orders before FY2019, no
pneumonia in FY2023, a heading "Hospital CNN" in FY2025. Numbers may carry thousands separators, percent signs, `.` or nothing
for "no discharges"; rows after the last hospital may be blank or say "End of worksheet". Layouts of the years as described in
CMS's variable descriptions and found in its files of FY2013 to FY2027.
"""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from hrrp.errors import InputContractError, ReportFormatError, UsageError
from hrrp.intake.published_file import Table, clean, headings_seen, read_tables
from hrrp.program.measures import MEASURES
from hrrp.program.reference import ProgramYear, Reference
from hrrp.program.supplemental_file import (
    PRINTED_DECIMALS,
    SupplementalFile,
    SupplementalHospital,
    SupplementalMeasure,
)

EXPECTED = "CMS's HRRP supplemental file (tab- or comma-separated text, or .xlsx)"

# (figure, measure); measure is None for the figures of the hospital as a whole.
Place = tuple[str, str | None]

_CCN_HEADINGS = {
    "hospital ccn",
    "hospital cnn",
    "ccn",
    "prov",
    "provider",
    "provider id",
    "provider number",
    "facility id",
    "cms certification number",
    "cms certification number (ccn)",
    "hospital cms certification number (ccn)",
}

_MEASURE_WORDS = {
    "AMI": r"\bami\b|acute myocardial",
    "COPD": r"\bcopd\b|chronic obstructive",
    "HF": r"\bhf\b|heart failure",
    "PN": r"\bpn\b|pneumon",
    "CABG": r"\bcabg\b|coronary artery bypass",
    "THA_TKA": r"\btha\b|\btka\b|\bhip\b|arthroplasty",
}

# The first pattern that a heading contains says what it is, so "peer group median ERR" stands before "ERR".
_MEASURE_FIGURES = (
    ("peer_group_median", r"median"),
    ("penalty_indicator", r"penalty indicator"),
    ("drg_payment_ratio", r"payment ratio"),
    ("err", r"\berr\b|excess readmission ratio"),
    ("eligible_discharges", r"\bnumber of\b.*\b(discharges|cases)\b"),
)
_HOSPITAL_FIGURES = (
    ("paf", r"adjustment factor"),
    ("payment_reduction", r"payment reduction"),
    ("dual_proportion", r"dual proportion"),
    ("peer_group", r"peer group(?! median)"),
    ("neutrality_modifier", r"neutrality modifier"),
)

# Lowest and highest value that can be meant; anything else is a damaged or shifted column.
_LIMITS = {
    "paf": (0.9, 1.0),
    "payment_reduction": (0.0, 0.1),
    "dual_proportion": (0.0, 1.0),
    "peer_group": (1, 5),
    "neutrality_modifier": (0.5, 1.5),
    "eligible_discharges": (0, 1_000_000),
    "err": (0.0, 20.0),
    "peer_group_median": (0.1, 10.0),
    "drg_payment_ratio": (0.0, 1.0),
}
_WHOLE = {"peer_group", "eligible_discharges"}
_ROUNDED = ("paf", "dual_proportion", "neutrality_modifier", "err", "peer_group_median", "drg_payment_ratio")

_MISSING = {"", ".", "-", "--", "*", "na", "n/a", "not available", "too few to report"}
_YEAR = re.compile(r"\b(?:fy|fiscal year)[\s-]*(20\d\d|\d\d)\b", re.IGNORECASE)
_CCN = re.compile(r"\d{5}|\d{2}[0-9A-Z]\d{3}")
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d*)(?:\.\d*)?(?:[eE][-+]?\d+)?")


def read_supplemental(
    path: Path, program_year: int | None = None, reference: Reference | None = None
) -> SupplementalFile:
    """Read a supplemental file of any program year.

    The program year is the one that the title (or the heading of the factor, or the sheet's name) states; `program_year` serves
    where none does. Raises InputContractError for a file that is not readable, is truncated, holds no hospital, holds values that
    cannot be meant, or states no year; ReportFormatError for a layout that is not understood, with the headings seen; UsageError
    where `program_year` contradicts the title; RulesMissingError for a year that the reference tables do not list.
    """
    tables = read_tables(path, EXPECTED)
    found = _find_headings(tables)
    if found is None:
        _refuse_headings_cut_off(path, tables)
        raise ReportFormatError(_unknown_layout(path, tables))
    table, heading_row = found
    headings = table.rows[heading_row]
    places = _places(path, headings)
    title = _title(table.rows[:heading_row])
    year = _program_year(path, title, headings, places, table.name, program_year)
    rules = (reference or Reference()).program_year(year)

    records = _records(path, table, heading_row, places)
    _require(path, headings, places, rules)
    reader = _RowReader(path, headings, places, rules)
    hospitals = tuple(reader.hospital(number, cells) for number, cells in records)
    reader.raise_faults(len(hospitals))

    notes = list(reader.notes())
    unused = [heading for column, heading in enumerate(headings) if heading and column not in places]
    if unused:
        notes.append(f"Columns not used: {', '.join(heading[:60] for heading in unused)}.")
    ratios = {measure for figure, measure in places.values() if figure == "drg_payment_ratio"}
    return SupplementalFile(
        program_year=year,
        title=title,
        hospitals=hospitals,
        measures=tuple(measure for measure in MEASURES if ("err", measure) in places.values()),
        decimals=reader.decimals(),
        has_payment_ratios=ratios.issuperset(rules.measures_in_payment),
        notes=tuple(notes),
        name=path.name,
    )


def place_of(heading: str) -> Place | None:
    """What a column holds, by its heading; None for a heading that means nothing here."""
    words = clean(heading).strip("\"'* ").lower()
    if words in _CCN_HEADINGS:
        return "ccn", None
    for measure, names in _MEASURE_WORDS.items():
        if re.search(names, words):
            for figure, pattern in _MEASURE_FIGURES:
                if re.search(pattern, words):
                    return figure, measure
            return None
    for figure, pattern in _HOSPITAL_FIGURES:
        if re.search(pattern, words):
            return figure, None
    return None


def _find_headings(tables: Sequence[Table]) -> tuple[Table, int] | None:
    """The first row that has headings for the CCN, the factor and an ERR, among the first hundred of each sheet."""
    for table in tables:
        for number, row in enumerate(table.rows[:100]):
            places = {place_of(cell) for cell in row if cell}
            figures = {place[0] for place in places if place}
            if {"ccn", "paf", "err"} <= figures:
                return table, number
    return None


def _refuse_headings_cut_off(path: Path, tables: Sequence[Table]) -> None:
    for table in tables:
        last = {place_of(cell) for cell in table.rows[-1]} if table.rows else set()
        if table.cut_off and ("ccn", None) in last:
            raise InputContractError(f"{path.name} breaks off within its headings: it is truncated. Download it again.")


def _unknown_layout(path: Path, tables: list[Table]) -> str:
    seen = headings_seen(tables)
    message = (
        f"{path.name} does not look like {EXPECTED}: no row has headings for the hospital's CCN, the payment adjustment factor and "
        f"an excess readmission ratio (ERR). Headings seen: {seen}."
    )
    if "Measure Name" in seen and "Facility" in seen:
        return (
            message
            + " This looks like the Provider Data Catalog file: pass it with --pdc beside the supplemental file."
        )
    if any("HSR" in table.name or "Hospital-Specific" in " ".join(map(" ".join, table.rows[:3])) for table in tables):
        return message + " This looks like a Hospital-Specific Report: use `hrrp replicate`."
    return message + " Take the file with the hospitals' results, not the variable description or the case information."


def _places(path: Path, headings: Sequence[str]) -> dict[int, Place]:
    places: dict[int, Place] = {}
    for column, heading in enumerate(headings):
        place = place_of(heading) if heading else None
        if place is None:
            continue
        if place in places.values():
            raise ReportFormatError(
                f"{path.name}: two columns are headed alike, '{heading}' at column {column + 1} means the same as an earlier one. "
                f"Headings seen: {'; '.join(filter(None, headings))}."
            )
        places[column] = place
    return places


def _title(rows: Sequence[Sequence[str]]) -> str:
    lines = (" ".join(dict.fromkeys(cell for cell in row if cell)) for row in rows)
    return " ".join(line for line in lines if line)


def _program_year(
    path: Path, title: str, headings: Sequence[str], places: Mapping[int, Place], sheet: str, given: int | None
) -> int:
    factor = next(headings[column] for column, place in places.items() if place == ("paf", None))
    stated: int | None = None
    for text in (factor, title, sheet if sheet != path.name else ""):
        years = {int(year) + (2000 if len(year) == 2 else 0) for year in _YEAR.findall(text)}
        if len(years) == 1:
            stated = years.pop()
            break
    if stated is None and given is None:
        raise InputContractError(
            f"{path.name}: neither its title nor a heading says one program year (as in 'FY 2025 IPPS Final Rule'). "
            "Pass --program-year, the fiscal year of payment."
        )
    if stated is not None and given is not None and stated != given:
        raise UsageError(
            f"{path.name} says that it is of FY{stated}, but --program-year {given} was given. Leave the option out, or pass the "
            f"file of FY{given}."
        )
    return stated if stated is not None else int(given or 0)


def _records(path: Path, table: Table, heading_row: int, places: Mapping[int, Place]) -> list[tuple[int, list[str]]]:
    """(row number, cells) of every hospital; blank rows, footnotes and "End of worksheet" left out."""
    ccn = next(column for column, place in places.items() if place[0] == "ccn")
    width = max(places) + 1
    records: list[tuple[int, list[str]]] = []
    last = len(table.rows)
    for number, cells in enumerate(table.rows[heading_row + 1 :], start=heading_row + 2):
        if not any(cells):
            continue
        if number == last and table.cut_off and len(cells) < width and cells[0][:1].isdigit():
            raise InputContractError(
                f"{path.name} breaks off within row {number:,} (after {len(cells)} of {width} columns): it is truncated. "
                "Download it again."
            )
        if len(cells) < width:
            cells = cells + [""] * (width - len(cells))
        if any(cell for column, cell in enumerate(cells) if column != ccn):
            records.append((number, cells))
        elif _CCN.fullmatch(cells[ccn].lstrip("'").upper()):
            raise InputContractError(
                f"{path.name}, row {number:,}: a CCN and nothing else. Expected the hospital's factor and results; download the "
                "file again."
            )
    if not records:
        cut = " It breaks off after the headings." if table.cut_off else ""
        raise InputContractError(f"{path.name} lists no hospital below its headings.{cut} Download it again.")
    return records


def _require(path: Path, headings: Sequence[str], places: Mapping[int, Place], rules: ProgramYear) -> None:
    present = set(places.values())
    needed: list[Place] = [("ccn", None), ("paf", None)]
    figures = ["eligible_discharges", "err"]
    if rules.method == "stratified":
        needed += [("dual_proportion", None), ("peer_group", None), ("neutrality_modifier", None)]
        figures += ["peer_group_median", "drg_payment_ratio"]
    needed += [(figure, measure) for measure in rules.measures_in_payment for figure in figures]
    missing = [place for place in needed if place not in present]
    if missing:
        named = "; ".join(
            figure.replace("_", " ") + (f" for {measure}" if measure else "") for figure, measure in missing
        )
        raise ReportFormatError(
            f"{path.name} is of FY{rules.program_year}, whose file has columns that are not found here: {named}. "
            f"Headings seen: {'; '.join(heading for heading in headings if heading)}."
        )


class _RowReader:
    """Turns cells into records, keeping count of digits, mended cells and faults."""

    def __init__(self, path: Path, headings: Sequence[str], places: Mapping[int, Place], rules: ProgramYear) -> None:
        self.path = path
        self.headings = headings
        self.rules = rules
        self.hospital_columns = [(column, place[0]) for column, place in places.items() if place[1] is None]
        self.measure_columns: dict[str, list[tuple[int, str]]] = {}
        for column, (figure, measure) in places.items():
            if measure is not None:
                self.measure_columns.setdefault(measure, []).append((column, figure))
        self.digits: dict[str, Counter[int]] = {figure: Counter() for figure in _ROUNDED}
        self.rows_of_ccn: dict[str, int] = {}
        self.lost_zeros = 0
        self.zero_errs = 0
        self.faults: dict[tuple[int, str], list[int]] = {}

    def hospital(self, number: int, cells: Sequence[str]) -> SupplementalHospital:
        figures: dict[str, float | None] = {}
        ccn = ""
        for column, figure in self.hospital_columns:
            if figure == "ccn":
                ccn = self._ccn(number, column, cells[column])
            else:
                figures[figure] = self._figure(number, column, figure, cells[column])
        measures = {}
        for measure, columns in self.measure_columns.items():
            values: dict[str, float | None] = {}
            flag = None
            for column, figure in columns:
                if figure == "penalty_indicator":
                    flag = self._flag(number, column, cells[column])
                else:
                    values[figure] = self._figure(number, column, figure, cells[column])
            cases = values.get("eligible_discharges")
            err = values.get("err")
            if err == 0:
                err = None
                # Before FY2018 the files print 0 where a hospital has fewer than 25 cases; a true ERR is never 0.
                if self.rules.method == "stratified" or (cases or 0) >= 25:
                    column = next(column for column, figure in columns if figure == "err")
                    self._fault(column, "is 0, which no excess readmission ratio can be", number)
                else:
                    self.zero_errs += 1
            measures[measure] = SupplementalMeasure(
                eligible_discharges=None if cases is None else int(cases),
                err=err,
                peer_group_median=values.get("peer_group_median"),
                penalty_indicator=flag,
                drg_payment_ratio=values.get("drg_payment_ratio"),
            )
        group = figures.get("peer_group")
        return SupplementalHospital(
            ccn=ccn,
            paf=figures.get("paf"),
            payment_reduction=figures.get("payment_reduction"),
            dual_proportion=figures.get("dual_proportion"),
            peer_group=None if group is None else int(group),
            neutrality_modifier=figures.get("neutrality_modifier"),
            measures={measure: measures[measure] for measure in MEASURES if measure in measures},
        )

    def _ccn(self, number: int, column: int, text: str) -> str:
        ccn = text.lstrip("'").upper()
        if not _CCN.fullmatch(ccn):
            self._fault(column, "is not a CCN of six characters", number)
            return ccn
        if len(ccn) == 5:
            self.lost_zeros += 1
            ccn = "0" + ccn
        if ccn in self.rows_of_ccn:
            self._fault(column, f"is a CCN that stands in row {self.rows_of_ccn[ccn]:,} already", number)
        self.rows_of_ccn.setdefault(ccn, number)
        return ccn

    def _flag(self, number: int, column: int, text: str) -> bool | None:
        if text.lower() in _MISSING:
            return None
        if text.upper() in {"Y", "N", "YES", "NO"}:
            return text[0].upper() == "Y"
        self._fault(column, "is neither Y nor N", number)
        return None

    def _figure(self, number: int, column: int, figure: str, text: str) -> float | None:
        if text.lower() in _MISSING:
            return None
        percent = text.endswith("%")
        digits = text.rstrip("% ")
        if not _NUMBER.fullmatch(digits) or digits in {"", "+", "-"}:
            self._fault(column, "is not a number", number)
            return None
        value = float(digits.replace(",", ""))
        if figure == "payment_reduction":
            # Printed as a percentage with or without its sign; the quotient as a decimal, so that 0.25 becomes 0.0025 exactly.
            value = float(Decimal(digits.replace(",", "")) / 100)
        elif percent:
            self._fault(column, "is a percentage where a fraction was expected", number)
            return None
        low, high = _LIMITS[figure]
        if not low <= value <= high or (figure in _WHOLE and value != int(value)):
            kind = "a whole number" if figure in _WHOLE else "a number"
            self._fault(column, f"is not {kind} from {low} to {high}", number)
            return None
        if figure in self.digits:
            self.digits[figure][len(digits.partition(".")[2])] += 1
        return value

    def _fault(self, column: int, what: str, number: int) -> None:
        self.faults.setdefault((column, what), []).append(number)

    def raise_faults(self, hospitals: int) -> None:
        """Raise InputContractError naming every column at fault, what is wrong there, how often and where first."""
        if not self.faults:
            return
        named = [
            f"column '{self.headings[column]}' {what} in {len(rows):,} of {hospitals:,} rows (first in row {rows[0]:,})"
            for (column, what), rows in self.faults.items()
        ]
        more = f"; and {len(named) - 5} more kinds of fault" if len(named) > 5 else ""
        raise InputContractError(
            f"{self.path.name}: {'; '.join(named[:5])}{more}. Expected the values as CMS prints them; correct the file or "
            "download it again."
        )

    def decimals(self) -> dict[str, int]:
        """Digits after the point that each figure is usually printed with, at least CMS's four.

        The usual number, not the greatest: a spreadsheet program drops trailing zeros, and one odd cell says nothing of the rest.
        """
        return {
            figure: max(PRINTED_DECIMALS, seen.most_common(1)[0][0]) for figure, seen in self.digits.items() if seen
        }

    def notes(self) -> list[str]:
        notes = []
        if self.lost_zeros:
            notes.append(f"{self.lost_zeros:,} CCNs had lost their leading zero; it is put back.")
        if self.zero_errs:
            notes.append(f"{self.zero_errs:,} ERRs printed as 0 (fewer than 25 cases) are read as missing.")
        return notes


def write_supplemental(path: Path, file: SupplementalFile, reference: Reference | None = None) -> None:
    """Write `file` in CMS's layout of FY2025: title, headings, four decimals, quoted thousands, a percent sign, CRLF.

    Comma-separated, or tab-separated where `path` ends in .txt or .tsv. A figure that is None is left blank; the reduction is taken
    from the factor where it is None. The file appears whole or not at all.
    """
    rows = (reference or Reference()).rows("measures")
    names = {row["measure"]: row["supplemental_name"] for row in rows}
    title = file.title or (
        f"FY {file.program_year} IPPS/LTCH PPS Final Rule: Hospital Readmissions Reduction Program Supplemental Data"
    )
    headings = [
        "Hospital CCN",
        "Payment adjustment factor",
        "Payment reduction percentage",
        "Dual proportion",
        "Peer group assignment",
        "Neutrality modifier",
    ]
    for measure in file.measures:
        headings += [
            f"Number of eligible discharges for {names[measure]}",
            f"ERR for {names[measure]}",
            f"Peer group median ERR for {names[measure]}",
            f"Penalty indicator for {names[measure]}",
            f"DRG payment ratio for {names[measure]}",
        ]
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    delimiter = "\t" if path.suffix.lower() in {".txt", ".tsv"} else ","
    try:
        with temporary.open("w", encoding="utf-8", newline="") as lines:
            writer = csv.writer(lines, delimiter=delimiter, lineterminator="\r\n")
            # CMS's rows end with one more, empty column.
            writer.writerow([title] + [""] * len(headings))
            writer.writerow([*headings, ""])
            for row in file.hospitals:
                writer.writerow([*_printed_row(row, file.measures), ""])
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _printed_row(row: SupplementalHospital, measures: Sequence[str]) -> list[str]:
    reduction = row.payment_reduction
    if reduction is None and row.paf is not None:
        reduction = float(1 - Decimal(repr(row.paf)))
    percent = "" if reduction is None else _printed(float(Decimal(repr(reduction)) * 100), 2) + "%"
    cells = [
        row.ccn,
        _printed(row.paf),
        percent,
        _printed(row.dual_proportion),
        "" if row.peer_group is None else str(row.peer_group),
        _printed(row.neutrality_modifier),
    ]
    for measure in measures:
        figures = row.measures.get(measure, SupplementalMeasure())
        cells += [
            "" if figures.eligible_discharges is None else f"{figures.eligible_discharges:,}",
            _printed(figures.err),
            _printed(figures.peer_group_median),
            "" if figures.penalty_indicator is None else "NY"[figures.penalty_indicator],
            _printed(figures.drg_payment_ratio),
        ]
    return cells


def _printed(value: float | None, decimals: int = PRINTED_DECIMALS) -> str:
    if value is None:
        return ""
    return f"{Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP):f}"
