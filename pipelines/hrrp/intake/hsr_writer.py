"""Writing a Hospital-Specific Report as an Excel workbook in the layout of CMS's FY2025 report.

The same sheets, headings and rows, so that a quality team can lay two reports side by side and `hrrp.intake.hsr` reads
both alike. The workbook says on every sheet who made it, so that nobody takes it for CMS's.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from hrrp.program import MEASURES, REPORT_NAMES, Period
from hrrp.program.hospital_report import (
    COEFFICIENT_ROW,
    DISCHARGE_HEADINGS,
    DUAL_STAY_HEADINGS,
    EFFECT_HEADINGS,
    FIRST_DUAL_STAY_ROW,
    FIRST_STAY_ROW,
    MONTHS,
    SHEET_NAMES,
    TABLE_1_HEADINGS,
    TABLE_1_ROW,
    TABLE_2_FIRST_ROW,
    TABLE_2_HEADINGS,
    Discharge,
    DischargeTable,
    DualStay,
    HospitalReport,
    MeasureResult,
)

COVER = "HRRP Workbook"
TITLES = {
    "table_1": "Table 1: Your Hospital\u2019s Payment Adjustment Factor Information",
    "table_2": (
        "Table 2: Your Hospital\u2019s Results on 30-Day All-Cause Unplanned Risk-Standardized Readmission Measures"
    ),
    "table_9": "Table 9: Stay-Level Information for Patients who are Dually Eligible (Dual Proportion Numerator)",
} | {
    measure: (
        f"Table {number}: Discharge-Level Information for the {REPORT_NAMES[measure]} 30-Day All-Cause Unplanned "
        "Risk-Standardized Readmission Measure"
    )
    for number, measure in enumerate(MEASURES, start=3)
}
DEFAULT_NOTE = (
    "Note: made by hrrp in the layout of CMS's FY 2025 report; it is not a report of CMS. Discharge-level rows are protected "
    "health information: refer to a stay by its ID number."
)
LEGENDS = {
    "table_1": (
        "N/A = not applicable (Maryland hospitals are exempt).",
        "Dual proportion = dually eligible stays (Table 9) / all Medicare stays of the discharge period.",
    ),
    "table_2": (
        "NQ = no qualifying cases. N/A = not applicable.",
        "Excess readmission ratio = predicted / expected. Rates are fractions.",
    ),
    "discharges": (
        "Indicator 0 = the stay counts; any other number says why it does not. N/A = not applicable to this stay.",
        "N/A-COVID patient = the readmission was with COVID-19 and does not count.",
    ),
    "table_9": ("Fee-for-service and managed-care stays of patients with Medicare and full Medicaid benefits.",),
}
MASKED = "99/99/9999"
NOT_APPLICABLE, NO_CASES, NONE_GIVEN = "N/A", "NQ", "--"
# The same bytes for the same report: the workbook's own date is that of the layout, not of the writing.
CREATED = datetime(2024, 8, 1)


def write_hsr(report: HospitalReport, path: Path, note: str = DEFAULT_NOTE) -> None:
    """Write `report` to `path` (.xlsx), replacing it in one step; the same report gives the same bytes.

    `note` stands on every sheet. Dates that the report does not have are written as CMS masks them (99/99/9999). Numbers carry
    16 significant digits, as a workbook does.
    """
    import xlsxwriter

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(suffix=".xlsx", prefix=f".{path.stem}-", dir=path.parent)
    os.close(handle)
    try:
        with xlsxwriter.Workbook(temporary, {"strings_to_formulas": False, "strings_to_urls": False}) as book:
            book.set_properties({"title": _title(report), "created": CREATED})
            _Writer(book, report, note).write()
        Path(temporary).chmod(0o600)  # the rows are of patients
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _title(report: HospitalReport) -> str:
    return (
        f"Hospital-Specific Report (HSR) for the Fiscal Year (FY) {report.program_year} "
        "Hospital Readmissions Reduction Program (HRRP)"
    )


def discharge_period(periods: Sequence[Period]) -> str:
    """The applicable period in the report's words."""
    spans = " and ".join(f"{_in_words(period.start)} through {_in_words(period.end)}" for period in periods)
    return f"Hospital Discharge Period: {spans}"


def _in_words(day: date) -> str:
    return f"{MONTHS[day.month - 1]} {day.day}, {day.year}"


class _Writer:
    """One workbook being written; rows and columns are counted from 1, as a worksheet shows them."""

    def __init__(self, book: Any, report: HospitalReport, note: str) -> None:
        self.book, self.report, self.note = book, report, note
        self.title = book.add_format({"bold": True, "font_size": 13})
        self.plain = book.add_format({})
        self.wrapped = book.add_format({"text_wrap": True, "valign": "top"})
        self.grey = book.add_format({"font_color": "#555555", "italic": True})
        self.heading = book.add_format(
            {
                "bold": True,
                "text_wrap": True,
                "valign": "vcenter",
                "align": "center",
                "bg_color": "#DCE6F1",
                "border": 1,
            }
        )
        self.body = book.add_format({"border": 1, "align": "center"})
        self.rate = book.add_format({"border": 1, "align": "center", "num_format": "0.0000"})
        self.count = book.add_format({"border": 1, "align": "center", "num_format": "#,##0"})
        self.coefficient = book.add_format(
            {"border": 1, "align": "center", "bold": True, "bg_color": "#F2F2F2", "num_format": "0.0000"}
        )

    def write(self) -> None:
        self._cover()
        self._table_1()
        self._table_2()
        for measure in MEASURES:
            self._discharges(self.report.discharges[measure])
        self._dual_stays()

    # ---- pieces ----

    def _put(self, sheet: Any, row: int, column: int, value: Any, style: Any) -> None:
        if isinstance(value, str):
            sheet.write_string(row - 1, column - 1, value, style)
        else:
            sheet.write_number(row - 1, column - 1, value, style)

    def _line(self, sheet: Any, row: int, values: Iterable[Any], style: Any) -> None:
        for column, value in enumerate(values, start=1):
            self._put(sheet, row, column, value, style)

    def _sheet(self, key: str, heading_row: int, headings: Sequence[str], with_note: bool = True) -> Any:
        sheet = self.book.add_worksheet(SHEET_NAMES[key])
        self._put(sheet, 1, 1, TITLES[key], self.title)
        self._put(sheet, 2, 1, self.report.hospital_name, self.plain)
        self._put(sheet, 3, 1, discharge_period(self.report.periods), self.plain)
        if with_note:
            self._put(sheet, 4, 1, self.note, self.grey)
        self._line(sheet, heading_row, headings, self.heading)
        sheet.set_row(heading_row - 1, 75)
        sheet.set_column(0, len(headings) - 1, 15)
        sheet.hide_gridlines(2)
        return sheet

    def _end(self, sheet: Any, row: int, key: str, more: Sequence[str] = ()) -> None:
        """Footnotes; every table ends in the same words, so that a reader knows it is whole."""
        self._put(sheet, row, 1, "Notes:", self.plain)
        lines = [f"{number}. {text}" for number, text in enumerate((*LEGENDS[key], *more), start=1)]
        for number, text in enumerate([*lines, "End of worksheet"], start=1):
            self._put(sheet, row + number, 1, text, self.grey)

    # ---- sheets ----

    def _cover(self) -> None:
        sheet = self.book.add_worksheet(COVER)
        sheet.set_column(0, 0, 120)
        lines = [
            (_title(self.report), self.title),
            (self.report.hospital_name, self.plain),
            (self.note, self.wrapped),
            ("This workbook contains the following tables:", self.plain),
            *((title, self.plain) for title in (TITLES[key] for key in SHEET_NAMES)),
            (discharge_period(self.report.periods), self.plain),
            ("Individual Extraordinary Circumstances Exceptions (ECE) Information", self.plain),
            (
                "Because of the hospital's own exceptions, the following quarters of data are excluded from the calculations "
                f"for FY {self.report.program_year}:",
                self.plain,
            ),
            (", ".join(self.report.excluded_quarters) or "none", self.plain),
            ("End of worksheet", self.grey),
        ]
        for row, (text, style) in enumerate(lines, start=1):
            self._put(sheet, row, 1, text, style)

    def _table_1(self) -> None:
        sheet = self._sheet("table_1", TABLE_1_ROW - 1, list(TABLE_1_HEADINGS.values()))
        printed = self.report.payment_adjustment
        styles = {"dual_stays": self.count, "stays": self.count, "peer_group": self.body}
        for column, name in enumerate(TABLE_1_HEADINGS, start=1):
            value = getattr(printed, name)
            if name == "payment_reduction" and value is not None:
                value = f"{100 * value:.2f}%"
            self._put(
                sheet, TABLE_1_ROW, column, NOT_APPLICABLE if value is None else value, styles.get(name, self.rate)
            )
        self._end(sheet, TABLE_1_ROW + 2, "table_1")

    def _table_2(self) -> None:
        sheet = self._sheet("table_2", TABLE_2_FIRST_ROW - 1, list(TABLE_2_HEADINGS.values()))
        for row, measure in enumerate(MEASURES, start=TABLE_2_FIRST_ROW):
            printed = self.report.results[measure]
            for column, name in enumerate(TABLE_2_HEADINGS, start=1):
                style = self.count if name in {"eligible_discharges", "readmissions"} else self.rate
                self._put(sheet, row, column, _result(printed, name), style)
        self._end(sheet, TABLE_2_FIRST_ROW + len(MEASURES) + 1, "table_2")

    def _discharges(self, table: DischargeTable) -> None:
        names = _columns(DISCHARGE_HEADINGS, table.discharges)
        headings = [DISCHARGE_HEADINGS[name] for name in names]
        labels = [variable.label for variable in table.variables]
        sheet = self._sheet(table.measure, COEFFICIENT_ROW - 1, [*headings, *labels, *EFFECT_HEADINGS.values()])
        self._put(
            sheet, 5, 1, "[Row 8 holds the coefficients and the two intercepts; the stays begin in row 9.]", self.grey
        )
        effects = (table.hospital_effect, table.average_effect)
        coefficients = [variable.coefficient for variable in table.variables]
        row = COEFFICIENT_ROW
        self._line(sheet, row, [NONE_GIVEN] * len(names), self.coefficient)
        for column, value in enumerate([*coefficients, *effects], start=len(names) + 1):
            self._put(sheet, row, column, NONE_GIVEN if value is None else value, self.coefficient)
        for row, (stay, values) in enumerate(
            zip(table.discharges, table.risk_factors, strict=True), start=FIRST_STAY_ROW
        ):
            cells = _discharge_cells(stay)
            self._line(sheet, row, [cells[name] for name in names], self.body)
            for column, value in enumerate(values.tolist(), start=len(names) + 1):
                self._put(sheet, row, column, NOT_APPLICABLE if math.isnan(value) else value, self.body)
            for column in (1, 2):
                self._put(sheet, row, len(names) + len(values) + column, NOT_APPLICABLE, self.body)
        sheet.freeze_panes(FIRST_STAY_ROW - 1, 1)
        self._end(sheet, FIRST_STAY_ROW + len(table.discharges) + 1, "discharges")

    def _dual_stays(self) -> None:
        stays = self.report.dual_stays
        names = _columns(DUAL_STAY_HEADINGS, stays)
        sheet = self._sheet("table_9", FIRST_DUAL_STAY_ROW - 1, [DUAL_STAY_HEADINGS[name] for name in names])
        for row, stay in enumerate(stays, start=FIRST_DUAL_STAY_ROW):
            cells = _dual_stay_cells(stay)
            self._line(sheet, row, [cells[name] for name in names], self.body)
        sheet.freeze_panes(FIRST_DUAL_STAY_ROW - 1, 1)
        self._end(sheet, FIRST_DUAL_STAY_ROW + len(stays) + 1, "table_9")


def _columns(headings: Mapping[str, str], stays: Sequence[Discharge] | Sequence[DualStay]) -> list[str]:
    """The columns of FY2025; the older identifier only where a report has it."""
    with_old_identifier = any(stay.hicno for stay in stays)
    return [name for name in headings if name != "hicno" or with_old_identifier]


def _result(printed: MeasureResult, name: str) -> Any:
    if name == "measure":
        return REPORT_NAMES[printed.measure]
    value = getattr(printed, name)
    if value is None:
        from_cases = name in {
            "eligible_discharges",
            "readmissions",
            "predicted",
            "expected",
            "err",
            "drg_payment_ratio",
        }
        return NO_CASES if printed.no_qualifying_cases and from_cases else NOT_APPLICABLE
    return _yes(value) if name == "penalty_indicator" else value


def _yes(value: bool | None) -> str:
    return NOT_APPLICABLE if value is None else "Yes" if value else "No"


def _day(day: date | None, absent: str = MASKED) -> str:
    return absent if day is None else f"{day:%m/%d/%Y}"


def _discharge_cells(stay: Discharge) -> dict[str, Any]:
    absent = MASKED if stay.readmission_listed else NOT_APPLICABLE
    codes = stay.exclusion_codes
    return {
        "id_number": NONE_GIVEN if stay.id_number is None else stay.id_number,
        "hicno": stay.hicno or NONE_GIVEN,
        "mbi": stay.mbi or NONE_GIVEN,
        "medical_record_number": stay.medical_record_number or NONE_GIVEN,
        "birth_date": _day(stay.birth_date),
        "admit_date": _day(stay.admit_date),
        "discharge_date": _day(stay.discharge_date),
        "exclusion_codes": codes[0] if len(codes) == 1 else ",".join(str(code) for code in codes),
        "index_stay": _yes(stay.index_stay),
        "principal_diagnosis": stay.principal_diagnosis or NOT_APPLICABLE,
        "discharge_destination": stay.discharge_destination or NOT_APPLICABLE,
        "unplanned_readmission": "N/A-COVID patient" if stay.covid_readmission else _yes(stay.unplanned_readmission),
        "planned_readmission": _yes(stay.planned_readmission),
        "readmission_date": _day(stay.readmission_date, absent),
        "readmission_discharge_date": _day(stay.readmission_discharge_date, absent),
        "readmission_diagnosis": stay.readmission_diagnosis or NOT_APPLICABLE,
        "same_hospital": _yes(stay.same_hospital),
        "readmitting_ccn": stay.readmitting_ccn or NOT_APPLICABLE,
    }


def _dual_stay_cells(stay: DualStay) -> dict[str, Any]:
    return {
        "id_number": NONE_GIVEN if stay.id_number is None else stay.id_number,
        "hicno": stay.hicno or NONE_GIVEN,
        "mbi": stay.mbi or NONE_GIVEN,
        "birth_date": _day(stay.birth_date),
        "admit_date": _day(stay.admit_date),
        "discharge_date": _day(stay.discharge_date),
        "claim_type": stay.claim_type or NOT_APPLICABLE,
    }
