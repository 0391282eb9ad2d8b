"""Reading a Hospital-Specific Report: everything by name, every year's quirks, clear words for what is not one."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openpyxl import Workbook

from hrrp.errors import InputContractError, ReportFormatError
from hrrp.intake.hsr import read_hsr, risk_factor_labels
from hrrp.program import MEASURES, Reference
from hrrp.program.hospital_report import HospitalReport

Edited = Callable[[Callable[[Any], None]], Path]
HF, CABG = "Table 5 Discharges HF Readm", "Table 7 Discharges CABG Readm"
TABLE_1, TABLE_2, TABLE_9 = "Table 1 Payment Adjustment", "Table 2 Hospital Results", "Table 9 Dual Stays"


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference()


def column(sheet: Any, heading: str, row: int = 7) -> int:
    return next(cell.column for cell in sheet[row] if cell.value == heading)


def put(sheet: Any, heading: str, row: int, value: Any) -> None:
    sheet.cell(row=row, column=column(sheet, heading)).value = value


# ---- the mock reports ----


@pytest.mark.parametrize(
    ("year", "stays", "dual_stays", "variables"),
    [
        (2020, (9, 41, 35, 102, 0, 423), 191, (31, 40, 37, 41, 26, 33)),
        (2022, (3, 9, 14, 11, 0, 11), 1768, (31, 40, 37, 41, 26, 33)),
        (2024, (20, 12, 32, 65, 0, 42), 181, (32, 41, 38, 42, 27, 34)),
        (2025, (2, 21, 30, 45, 0, 51), 186, (32, 41, 38, 42, 27, 34)),
    ],
)
def test_the_mock_reports_are_read_whole(
    cms_dir: Path, reference: Reference, year: int, stays: tuple[int, ...], dual_stays: int, variables: tuple[int, ...]
) -> None:
    report = read_hsr(cms_dir / f"fy{year}_hrrp_mock_hsr.xlsx", reference)
    assert report.program_year == year
    assert report.periods == reference.program_year(year).periods
    assert report.hospital_name.upper() == "HOSPITAL NAME"
    assert report.notes == () and report.excluded_quarters == ()
    tables = [report.discharges[measure] for measure in MEASURES]
    assert tuple(len(table.discharges) for table in tables) == stays
    assert tuple(len(table.variables) for table in tables) == variables
    assert all(variable.is_listed for table in tables for variable in table.variables)
    assert len(report.dual_stays) == dual_stays
    assert (report.payment_adjustment.payment_reduction is None) == (year == 2020)
    assert report.results["CABG"].no_qualifying_cases and report.discharges["CABG"].hospital_effect is None
    for table in tables:
        assert not np.isnan(table.risk_factors[table.included]).any()
        assert np.isnan(table.risk_factors[~table.included]).all()
        model = reference.published_model(table.measure, year).value
        assert dict(zip(table.variable_keys, table.coefficients, strict=True)) == model.coefficients
        assert table.average_effect == model.intercept


def test_values_of_the_fy2020_and_fy2025_reports(cms_dir: Path) -> None:
    old, new = (read_hsr(cms_dir / f"fy{year}_hrrp_mock_hsr.xlsx") for year in (2020, 2025))
    first = old.discharges["COPD"].discharges[0]
    assert first.row == 9 and first.included and first.index_stay and first.unplanned_readmission
    assert (first.discharge_destination, first.readmitting_ccn, first.same_hospital) == ("01", "999999", True)
    assert first.hicno == "999999999A" and first.birth_date is None and first.readmission_listed
    codes = {stay.exclusion_codes for stay in old.discharges["THA_TKA"].discharges}
    assert codes >= {(0,), (1,), (10, 11), (1, 9)}
    covid = [stay for stay in new.discharges["HF"].discharges if stay.covid_readmission]
    assert len(covid) == 1 and not covid[0].unplanned_readmission and covid[0].planned_readmission is None
    assert new.payment_adjustment.payment_reduction == pytest.approx(0.0007)
    assert {stay.claim_type for stay in new.dual_stays} == {"Fee for Service", "Managed Care"}
    assert new.ccn == "999999"
    assert "9AA9AA9AA99" not in repr(new)


# ---- quirks ----


def test_headings_and_titles_may_be_written_otherwise(edited: Edited, small_report: HospitalReport) -> None:
    def change(book: Any) -> None:
        sheet = book[HF]
        put(
            sheet,
            "Unplanned Readmission within 30 Days (Yes/No)",
            7,
            "Unplanned \nReadmission within \n30 Days (Yes/No) [b]",
        )
        put(sheet, "ID Number", 7, " ID\xa0\n_x000D_Number\u200b ")
        put(sheet, "Planned Readmission within 30 Days (Yes/No)", 7, "Planned Readmission (Yes/No)")
        put(sheet, "Years Over 65 (continuous)", 7, "Age Minus 65 ")
        put(sheet, "Cohort Inclusion/Exclusion Indicator", 7, "Inclusion/Exclusion Indicator")
        sheet.title = "sheet one"
        book[TABLE_1]["A5"] = "Number of \nDual Eligible \nStays \n(Numerator) \n[a]"
        book[TABLE_2]["E5"] = "Expected Readmission Rate [e]*"
        book[TABLE_9]["A1"] = "something else"
        book.move_sheet(TABLE_9, offset=-7)

    report = read_hsr(edited(change))
    assert report.discharges["HF"].variable_keys == small_report.discharges["HF"].variable_keys
    assert report.discharges["HF"].discharges == small_report.discharges["HF"].discharges
    assert report.results == small_report.results
    assert report.dual_stays == small_report.dual_stays


def test_columns_may_stand_in_another_order(edited: Edited, small_report: HospitalReport) -> None:
    def change(book: Any) -> None:
        for name, first_row in ((TABLE_2, 5), (HF, 7)):
            sheet = book[name]
            for row in sheet.iter_rows(min_row=first_row, max_row=sheet.max_row - 5):
                values = [cell.value for cell in row]
                for cell, value in zip(row, reversed(values), strict=True):
                    cell.value = value

    report = read_hsr(edited(change))
    assert report.results == small_report.results
    table, expected = report.discharges["HF"], small_report.discharges["HF"]
    assert table.discharges == expected.discharges
    assert dict(zip(table.variable_keys, table.coefficients, strict=True)) == dict(
        zip(expected.variable_keys, expected.coefficients, strict=True)
    )


def test_values_may_be_written_otherwise(edited: Edited, small_report: HospitalReport) -> None:
    def change(book: Any) -> None:
        sheet = book[HF]
        for name, value in {
            "ID Number": "7 ",
            "Cohort Inclusion/Exclusion Indicator": "0 ",
            "Index Stay (Yes/No)": "YES ",
            "Discharge Destination": 1,
            "Unplanned Readmission within 30 Days (Yes/No)": "N",
            "Planned Readmission within 30 Days (Yes/No)": "no",
            "Beneficiary DOB": datetime(1940, 2, 29),
            "Admission Date of Index Stay": "2021-01-05",
            "Discharge Date of Index Stay": "20210109",
            "Principal Discharge Diagnosis of Index Stay": "I110 ",
            "Male": "1 ",
        }.items():
            put(sheet, name, 15, value)
        put(sheet, "Provider ID of Readmitting Hospital", 9, 10001)
        put(sheet, "Readmission Date", 9, 44226)  # a day number that lost its format
        put(sheet, "Cohort Inclusion/Exclusion Indicator", 14, "1, 15")
        put(sheet, "HOSP_EFFECT", 8, f" {small_report.discharges['HF'].hospital_effect} ")
        book[TABLE_1]["B6"] = "2,000 "
        book[TABLE_1]["F6"] = 0.0123
        book[TABLE_1]["F6"].number_format = "0.00%"
        book[TABLE_2]["B8"] = "11"

    report = read_hsr(edited(change))
    male = report.discharges["HF"].variable_keys.index("male")
    got, expected = report.discharges["HF"], small_report.discharges["HF"]
    assert got.discharges == expected.discharges
    assert got.hospital_effect == expected.hospital_effect
    assert got.risk_factors[6, male] == 1.0
    assert report.payment_adjustment.stays == 2000
    assert report.payment_adjustment.payment_reduction == 0.0123
    assert report.results["HF"].eligible_discharges == 11


def test_a_reduction_without_percent_sign_is_per_cent(edited: Edited) -> None:
    def change(book: Any) -> None:
        book[TABLE_1]["F6"] = 0.07
        book[TABLE_1]["F6"].number_format = "General"

    assert read_hsr(edited(change)).payment_adjustment.payment_reduction == pytest.approx(0.0007)


def test_a_date_that_is_none_is_noted_and_not_shown(edited: Edited) -> None:
    report = read_hsr(edited(lambda book: put(book[HF], "Beneficiary DOB", 9, "31/31/1931")))
    assert report.discharges["HF"].discharges[0].birth_date is None
    assert report.notes == (
        f"{HF}, column 'Beneficiary DOB': 1 cell is no date that is understood (MM/DD/YYYY or YYYY-MM-DD), and was left out.",
    )


def test_real_dates_and_identifiers_are_read_and_kept_out_of_repr(small_workbook: Path) -> None:
    report = read_hsr(small_workbook)
    first = report.discharges["HF"].discharges[0]
    assert (first.mbi, first.medical_record_number) == ("1EG4TE5MK73", "MRN-0077")
    assert first.birth_date == date(1940, 2, 29) and first.readmission_date == date(2021, 1, 30)
    assert report.excluded_quarters == ("Q3 2020", "Q4 2020")
    assert report.ccn == "010001"
    for text in ("1EG4TE5MK73", "MRN-0077", "1940", "I5033"):
        assert text not in repr(report)


def test_unknown_columns(edited: Edited) -> None:
    def change(book: Any) -> None:
        sheet = book[HF]
        width = sheet.max_column
        sheet.cell(row=7, column=width + 1).value = "Some New Factor [z]"
        sheet.cell(row=8, column=width + 1).value = 0.25
        sheet.cell(row=7, column=width + 2).value = "Remark"
        sheet.cell(row=8, column=width + 2).value = "--"
        for row in range(9, 21):
            sheet.cell(row=row, column=width + 1).value = "N/A" if row == 14 else 0

    report = read_hsr(edited(change))
    table = report.discharges["HF"]
    assert table.variable_keys[-1] == "unlisted:some_new_factor" and table.coefficients[-1] == 0.25
    assert any("'Some New Factor [z]'" in note for note in report.notes)
    assert any("'Remark'" in note and "left out" in note for note in report.notes)


def test_columns_that_no_figure_rests_on_may_be_missing(edited: Edited) -> None:
    report = read_hsr(edited(lambda book: put(book[HF], "MBI", 7, None)))
    assert report.discharges["HF"].discharges[0].mbi is None
    assert any("no column 'MBI'" in note for note in report.notes)


def test_a_folder_with_one_workbook_is_that_workbook(small_workbook: Path) -> None:
    assert read_hsr(small_workbook.parent).file_name == small_workbook.name


def test_every_label_of_every_year_has_a_key(reference: Reference) -> None:
    rows = [row for row in reference.rows("risk_coefficients") if row["variable_key"] != "national_intercept"]
    assert len(rows) > 1000
    groups = {(row["measure"], row["program_year"]) for row in rows}
    labels = {(measure, year): risk_factor_labels(reference, measure, int(year)) for measure, year in groups}
    for row in rows:
        letters = "".join(letter for letter in row["report_label"].lower() if letter.isascii() and letter.isalnum())
        assert labels[row["measure"], row["program_year"]][letters] == row["variable_key"]


def test_footnotes_are_no_stays(edited: Edited, small_report: HospitalReport) -> None:
    def change(book: Any) -> None:
        sheet = book[HF]
        last = sheet.max_row
        sheet.cell(row=last + 1, column=1).value = "[a] A footnote"
        put(sheet, "Cohort Inclusion/Exclusion Indicator", last + 1, "that runs on")
        put(sheet, "Index Stay (Yes/No)", last, " ")

    assert read_hsr(edited(change)).discharges["HF"].discharges == small_report.discharges["HF"].discharges


# ---- what is not a report ----


def refused(path: Path, error: type[Exception], *words: str) -> str:
    with pytest.raises(error) as caught:
        read_hsr(path)
    message = str(caught.value)
    for word in words:
        assert word in message
    assert message.count(". ") >= 1 and "xpected" in message
    return message


def test_files_that_cannot_be_read(tmp_path: Path, small_workbook: Path) -> None:
    refused(tmp_path / "absent.xlsx", InputContractError, "no such file")
    empty = tmp_path / "empty.xlsx"
    empty.touch()
    refused(empty, InputContractError, "empty")
    whole = small_workbook.read_bytes()
    for share in (0.3, 0.9):
        truncated = tmp_path / "truncated.xlsx"
        truncated.write_bytes(whole[: int(len(whole) * share)])
        refused(truncated, InputContractError, "truncated or damaged")
    damaged = tmp_path / "damaged.xlsx"
    damaged.write_bytes(whole[:4000] + bytes(600) + whole[4600:])
    refused(damaged, InputContractError, "damaged")


def test_files_that_are_no_workbook(tmp_path: Path) -> None:
    text = tmp_path / "hsr.csv"
    text.write_text("Measure,Eligible Discharges,Predicted Rate\nAMI,3,0.2\n")
    refused(text, ReportFormatError, "'Measure'; 'Eligible Discharges'; 'Predicted Rate'", "FY2026")
    old = tmp_path / "old.xlsx"
    old.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    refused(old, ReportFormatError, "password-protected")
    archive = tmp_path / "bundle.xlsx"
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("table1.csv", "x")
    refused(archive, ReportFormatError, "table1.csv", "unpack")
    binary = tmp_path / "picture.xlsx"
    binary.write_bytes(b"\x89PNG\0\0\0\0")
    refused(binary, ReportFormatError, "not a text file")


def test_a_first_line_of_values_is_not_shown(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("1EG4TE5MK73,SMITH,1940-02-29\n")
    message = refused(rows, ReportFormatError, "no headings in the first row")
    assert "SMITH" not in message and "1EG4" not in message


def test_the_csv_bundle_of_fy2026_is_refused_with_its_headings(tmp_path: Path) -> None:
    for name in ("HRRP_HF.csv", "HRRP_summary.csv"):
        (tmp_path / name).write_text("ID Number,MBI,Index Stay\n1,1EG4TE5MK73,Yes\n")
    message = refused(tmp_path, ReportFormatError, "0 Excel workbooks", "HRRP_HF.csv", "'Index Stay'", "FY2026")
    assert "1EG4" not in message


def test_another_workbook_is_refused_with_its_sheets(tmp_path: Path) -> None:
    book = Workbook()
    book.active.title = "Budget"
    book.active.append(["Department", "Amount"])
    book.active.append(["Cardiology", 12])
    path = tmp_path / "budget.xlsx"
    book.save(path)
    refused(path, ReportFormatError, "'Budget'", "'Department'; 'Amount'", "Table 9 Dual Stays")


def test_a_missing_sheet_is_named(edited: Edited) -> None:
    message = refused(
        edited(lambda book: book.remove(book[HF])), ReportFormatError, "the discharges of HF", f"'{CABG}'"
    )
    assert "First sheet" not in message


def test_two_sheets_of_one_table_are_refused(edited: Edited) -> None:
    def change(book: Any) -> None:
        copy = book.create_sheet("copy")
        copy["A1"] = book[HF]["A1"].value

    refused(edited(change), ReportFormatError, "2 sheets look like")


def test_a_missing_column_is_named_with_the_headings_seen(edited: Edited) -> None:
    path = edited(lambda book: put(book[HF], "AVG_EFFECT", 7, "AVERAGE"))
    refused(path, ReportFormatError, HF, "no column 'AVG_EFFECT'", "row 7", "'HOSP_EFFECT'")


def test_a_missing_coefficient_row_is_named(edited: Edited) -> None:
    refused(edited(lambda book: book[HF].delete_rows(8, 14)), ReportFormatError, HF, "no coefficient row")


def test_a_missing_measure_row_is_named(edited: Edited) -> None:
    refused(edited(lambda book: book[TABLE_2].delete_rows(8)), ReportFormatError, TABLE_2, "no row for HF")


def test_a_report_of_fy2019_is_refused(edited: Edited) -> None:
    def change(book: Any) -> None:
        book["HRRP Workbook"]["A1"] = "Hospital-Specific Report (HSR) for the Fiscal Year (FY) 2019"
        for row in book["HRRP Workbook"].iter_rows(min_row=2):
            for cell in row:
                cell.value = None

    refused(edited(change), ReportFormatError, "FY2019", "2020 to 2025")


def test_a_report_without_year_or_period_is_refused(edited: Edited) -> None:
    def without(words: str) -> Callable[[Any], None]:
        def change(book: Any) -> None:
            for sheet in book:
                for row in sheet.iter_rows(max_row=30):
                    for cell in row:
                        if isinstance(cell.value, str) and words in cell.value:
                            cell.value = "nothing"

        return change

    refused(edited(without("FY")), ReportFormatError, "fiscal year")
    refused(edited(without("Discharge Period")), ReportFormatError, "Hospital Discharge Period")


@pytest.mark.parametrize(
    ("sheet", "heading", "row", "value", "expected"),
    [
        (HF, "Male", 9, "male", "the risk factor's value"),
        (HF, "Male", 9, None, "the risk factor's value"),
        (HF, "Male", 8, "--", "a coefficient"),
        (HF, "Male", 8, "none", "a coefficient"),
        (HF, "HOSP_EFFECT", 8, "high", "a number or --"),
        (HF, "Unplanned Readmission within 30 Days (Yes/No)", 9, "perhaps", "Yes, No or N/A"),
        (HF, "Unplanned Readmission within 30 Days (Yes/No)", 9, "N/A", "Yes, No or N/A-COVID patient"),
        (HF, "Index Stay (Yes/No)", 9, "N/A", "Yes or No"),
        (HF, "Cohort Inclusion/Exclusion Indicator", 9, "no", "0, or codes joined by commas"),
        (HF, "Cohort Inclusion/Exclusion Indicator", 9, None, "0, or codes joined by commas"),
    ],
)
def test_a_cell_that_a_figure_rests_on_is_refused_without_its_value(
    edited: Edited, sheet: str, heading: str, row: int, value: Any, expected: str
) -> None:
    path = edited(lambda book: put(book[sheet], heading, row, value))
    message = refused(path, InputContractError, f"sheet '{sheet}', row {row}, column '{heading}'", expected)
    assert "perhaps" not in message and "high" not in message


def test_a_printed_figure_that_is_no_number_is_refused(edited: Edited) -> None:
    def change(book: Any) -> None:
        book[TABLE_2]["F8"] = "about one"

    refused(edited(change), InputContractError, f"sheet '{TABLE_2}', row 8, column 'Excess Readmission Ratio (ERR)'")


def test_figures_that_are_not_applicable_are_none(edited: Edited) -> None:
    def change(book: Any) -> None:
        for cell in book[TABLE_1][6][3:]:
            cell.value = "N/A"
        for heading in "GHI":
            book[TABLE_2][f"{heading}8"] = " N/A "

    report = read_hsr(edited(change))
    adjustment = report.payment_adjustment
    assert (adjustment.peer_group, adjustment.neutrality_modifier, adjustment.paf) == (None, None, None)
    assert report.results["HF"].penalty_indicator is None
    assert report.results["HF"].peer_group_median is None and math.isfinite(report.results["HF"].err or math.nan)
