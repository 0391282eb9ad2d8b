"""The workbook: our figures in the table order of CMS's Hospital-Specific Report, and the payment arithmetic in live formulas.

Every sheet says on its first lines what it is of: hospital, period, source, rule year, stand-ins, date. The same report gives the
same bytes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time
from pathlib import Path
from typing import Any

import pandas as pd

from hrrp.penalty.factor import MINIMUM_CASES, contributions, payment_reduction
from hrrp.program import MEASURES, REPORT_NAMES
from hrrp.program.hospital_report import TABLE_1_HEADINGS, TABLE_2_HEADINGS
from hrrp.review.figures import percent
from hrrp.review.report import PATIENT_WARNING, Report, bounds, in_words, write_in_place
from hrrp.review.suppression import Hidden

OTHER = "Other reasons (those with few stays, together)"
CONTENTS, WHAT_IF, FLOW, NOTES = "Contents", "What-if", "Cohort flow", "Notes"
TABLE_1, TABLE_2 = "Table 1 Payment Adjustment", "Table 2 Hospital Results"
MEASURE_SHEETS = {measure: f"Table {n} {measure}" for n, measure in enumerate(MEASURES, start=3)}
STAY_SHEETS = {measure: f"Table {n} Stays {measure}" for n, measure in enumerate(MEASURES, start=3)}
# The head of a sheet takes rows 1 to 8; its table begins in row 10.
FIRST_ROW = 10
MEASURE_WIDTHS, FLOW_WIDTHS, NOTES_WIDTH = (62, 14, 14, 16, 14, 18), (80, *[12] * len(MEASURES)), 100
# Columns of a patient list, in the order of the report's Tables 3 to 8.
STAYS = {
    "stay_id": "Stay ID",
    "person_id": "Person ID",
    "medical_record_number": "Medical Record Number",
    "birth_date": "Beneficiary DOB",
    "admit_date": "Admission Date of Index Stay",
    "discharge_date": "Discharge Date of Index Stay",
    "indicator": "Cohort Inclusion/Exclusion Indicator",
    "index_stay": "Index Stay (Yes/No)",
    "reasons": "Reasons for Exclusion",
    "principal_code": "Principal Discharge Diagnosis of Index Stay",
    "discharge_status": "Discharge Destination",
    "unplanned": "Unplanned Readmission within 30 Days (Yes/No)",
    "planned": "Planned Readmission within 30 Days (Yes/No)",
    "readmission_date": "Readmission Date",
    "readmission_discharge_date": "Discharge Date of Readmission",
    "readmission_code": "Principal Discharge Diagnosis of Readmission",
    "same_hospital": "Readmission to Same Hospital (Yes/No)",
    "readmission_ccn": "Provider ID of Readmitting Hospital",
}
RATE, COUNT, PERCENT, USD, PLAIN = "0.0000", "#,##0", "0.00%", "$#,##0", "General"
# A chance is a share of draws: never 0 % nor 100 %.
CHANCE = '[>=0.995]"over 99%";[<0.005]"under 1%";0%'
UNKNOWN = "–"
# Points a line of text takes, and a row of one line.
LINE_HEIGHT, ROW_HEIGHT = 13.0, 16.0
# Letters of plain text in a unit of column width, which is that of a digit.
LETTERS_A_UNIT = 1.2
INK, MUTED, LINE, HEAD, INPUT = "#1F2933", "#5B6770", "#C9D1D8", "#E8EEF3", "#FFF6D6"


def write_workbook(report: Report, path: Path, patients: Mapping[str, pd.DataFrame] | None = None) -> None:
    """Write the workbook of one hospital and program year, replacing `path` in one step.

    With `patients` (judged stays by measure) it has a list of stays for each measure and is readable by its owner alone.
    """
    import xlsxwriter

    created = datetime.combine(report.as_of, time())
    # Nothing is laid into the machine's common folder for temporary files: the rows may be of patients.
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}

    def write(part: Path) -> None:
        with xlsxwriter.Workbook(str(part), options) as book:
            title = f"HRRP FY{report.program_year}, {report.hospital}"
            book.set_properties({"title": title, "author": "hrrp", "comments": report.source, "created": created})
            book.set_size(1900, 1200)
            _Writer(book, report).write(patients)

    write_in_place(path, write, private=patients is not None or report.patient_level)


class _Writer:
    """One workbook being written; rows and columns are counted from 1, as a worksheet shows them."""

    def __init__(self, book: Any, report: Report) -> None:
        self.book, self.report = book, report
        self._styles: dict[tuple[tuple[str, Any], ...], Any] = {}

    def write(self, patients: Mapping[str, pd.DataFrame] | None) -> None:
        self._contents(patients is not None)
        self._table_1()
        self._table_2()
        for measure in MEASURES:
            self._measure(measure)
        self._flow()
        self._what_if()
        for measure, rows in (patients or {}).items():
            self._stays(measure, rows)
        self._notes()

    # ---- pieces ----

    def _style(self, **properties: Any) -> Any:
        whole = {"font_name": "Arial", "font_size": 10, "font_color": INK, "valign": "vcenter"} | properties
        key = tuple(sorted(whole.items()))
        if key not in self._styles:
            self._styles[key] = self.book.add_format(whole)
        return self._styles[key]

    def _body(self, number: str = PLAIN, **more: Any) -> Any:
        return self._style(num_format=number, bottom=1, bottom_color=LINE, **more)

    def _put(self, sheet: Any, row: int, column: int, value: Any, style: Any) -> None:
        if value is None:
            value = UNKNOWN
        if isinstance(value, bool):
            value = "Yes" if value else "No"
        if isinstance(value, (str, Hidden)):
            sheet.write_string(row - 1, column - 1, str(value), style)
        else:
            sheet.write_number(row - 1, column - 1, value, style)

    def _figure(self, sheet: Any, row: int, column: int, value: Any, number: str = PLAIN, **more: Any) -> None:
        self._put(sheet, row, column, value, self._body(number, align="right", **more))

    def _label(self, sheet: Any, row: int, text: str, width: float, **more: Any) -> None:
        """The first cell of a row, broken into lines where its column is narrower; spreadsheets do not heighten rows themselves."""
        lines = len(textwrap.wrap(text, int(LETTERS_A_UNIT * width))) or 1
        self._put(sheet, row, 1, text, self._body(text_wrap=lines > 1, **more))
        if lines > 1:
            sheet.set_row(row - 1, LINE_HEIGHT * lines + 3.0)

    def _headings(
        self, sheet: Any, row: int, headings: Iterable[str], height: int = 48, figures: str = "right"
    ) -> None:
        for column, heading in enumerate(headings, start=1):
            side = "left" if column == 1 else figures
            style = self._style(
                bold=True, text_wrap=True, bg_color=HEAD, align=side, valign="bottom", bottom=2, bottom_color=INK
            )
            self._put(sheet, row, column, heading, style)
        sheet.set_row(row - 1, height)

    def _sheet(self, name: str, title: str, widths: Sequence[float]) -> Any:
        """A sheet with its head: what it is of, and what it rests on."""
        sheet = self.book.add_worksheet(name)
        report = self.report
        self._put(sheet, 1, 1, title, self._style(bold=True, font_size=14))
        head = (
            f"{report.hospital}, {report.payment_year}",
            f"Period: {report.period}",
            f"Source: {report.source}",
            f"Rule year: {report.rule_year}",
            f"Stand-ins (published figures of other years): {report.stand_ins}",
            f"Date: {report.as_of}",
            report.level,
        )
        for row, line in enumerate(head, start=2):
            muted = self._style(font_color=MUTED, font_size=9)
            self._put(sheet, row, 1, line, self._style(bold=True) if row == 2 else muted)
        for column, width in enumerate(widths):
            sheet.set_column(column, column, width)
        sheet.set_default_row(ROW_HEIGHT)
        sheet.hide_gridlines(2)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(left=0.5, right=0.5, top=0.6, bottom=0.6)
        sheet.set_footer(f"&L&8hrrp, as of {report.as_of}; not a report of CMS&R&8&A, page &P of &N")
        return sheet

    def _lines(self, sheet: Any, row: int, lines: Iterable[str]) -> int:
        """Remarks below a table; the next free row."""
        for line in lines:
            self._put(sheet, row, 1, line, self._style(font_color=MUTED, font_size=9))
            row += 1
        return row

    def _published(self, measure: str | None, figure: str) -> Any:
        return self.report.published.get(measure, {}).get(figure)

    @property
    def _published_heading(self) -> str:
        year = self.report.published_year
        return f"CMS published, FY{year}" if year else "CMS published"

    @property
    def _published_remark(self) -> str:
        if self.report.published_year:
            return f"CMS published, FY{self.report.published_year}: {self.report.published_source}"
        return "CMS published: none adopted yet. `hrrp public FILE --adopt` lays a supplemental file's figures beside ours."

    # ---- sheets ----

    def _contents(self, with_patients: bool) -> None:
        report = self.report
        sheet = self._sheet(CONTENTS, f"Hospital Readmissions Reduction Program, FY{report.program_year}", (34, 100))
        rows = [
            (TABLE_1, "Payment adjustment: to date, and as a distribution at the end of the period"),
            (TABLE_2, "Results of the six measures, in the columns of the Hospital-Specific Report"),
            *(
                (MEASURE_SHEETS[m], f"{REPORT_NAMES[m]}: to date, at the end of the period, published; stays judged")
                for m in MEASURES
            ),
            (FLOW, "Which stays count, and the first rule that took each of the others out"),
            (WHAT_IF, "The payment arithmetic in live formulas: change the yellow cells"),
        ]
        if with_patients:
            rows += [(STAY_SHEETS[m], f"{REPORT_NAMES[m]}: every stay that was judged") for m in MEASURES]
        rows.append((NOTES, "Stand-ins, missing inputs and choices of less than high confidence"))
        self._headings(sheet, FIRST_ROW, ("Sheet", "What it holds"), 20, figures="left")
        for row, (name, text) in enumerate(rows, start=FIRST_ROW + 1):
            link = self._body(font_color="#0B5CAD", underline=1)
            sheet.write_url(row - 1, 0, f"internal:'{name}'!A1", link, name)
            self._put(sheet, row, 2, text, self._body())
        end = FIRST_ROW + len(rows) + 2
        lines = ["Made by hrrp in the table order of CMS's Hospital-Specific Report; it is not a report of CMS."]
        if with_patients:
            lines.append(f"This file {PATIENT_WARNING}")
        self._lines(sheet, end, lines)

    def _table_1(self) -> None:
        report, ours, end = self.report, self.report.table_1, self.report.forecast
        sheet = self._sheet(TABLE_1, "Table 1: Payment Adjustment Factor Information", (44, 16, 16, 16, 16, 18))
        headings = ("Figure", "To date", "At the end: 5 %", "At the end: middle", "At the end: 95 %")
        self._headings(sheet, FIRST_ROW, (*headings, self._published_heading), 34)
        reduction = self._published(None, "reduction")
        usd_low, usd_high = bounds(end["penalty_usd_interval"])
        low, high = bounds(end["payment_reduction_interval"])
        paf_low, paf_high = bounds(end["paf_interval"])
        paf = None if reduction is None else 1.0 - reduction
        nothing = (None, None, None, None)
        # A rounded total shows the digits that it has.
        share, factor = ("0.0%", "0.000") if end["coarse"] else (PERCENT, RATE)
        rows = (
            (TABLE_1_HEADINGS["dual_stays"], COUNT, ours["dual_stays"], *nothing),
            (TABLE_1_HEADINGS["stays"], COUNT, ours["stays"], *nothing),
            (TABLE_1_HEADINGS["dual_proportion"], RATE, ours["dual_proportion"], *nothing),
            (TABLE_1_HEADINGS["peer_group"], PLAIN, ours["peer_group"], *nothing),
            (TABLE_1_HEADINGS["neutrality_modifier"], RATE, ours["neutrality_modifier"], *nothing),
            (
                TABLE_1_HEADINGS["payment_reduction"],
                share,
                ours["payment_reduction"],
                low,
                end["payment_reduction_median"],
                high,
                reduction,
            ),
            (TABLE_1_HEADINGS["paf"], factor, ours["paf"], paf_low, end["paf_median"], paf_high, paf),
            ("Penalty a year", USD, ours["penalty_usd"], usd_low, end["penalty_usd_median"], usd_high, None),
            ("Chance of a penalty", CHANCE, None, None, end["chance_of_penalty"], None, None),
            ("Chance of the full cut", CHANCE, None, None, end["chance_of_cap"], None, None),
        )
        for row, (label, number, *values) in enumerate(rows, start=FIRST_ROW + 1):
            self._put(sheet, row, 1, label, self._body())
            for column, value in enumerate(values, start=2):
                self._figure(sheet, row, column, value, number, bold=column == 4)
        remarks = [
            "To date: as the discharges known so far give it. At the end: the forecast's range, 90 % of its draws.",
            "Dollars: the reduction times the hospital's base operating DRG payments of a year.",
            self._published_remark,
        ]
        if report.exempt:
            remarks.insert(0, "The hospital is exempt from the program: it has no penalty.")
        self._lines(sheet, FIRST_ROW + len(rows) + 2, remarks)
        sheet.freeze_panes(FIRST_ROW, 1)

    def _table_2(self) -> None:
        report = self.report
        widths = (12, 10, 13, 11, 11, 11, 10, 10, 14, 14, 12, 10, 10, 10, 12)
        sheet = self._sheet(TABLE_2, "Table 2: Results on the 30-Day Unplanned Readmission Measures", widths)
        ours = [*TABLE_2_HEADINGS.values(), "Contribution to the Reduction"]
        beside = ["ERR at the End: 5 %", "ERR at the End: Middle", "ERR at the End: 95 %"]
        beside += [f"ERR, {self._published_heading}"]
        self._headings(sheet, FIRST_ROW, [*ours, *beside], 62)
        for row, measure in enumerate(MEASURES, start=FIRST_ROW + 1):
            figures = report.measures[measure]
            low, high = bounds(figures["err_interval"])
            self._put(sheet, row, 1, REPORT_NAMES[measure], self._body(bold=True))
            values = (
                (figures["eligible_discharges"], COUNT),
                (figures["readmissions"], COUNT),
                (figures["predicted"], RATE),
                (figures["expected"], RATE),
                (figures["err"], RATE),
                (figures["peer_group_median"], RATE),
                (figures["penalty_indicator"], PLAIN),
                (figures["drg_payment_ratio"], RATE),
                (report.national_rates.get(measure), RATE),
                (figures["contribution"], "0.0000%"),
                (low, RATE),
                (figures["err_median"], RATE),
                (high, RATE),
                (self._published(measure, "err"), RATE),
            )
            for column, (value, number) in enumerate(values, start=2):
                self._figure(sheet, row, column, value, number)
        year = report.national_rates_year
        self._lines(
            sheet,
            FIRST_ROW + len(MEASURES) + 2,
            (
                "Rates are fractions. Excess readmission ratio (ERR) = predicted / expected.",
                "Penalty indicator: 25 discharges or more, and an ERR above the peer group's median.",
                f"National observed readmission rates: FY{year}'s.",
                self._published_remark,
            ),
        )
        sheet.freeze_panes(FIRST_ROW, 1)

    def _measure(self, measure: str) -> None:
        figures, report = self.report.measures[measure], self.report
        number_of = MEASURES.index(measure) + 3
        sheet = self._sheet(MEASURE_SHEETS[measure], f"Table {number_of}: {REPORT_NAMES[measure]}", MEASURE_WIDTHS)
        headings = ("Figure", "To date", "At the end: 5 %", "At the end: middle", "At the end: 95 %")
        self._headings(sheet, FIRST_ROW, (*headings, self._published_heading), 34)
        err, cases, part = (bounds(figures[f"{name}_interval"]) for name in ("err", "cases", "contribution"))
        published = {
            name: self._published(measure, name) for name in ("eligible_discharges", "err", "drg_payment_ratio")
        }
        rows: list[tuple[Any, ...]] = [
            (
                "Eligible discharges",
                COUNT,
                figures["eligible_discharges"],
                cases[0],
                figures["cases_median"],
                cases[1],
                published["eligible_discharges"],
            ),
            ("Readmissions among them", COUNT, figures["readmissions"], None, None, None, None),
            ("Predicted readmission rate", RATE, figures["predicted"], None, None, None, None),
            ("Expected readmission rate", RATE, figures["expected"], None, None, None, None),
            (
                "Excess readmission ratio (ERR)",
                RATE,
                figures["err"],
                err[0],
                figures["err_median"],
                err[1],
                published["err"],
            ),
            ("Peer group median ERR", RATE, figures["peer_group_median"], None, None, None, None),
            (
                "Ratio of DRG payments to total payments",
                RATE,
                figures["drg_payment_ratio"],
                None,
                None,
                None,
                published["drg_payment_ratio"],
            ),
            (
                "Contribution to the payment reduction",
                "0.0000%",
                figures["contribution"],
                part[0],
                figures["contribution_median"],
                part[1],
                None,
            ),
            ("Chance of 25 discharges or more", CHANCE, None, None, figures["chance_of_25_cases"], None, None),
            ("Chance that it contributes", CHANCE, None, None, figures["chance_of_contribution"], None, None),
            (
                "Readmissions fewer to contribute nothing",
                COUNT,
                None,
                None,
                report.break_even["measures"][measure],
                None,
                None,
            ),
        ]
        for row, (label, kind, *values) in enumerate(rows, start=FIRST_ROW + 1):
            self._put(sheet, row, 1, label, self._body())
            for column, value in enumerate(values, start=2):
                self._figure(sheet, row, column, value, kind)
        row = FIRST_ROW + len(rows) + 2
        self._headings(sheet, row, ("Stays that meet the measure's clinical definition", "Stays"), 20)
        for label, count, bold in self._flow_lines(measure):
            row += 1
            self._label(sheet, row, label, MEASURE_WIDTHS[0], bold=bold)
            self._figure(sheet, row, 2, count, COUNT, bold=bold)
        self._lines(
            sheet,
            row + 2,
            ("A stay is counted under the first rule that takes it out.", self._published_remark),
        )
        sheet.freeze_panes(FIRST_ROW, 1)

    def _flow_lines(self, measure: str) -> list[tuple[str, Any, bool]]:
        flow = self.report.flows[measure]
        lines: list[tuple[str, Any, bool]] = [("Judged", flow.judged, True)]
        lines += [(self.report.meanings.get(reason, reason), count, False) for reason, count in flow.reasons.items()]
        if flow.other != 0:
            lines.append((OTHER, flow.other, False))
        return [*lines, ("Index admissions", flow.included, True)]

    def _flow(self) -> None:
        report = self.report
        sheet = self._sheet(FLOW, "Cohort flow: which stays count, and why the others do not", FLOW_WIDTHS)
        self._headings(sheet, FIRST_ROW, ("Stays", *(REPORT_NAMES[m] for m in MEASURES)), 20)
        used = [reason for reason in report.meanings if any(reason in flow.reasons for flow in report.flows.values())]
        rows: list[tuple[str, list[Any], bool]] = [("Judged", [report.flows[m].judged for m in MEASURES], True)]
        for reason in used:
            # A reason that a measure does not list is folded into its other reasons, or has no stay.
            counts = [self._reason(m, reason) for m in MEASURES]
            rows.append((report.meanings[reason], counts, False))
        if any(flow.other != 0 for flow in report.flows.values()):
            rows.append((OTHER, [report.flows[m].other for m in MEASURES], False))
        rows.append(("Index admissions", [report.flows[m].included for m in MEASURES], True))
        for row, (label, counts, bold) in enumerate(rows, start=FIRST_ROW + 1):
            self._label(sheet, row, label, FLOW_WIDTHS[0], bold=bold)
            for column, count in enumerate(counts, start=2):
                self._figure(sheet, row, column, count, COUNT, bold=bold)
        row = FIRST_ROW + len(rows) + 1
        self._put(sheet, row, 1, "Judged less all the others (0: the counts add up)", self._body(italic=True))
        for column, measure in enumerate(MEASURES, start=2):
            letter = _letter(column)
            shown = not isinstance(report.flows[measure].judged, Hidden)
            if shown:
                formula = f"={letter}{FIRST_ROW + 1}-SUM({letter}{FIRST_ROW + 2}:{letter}{row - 1})"
                sheet.write_formula(row - 1, column - 1, formula, self._body(COUNT, align="right", italic=True), 0)
            else:
                self._figure(sheet, row, column, report.flows[measure].judged, italic=True)
        self._lines(sheet, row + 2, ("A stay is counted under the first rule that takes it out, in the order above.",))
        sheet.freeze_panes(FIRST_ROW, 1)

    def _reason(self, measure: str, reason: str) -> Any:
        flow = self.report.flows[measure]
        absent = 0 if self.report.patient_level else flow.judged if isinstance(flow.judged, Hidden) else None
        return flow.reasons.get(reason, absent)

    def _what_if(self) -> None:
        """Contribution = NM * ratio * max(ERR - median, 0) from 25 cases on; reduction = min(sum, cap); factor = 1 - reduction."""
        report = self.report
        sheet = self._sheet(WHAT_IF, "What-if: the payment arithmetic, live", (46, 15, 15, 15, 15, 15, 17, 15))
        modifier = report.table_1["neutrality_modifier"]
        settings = (
            ("Neutrality modifier", modifier, RATE, True),
            ("Largest reduction (cap)", report.cap, PERCENT, False),
            ("Fewest discharges that count", MINIMUM_CASES, COUNT, False),
            ("Base operating DRG payments of a year", report.annual_payments, USD, True),
        )
        for row, (label, value, number, is_input) in enumerate(settings, start=FIRST_ROW):
            self._put(sheet, row, 1, label, self._body())
            self._figure(sheet, row, 2, value, number, **({"bg_color": INPUT} if is_input else {}))
        modifier_cell, cap_cell, cases_cell, payments_cell = (f"$B${FIRST_ROW + k}" for k in range(4))
        heading_row = FIRST_ROW + len(settings) + 1
        headings = (
            "Measure",
            "Eligible discharges",
            "ERR",
            "Peer group median ERR",
            "Ratio of DRG payments",
            "In the payment formula",
            "Contribution",
            "ERR at the end, middle (for comparison)",
        )
        self._headings(sheet, heading_row, headings, 50)
        first = heading_row + 1
        values = self._contributions()
        for k, (row, measure) in enumerate(enumerate(MEASURES, start=first)):
            figures = report.measures[measure]
            self._put(sheet, row, 1, REPORT_NAMES[measure], self._body(bold=True))
            inputs = (
                (figures["eligible_discharges"], COUNT),
                (figures["err"], RATE),
                (figures["peer_group_median"], RATE),
                (figures["drg_payment_ratio"], RATE),
                (measure in report.rules.measures_in_payment, PLAIN),
            )
            for column, (value, number) in enumerate(inputs, start=2):
                self._figure(sheet, row, column, value, number, bg_color=INPUT)
            formula = (
                f'=IF(AND(COUNT(B{row}:E{row})=4,B{row}>={cases_cell},F{row}="Yes"),'
                f"{modifier_cell}*E{row}*MAX(C{row}-D{row},0),0)"
            )
            style = self._body("0.0000%", align="right", bold=True)
            sheet.write_formula(row - 1, 6, formula, style, float(values[k]))
            self._figure(sheet, row, 8, figures["err_median"], RATE, font_color=MUTED)
        last = first + len(MEASURES) - 1
        sheet.data_validation(first - 1, 5, last - 1, 5, {"validate": "list", "source": ["Yes", "No"]})
        reduction = float(payment_reduction(values, report.cap))
        payments = report.annual_payments
        total = last + 2
        results = (
            ("Sum of contributions", f"=SUM(G{first}:G{last})", "0.0000%", float(values.sum())),
            ("Payment reduction", f"=MIN(B{total},{cap_cell})", "0.0000%", reduction),
            ("Payment adjustment factor", f"=1-B{total + 1}", "0.000000", 1.0 - reduction),
            (
                "Penalty a year",
                f'=IF(ISNUMBER({payments_cell}),{payments_cell}*B{total + 1},"{UNKNOWN}")',
                USD,
                UNKNOWN if payments is None else payments * reduction,
            ),
            (
                "Change against these figures as written",
                f"=B{total + 1}-({reduction!r})",
                "+0.0000%;-0.0000%;0.0000%",
                0.0,
            ),
        )
        for row, (label, formula, number, value) in enumerate(results, start=total):
            self._put(sheet, row, 1, label, self._body(bold=True))
            sheet.write_formula(row - 1, 1, formula, self._body(number, align="right", bold=True), value)
        remarks = [
            "Change the yellow cells: every other figure follows. The sheet starts from the figures to date.",
            f"Contribution = neutrality modifier x ratio x (ERR - median) if the ERR is above the median and there are "
            f"{MINIMUM_CASES} discharges or more, else 0. Reduction = the sum, at most {percent(report.cap)}.",
            "One readmission fewer lowers the ERR by less than its share: for that, `hrrp what-if` and `hrrp break-even`.",
        ]
        if report.exempt:
            remarks.insert(0, "The hospital is exempt: this is what the arithmetic would give if it were not.")
        if report.closed:
            names = ", ".join(REPORT_NAMES[m] for m in report.closed)
            remarks.append(
                f"Not counted, because a figure is withheld: {names}. Type your own figures over 'withheld' to count them; until then "
                "the sum is that of the other measures and may differ from Table 1."
            )
        self._lines(sheet, total + len(results) + 1, remarks)

    def _contributions(self) -> Any:
        """What the formulas give with the cells as they are written, by `penalty.factor`."""
        report = self.report

        def cells(name: str) -> list[float]:
            values = [report.measures[m][name] for m in MEASURES]
            return [float("nan") if v is None or isinstance(v, Hidden) else float(v) for v in values]

        in_payment = [float(m in report.rules.measures_in_payment) for m in MEASURES]
        modifier = report.table_1["neutrality_modifier"]
        ratios = [
            ratio if counted else float("nan")
            for ratio, counted in zip(cells("drg_payment_ratio"), in_payment, strict=True)
        ]
        return contributions(
            cells("err"),
            cells("peer_group_median"),
            ratios,
            cells("eligible_discharges"),
            1.0 if modifier is None else modifier,
        )

    def _stays(self, measure: str, rows: pd.DataFrame) -> None:
        title = f"Table {MEASURES.index(measure) + 3}: Stays of {REPORT_NAMES[measure]} (protected health information)"
        sheet = self._sheet(STAY_SHEETS[measure], title, [16] * len(STAYS))
        self._headings(sheet, FIRST_ROW, STAYS.values(), 64, figures="left")
        text, day = self._body(), self._body("yyyy-mm-dd", align="left")
        for row, stay in enumerate(rows[list(STAYS)].itertuples(index=False), start=FIRST_ROW):
            for column, value in enumerate(stay):
                if value is None or pd.isna(value):
                    sheet.write_blank(row, column, None, text)
                elif isinstance(value, pd.Timestamp):
                    sheet.write_datetime(row, column, value.to_pydatetime(), day)
                else:
                    sheet.write_string(row, column, str(value), text)
        if len(rows):
            sheet.autofilter(FIRST_ROW - 1, 0, FIRST_ROW - 1 + len(rows), len(STAYS) - 1)
        sheet.repeat_rows(FIRST_ROW - 1)
        sheet.freeze_panes(FIRST_ROW, 1)

    def _notes(self) -> None:
        sheet = self._sheet(NOTES, "Notes: what the figures rest on", (NOTES_WIDTH,))
        self._headings(sheet, FIRST_ROW, ("Note",), 20)
        notes = [f"Applicable period: {in_words(self.report.rules.periods)}", f"Files: {', '.join(self.report.files)}"]
        notes += self.report.notes
        for row, note in enumerate(notes, start=FIRST_ROW + 1):
            self._label(sheet, row, note, NOTES_WIDTH, valign="top")


def _letter(column: int) -> str:
    """Column 2 as 'B' (up to 26)."""
    return chr(ord("A") + column - 1)
