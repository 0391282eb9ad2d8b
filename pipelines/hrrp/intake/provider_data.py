"""CMS's Provider Data Catalog: the HRRP hospital file (9n3s-kdb3) and the hospital general information file (xubh-q36u).

The HRRP file has one row per hospital and measure: discharges, predicted and expected readmission rate (percent), excess
readmission ratio, readmissions. `N/A` stands for a figure that is not there, `Too Few to Report` for one to ten readmissions,
which CMS hides; footnotes are codes of CMS (1 too few cases to publish, 5 no result for the period, 7 no cases that meet the
criteria). Of both files the names and states can be joined to the supplemental file, which has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

from hrrp.errors import InputContractError, ReportFormatError
from hrrp.intake.published_file import clean, headings_seen, read_tables
from hrrp.program.reference import Reference

EXPECTED_MEASURES = "the Provider Data Catalog file of the Hospital Readmissions Reduction Program (9n3s-kdb3, text)"
EXPECTED_HOSPITALS = "the Provider Data Catalog's hospital general information file (xubh-q36u, text)"

TOO_FEW = "too few to report"
_MISSING = {"", "n/a", "na", "not available", TOO_FEW}

# What each heading has been called: today's name first, then those of earlier downloads.
_CCN = ("facility id", "provider id", "provider number", "hospital ccn")
_NAME = ("facility name", "hospital name")
_STATE = ("state",)
_MEASURE_COLUMNS = {
    "measure": ("measure name", "measure id"),
    "discharges": ("number of discharges",),
    "footnote": ("footnote",),
    "err": ("excess readmission ratio",),
    "predicted": ("predicted readmission rate",),
    "expected": ("expected readmission rate",),
    "readmissions": ("number of readmissions",),
    "start": ("start date", "measure start date"),
    "end": ("end date", "measure end date"),
}

# Rates are printed as percents with four decimals, ratios with four.
_HALF_PERCENT = Decimal("0.00005")
_HALF_RATIO = Decimal("0.00005")


@dataclass(frozen=True, slots=True)
class HospitalName:
    """Name and two-letter state of a hospital."""

    name: str
    state: str


@dataclass(frozen=True, slots=True)
class ProviderDataMeasure:
    """One measure of one hospital; rates as fractions, None where the file has no figure.

    `too_few_readmissions` says that the file hides a number of readmissions from 1 to 10; `footnotes` are CMS's codes.
    """

    discharges: int | None
    readmissions: int | None
    too_few_readmissions: bool
    predicted: float | None
    expected: float | None
    err: float | None
    footnotes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProviderData:
    """The HRRP file of the Provider Data Catalog.

    `hospitals` maps CCN to measure to figures, `names` CCN to name and state. `program_year` is the one whose applicable period
    begins and ends on the file's dates, None where the reference tables list no such period.
    """

    program_year: int | None
    start: date
    end: date
    hospitals: Mapping[str, Mapping[str, ProviderDataMeasure]]
    names: Mapping[str, HospitalName]

    def rows(self) -> Iterator[tuple[str, str, ProviderDataMeasure]]:
        """(CCN, measure, figures) of every hospital and measure, as the outlook from public data takes them."""
        for ccn, measures in self.hospitals.items():
            for measure, figures in measures.items():
                yield ccn, measure, figures


def read_provider_data(path: Path, reference: Reference | None = None) -> ProviderData:
    """Read the HRRP file of the Provider Data Catalog.

    Raises ReportFormatError where its headings are not found (with the headings seen), InputContractError where it is unreadable or
    holds values that cannot be meant.
    """
    reference = reference or Reference()
    columns = {"ccn": _CCN, "name": _NAME, "state": _STATE, **_MEASURE_COLUMNS}
    measures = {row["pdc_name"].upper(): row["measure"] for row in reference.rows("measures")}
    hospitals: dict[str, dict[str, ProviderDataMeasure]] = {}
    names: dict[str, HospitalName] = {}
    periods: set[tuple[date, date]] = set()
    for number, cells in _rows(path, columns, EXPECTED_MEASURES):
        ccn = _ccn(cells["ccn"])
        measure = measures.get(cells["measure"].upper())
        if measure is None:
            # The catalog may add a measure before the program pays by it; what is not ours is left alone.
            continue
        if measure in hospitals.setdefault(ccn, {}):
            raise InputContractError(
                f"{path.name}, row {number:,}: {measure} of hospital {ccn} stands here for the second time. Expected one row per "
                "hospital and measure; download the file again."
            )
        try:
            hospitals[ccn][measure] = _measure(cells)
            periods.add((_date(cells["start"]), _date(cells["end"])))
        except (ValueError, ArithmeticError):  # decimal's own error is an ArithmeticError
            raise InputContractError(
                f"{path.name}, row {number:,}: a figure is neither a number nor N/A, or a date is not month/day/year. Download the "
                "file again."
            ) from None
        names[ccn] = HospitalName(cells["name"], cells["state"])
    if not hospitals:
        raise InputContractError(f"{path.name} lists no HRRP measure of any hospital. Expected: {EXPECTED_MEASURES}.")
    if len(periods) > 1:
        raise InputContractError(
            f"{path.name} mixes {len(periods)} periods. Expected the file of one program year; keep the rows of one period."
        )
    start, end = periods.pop()
    years = [year for year, rules in reference.program_years.items() if (rules.start, rules.end) == (start, end)]
    return ProviderData(years[0] if years else None, start, end, hospitals, names)


def read_hospital_names(path: Path) -> dict[str, HospitalName]:
    """Names and states by CCN, of the general information file or any Provider Data Catalog file that has them.

    Raises ReportFormatError where the headings are not found, InputContractError where the file is unreadable.
    """
    columns = {"ccn": _CCN, "name": _NAME, "state": _STATE}
    return {
        _ccn(cells["ccn"]): HospitalName(cells["name"], cells["state"])
        for _, cells in _rows(path, columns, EXPECTED_HOSPITALS)
    }


def ratio_agrees(figures: ProviderDataMeasure) -> bool | None:
    """Whether the printed ERR lies inside what the printed predicted and expected rates allow; None where one is missing.

    Each printed figure stands for the values that round to it; arithmetic is exact.
    """
    if figures.predicted is None or figures.expected is None or figures.err is None:
        return None
    predicted, expected, err = (
        Decimal(repr(value)) for value in (figures.predicted * 100, figures.expected * 100, figures.err)
    )
    predicted, expected = round(predicted, 8), round(expected, 8)
    low = (predicted - _HALF_PERCENT) / (expected + _HALF_PERCENT)
    high = (predicted + _HALF_PERCENT) / (expected - _HALF_PERCENT)
    return low <= err + _HALF_RATIO and err - _HALF_RATIO <= high


def _rows(path: Path, columns: Mapping[str, Sequence[str]], expected: str) -> Iterator[tuple[int, dict[str, str]]]:
    """(row number, cells by our names) of every row below the headings."""
    tables = read_tables(path, expected)
    for table in tables:
        for heading_row, row in enumerate(table.rows[:20]):
            headings = [clean(cell).lower() for cell in row]
            places = {
                ours: next((headings.index(name) for name in theirs if name in headings), None)
                for ours, theirs in columns.items()
            }
            if None in (places["ccn"], places["name"]):
                continue
            missing = [columns[ours][0] for ours, place in places.items() if place is None]
            if missing:
                raise ReportFormatError(
                    f"{path.name} lacks columns of {expected}: {', '.join(missing)}. Headings seen: "
                    f"{'; '.join(cell for cell in row if cell)}."
                )
            found = {ours: place for ours, place in places.items() if place is not None}
            width = max(found.values()) + 1
            for number, cells in enumerate(table.rows[heading_row + 1 :], start=heading_row + 2):
                if not any(cells):
                    continue
                if len(cells) < width:
                    raise InputContractError(
                        f"{path.name}, row {number:,}: {len(cells)} of {width} columns. The file looks truncated; download it again."
                    )
                yield number, {ours: cells[place] for ours, place in found.items()}
            return
    raise ReportFormatError(
        f"{path.name} does not look like {expected}: no headings 'Facility ID' and 'Facility Name' found. Headings seen: "
        f"{headings_seen(tables)}."
    )


def _ccn(text: str) -> str:
    ccn = text.lstrip("'").upper()
    return ccn.zfill(6) if ccn.isdigit() else ccn


def _measure(cells: Mapping[str, str]) -> ProviderDataMeasure:
    return ProviderDataMeasure(
        discharges=_whole(cells["discharges"]),
        readmissions=_whole(cells["readmissions"]),
        too_few_readmissions=cells["readmissions"].lower() == TOO_FEW,
        predicted=_fraction(cells["predicted"]),
        expected=_fraction(cells["expected"]),
        err=None if cells["err"].lower() in _MISSING else float(cells["err"]),
        footnotes=tuple(code.strip() for code in cells["footnote"].split(",") if code.strip()),
    )


def _whole(text: str) -> int | None:
    return None if text.lower() in _MISSING else int(text.replace(",", ""))


def _fraction(text: str) -> float | None:
    """A printed percentage as a fraction; divided as a decimal, so that 13.0146 becomes 0.130146 and not its neighbour."""
    return None if text.lower() in _MISSING else float(Decimal(text.rstrip("%")).scaleb(-2))


@cache
def _date(text: str) -> date:
    for pattern in ("%m/%d/%Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, pattern).date()
        except ValueError:
            continue
    raise ValueError("no date")
