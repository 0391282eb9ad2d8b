"""The workbook read back: its formulas give the program's penalty, its counts add up, and what is withheld is nowhere in the file."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import report_data as data

from hrrp.errors import UsageError
from hrrp.penalty.factor import contributions, payment_reduction
from hrrp.program import MEASURES, REPORT_NAMES, Reference
from hrrp.review.report import Report
from hrrp.review.reports import read_patients, read_report, write_reports
from hrrp.review.scenarios import open_review
from hrrp.review.suppression import Hidden, is_small
from hrrp.review.workbook import (
    CONTENTS,
    FIRST_ROW,
    FLOW,
    MEASURE_SHEETS,
    NOTES,
    STAY_SHEETS,
    STAYS,
    TABLE_1,
    TABLE_2,
    WHAT_IF,
    write_workbook,
)
from hrrp.settings import Settings

YEAR = 2029


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return data.publish(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def read(settings: Settings) -> Callable[..., Report]:
    def report(year: int = YEAR, *, patient_level: bool = False) -> Report:
        with open_review(settings) as warehouse:
            return read_report(
                warehouse, Reference(settings.site_reference), data.CCN, year, patient_level=patient_level
            )

    return report


def lines(sheet: Any) -> dict[str, tuple[Any, ...]]:
    """Rows of a sheet by their first cell."""
    return {str(row[0]): row[1:] for row in sheet.iter_rows(values_only=True) if row[0] is not None}


def recompute(sheet: Any, cell: str) -> Any:
    """The value of a cell, its formula worked out afresh from the cells that it names (the few functions that we write)."""
    value = sheet[cell].value
    if not (isinstance(value, str) and value.startswith("=")):
        return value
    text = value[1:].replace("$", "")
    parts = re.split(r'("[^"]*")', text)
    for k in range(0, len(parts), 2):
        part = re.sub(r"(?<![<>=])=(?!=)", "==", parts[k].replace(">=", "≥")).replace("≥", ">=")
        part = re.sub(r"\b([A-Z]+\d+):([A-Z]+\d+)\b", r'*RANGE("\1:\2")', part)
        parts[k] = re.sub(r'(?<![":A-Z])\b([A-Z]+\d+)\b(?![":])', r'CELL("\1")', part)

    def cells(span: str) -> list[Any]:
        return [recompute(sheet, each.coordinate) for row in sheet[span] for each in row]

    names = {
        "IF": lambda test, then, other: then if test else other,
        "AND": lambda *tests: all(tests),
        "COUNT": lambda *values: sum(isinstance(v, (int, float)) for v in values),
        "ISNUMBER": lambda v: isinstance(plain(v), (int, float)),
        "MAX": max,
        "MIN": min,
        "SUM": lambda *values: sum(v for v in values if isinstance(v, (int, float))),
        "RANGE": cells,
        "CELL": lambda name: Cell(recompute(sheet, name)),
    }
    return plain(eval("".join(parts), {"__builtins__": {}}, names))


class Cell:
    """A cell within a formula: as in a spreadsheet, text is greater than any number and has no arithmetic of its own."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __ge__(self, other: Any) -> bool:
        return isinstance(self.value, str) or self.value >= plain(other)

    def __eq__(self, other: object) -> bool:
        return bool(self.value == plain(other))

    def __hash__(self) -> int:
        return hash(self.value)

    def __mul__(self, other: Any) -> Any:
        return 0.0 if isinstance(self.value, str) or isinstance(plain(other), str) else self.value * plain(other)

    __rmul__ = __mul__

    def __sub__(self, other: Any) -> Any:
        return 0.0 if isinstance(self.value, str) or isinstance(plain(other), str) else self.value - plain(other)

    def __rsub__(self, other: Any) -> Any:
        return other - self.value

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < plain(other))

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > plain(other))


def plain(value: Any) -> Any:
    return value.value if isinstance(value, Cell) else value


def what_if_rows(sheet: Any) -> dict[str, int]:
    return {str(row[0].value): row[0].row for row in sheet.iter_rows() if row[0].value is not None}


@pytest.mark.parametrize("patient_level", [True, False])
@pytest.mark.parametrize("year", data.YEARS)
def test_formulas_give_the_factor(read: Callable[..., Report], tmp_path: Path, year: int, patient_level: bool) -> None:
    """The live formulas, worked out afresh, and their stored values both equal penalty.factor on the cells as they stand."""
    report = read(year, patient_level=patient_level)
    write_workbook(report, tmp_path / "w.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "w.xlsx")[WHAT_IF]
    stored = openpyxl.load_workbook(tmp_path / "w.xlsx", data_only=True)[WHAT_IF]
    rows = what_if_rows(sheet)

    def column(letter: str) -> list[float]:
        values = [sheet[f"{letter}{rows[REPORT_NAMES[m]]}"].value for m in MEASURES]
        return [float("nan") if isinstance(v, str) else float(v) for v in values]

    parts = contributions(
        column("C"), column("D"), column("E"), column("B"), sheet[f"B{rows['Neutrality modifier']}"].value
    )
    for measure, part in zip(MEASURES, parts, strict=True):
        cell = f"G{rows[REPORT_NAMES[measure]]}"
        assert sheet[cell].value.startswith("=IF(AND(COUNT(")
        assert recompute(sheet, cell) == pytest.approx(part, rel=1e-14, abs=0)
        # A workbook's numbers have 16 digits, of which the difference of ERR and median keeps fewer.
        assert stored[cell].value == pytest.approx(part, rel=1e-12, abs=0)
    reduction = float(payment_reduction(parts, report.cap))
    for label, value in (
        ("Sum of contributions", parts.sum()),
        ("Payment reduction", reduction),
        ("Payment adjustment factor", 1.0 - reduction),
        ("Penalty a year", data.PAYMENTS * reduction),
        ("Change against these figures as written", 0.0),
    ):
        cell = f"B{rows[label]}"
        assert sheet[cell].value.startswith("=")
        assert recompute(sheet, cell) == pytest.approx(value, rel=1e-12, abs=1e-15)
        assert stored[cell].value == pytest.approx(value, rel=1e-12, abs=1e-15)
    if patient_level:
        assert reduction == pytest.approx(report.table_1["payment_reduction"], rel=1e-12)
        assert reduction > 0


def test_changed_cells_carry_through(read: Callable[..., Report], tmp_path: Path) -> None:
    """More than the cap, fewer than 25 discharges, another modifier: the formulas follow the rule."""
    write_workbook(read(patient_level=True), tmp_path / "w.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "w.xlsx")[WHAT_IF]
    rows = what_if_rows(sheet)
    heart = rows["HF"]
    sheet[f"C{heart}"] = 3.0
    assert recompute(sheet, f"B{rows['Payment reduction']}") == 0.03
    sheet[f"B{heart}"] = 24
    assert recompute(sheet, f"G{heart}") == 0
    sheet[f"B{heart}"] = 25
    assert recompute(sheet, f"G{heart}") > 0
    sheet[f"F{heart}"] = "No"
    assert recompute(sheet, f"G{heart}") == 0
    sheet[f"F{heart}"], sheet[f"C{heart}"] = "Yes", sheet[f"D{heart}"].value
    assert recompute(sheet, f"G{heart}") == 0


def test_tables_hold_the_report(read: Callable[..., Report], tmp_path: Path) -> None:
    """Order of CMS's report; every figure that of the results, with the last published ones beside."""
    report = read(patient_level=True)
    write_workbook(report, tmp_path / "w.xlsx")
    book = openpyxl.load_workbook(tmp_path / "w.xlsx")
    assert book.sheetnames == [CONTENTS, TABLE_1, TABLE_2, *MEASURE_SHEETS.values(), FLOW, WHAT_IF, NOTES]
    table_1, table_2 = lines(book[TABLE_1]), lines(book[TABLE_2])
    reduction = table_1["Payment Reduction Percentage"]
    assert reduction[0] == pytest.approx(report.table_1["payment_reduction"], rel=1e-15)
    assert reduction[1:4] == pytest.approx(
        (
            report.forecast["payment_reduction_interval"][0],
            report.forecast["payment_reduction_median"],
            report.forecast["payment_reduction_interval"][1],
        )
    )
    assert reduction[4] == 0.0043
    assert table_1["Number of Dually Eligible Stays (Numerator)"][0] == 2 * data.DUAL
    for measure in MEASURES:
        row = table_2[REPORT_NAMES[measure]]
        cases, readmissions = data.counts(YEAR, measure)
        assert row[:2] == (cases, readmissions)
        assert row[4] == pytest.approx(data.TO_DATE[measure][2], rel=1e-15)
        assert row[11] == pytest.approx(report.measures[measure]["err_median"], rel=1e-15)
    assert table_2["HF"][-1] == 1.0444
    assert lines(book[MEASURE_SHEETS["HF"]])["Eligible discharges"][-1] == 401


def test_every_sheet_says_what_it_rests_on(read: Callable[..., Report], tmp_path: Path) -> None:
    write_workbook(read(), tmp_path / "w.xlsx")
    book = openpyxl.load_workbook(tmp_path / "w.xlsx")
    for sheet in book:
        head = "\n".join(str(sheet.cell(row, 1).value) for row in range(1, FIRST_ROW))
        for said in (
            f"{data.NAME} ({data.CCN})",
            "FY2029 (payments of October 2028",
            "July 1, 2025 through June 30, 2027",
            "Source: hrrp",
            "Rule year: FY2029",
            "FY2027: peer group medians; FY2025: risk models",
            "Date: 2026-11-01",
        ):
            assert said in head, (sheet.title, said)


def test_counts_of_the_flow_add_up(read: Callable[..., Report], tmp_path: Path) -> None:
    for patient_level in (True, False):
        report = read(patient_level=patient_level)
        write_workbook(report, tmp_path / "w.xlsx")
        sheet = openpyxl.load_workbook(tmp_path / "w.xlsx")[FLOW]
        row = what_if_rows(sheet)["Judged less all the others (0: the counts add up)"]
        formulas = [sheet.cell(row, column).value for column in range(2, 8)]
        live = [text for text in formulas if text.startswith("=")]
        assert len(live) == (6 if patient_level else len([f for f in report.flows.values() if f.included and f.judged]))
        for column, text in enumerate(formulas, start=2):
            if text.startswith("="):
                judged, *others = (sheet.cell(r, column).value for r in range(FIRST_ROW + 1, row))
                assert judged - sum(v for v in others if isinstance(v, (int, float))) == 0


def test_small_cells_are_nowhere(read: Callable[..., Report], tmp_path: Path) -> None:
    """No count of 1 to 10 patients at aggregate level, and no digits of a withheld measure anywhere in the file."""
    for year in data.YEARS:
        report = read(year)
        assert report.closed or year == 2028
        write_workbook(report, tmp_path / "w.xlsx")
        with zipfile.ZipFile(tmp_path / "w.xlsx") as packed:
            xml = "\n".join(packed.read(name).decode() for name in packed.namelist())
        for measure in report.closed:
            whole = read(year, patient_level=True).measures[measure]
            for name in ("err", "predicted", "contribution", "err_median"):
                if whole[name]:
                    assert f"{whole[name]:.6g}" not in xml, (measure, name)
            assert isinstance(report.measures[measure]["readmissions"], Hidden)
            assert isinstance(report.measures[measure]["eligible_discharges"], Hidden)
        for measure, flow in report.flows.items():
            shown = [flow.judged, flow.included, flow.other, *flow.reasons.values()]
            assert not any(is_small(count) for count in shown), measure
        book = openpyxl.load_workbook(tmp_path / "w.xlsx")
        for measure in MEASURES:
            cases, readmissions, *_ = lines(book[TABLE_2])[REPORT_NAMES[measure]]
            assert not is_small(cases)
            assert not is_small(readmissions)
        exact = read(year, patient_level=True).table_1["payment_reduction"]
        assert not report.forecast["coarse"] or f"{exact:.6g}" not in xml


def test_same_report_same_bytes(read: Callable[..., Report], tmp_path: Path) -> None:
    for name in ("one.xlsx", "two.xlsx"):
        write_workbook(read(), tmp_path / name)
    assert (tmp_path / "one.xlsx").read_bytes() == (tmp_path / "two.xlsx").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.xlsx", "two.xlsx"]


def test_unknown_payments_and_exemption(tmp_path: Path) -> None:
    """Without payments the arithmetic says so with dashes; an exempt hospital has no penalty and the sheet says what it is."""
    for folder, options in (("a", {"payments": None, "published": False}), ("b", {"exempt": True})):
        settings = data.publish(tmp_path / folder, **options)  # type: ignore[arg-type]
        written = write_reports(settings, data.CCN, YEAR, pdf=False)
        book = openpyxl.load_workbook(written["workbook"])
        sheet = book[WHAT_IF]
        rows = what_if_rows(sheet)
        dollars = recompute(sheet, f"B{rows['Penalty a year']}")
        if folder == "a":
            assert dollars == "–"
            assert any("none adopted yet" in str(first) for first in lines(book[TABLE_1]))
        else:
            assert any(str(first).startswith("The hospital is exempt") for first in lines(book[TABLE_1]))


def test_patient_list_is_private(read: Callable[..., Report], settings: Settings, tmp_path: Path) -> None:
    """Stays stand in the workbook only where asked for, in a file for its owner alone; without the working file it is refused."""
    stay = dict.fromkeys(STAYS, "x") | {
        "stay_id": "S-1",
        "birth_date": pd.Timestamp("1941-05-06"),
        "readmission_date": None,
    }
    patients = {measure: pd.DataFrame([stay] if measure == "HF" else [], columns=list(STAYS)) for measure in MEASURES}
    path = tmp_path / "p.xlsx"
    write_workbook(read(patient_level=True), path, patients)
    assert path.stat().st_mode & 0o777 == 0o600
    book = openpyxl.load_workbook(path)
    assert set(STAY_SHEETS.values()) <= set(book.sheetnames)
    sheet = book[STAY_SHEETS["HF"]]
    assert [cell.value for cell in sheet[FIRST_ROW]] == list(STAYS.values())
    assert sheet.cell(FIRST_ROW + 1, 1).value == "S-1"
    with pytest.raises(UsageError, match=r"no hrrp\.duckdb"):
        read_patients(replace_out(settings, tmp_path), data.CCN, YEAR)


def replace_out(settings: Settings, out: Path) -> Settings:
    return settings.model_copy(update={"out": out})


def test_a_cell_never_becomes_a_formula(read: Callable[..., Report], tmp_path: Path) -> None:
    """A hospital's name that begins with an equals sign stays text."""
    write_workbook(replace(read(), name='=HYPERLINK("x")'), tmp_path / "w.xlsx")
    book = openpyxl.load_workbook(tmp_path / "w.xlsx")
    assert book[TABLE_1]["A2"].data_type == "s"


@pytest.mark.skipif(
    shutil.which("soffice") is None, reason="LibreOffice (soffice) is not installed: conversion not tested"
)
def test_libreoffice_opens_it_and_works_the_formulas_out(read: Callable[..., Report], tmp_path: Path) -> None:
    """Another spreadsheet program opens it, and gives every changed figure as our own reading of the formulas does."""
    write_workbook(read(patient_level=True), tmp_path / "w.xlsx")
    book = openpyxl.load_workbook(tmp_path / "w.xlsx")
    sheet = book[WHAT_IF]
    rows = what_if_rows(sheet)
    sheet[f"C{rows['HF']}"], sheet[f"B{rows['COPD']}"], sheet[f"B{rows['Neutrality modifier']}"] = 1.2, 24, 0.95
    (tmp_path / "changed").mkdir()
    book.save(tmp_path / "changed" / "c.xlsx")  # without stored values: whoever opens it works them out

    def convert(kind: str, name: str) -> None:
        profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
        subprocess.run(
            ["soffice", profile, "--headless", "--convert-to", kind, name],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            timeout=180,
        )

    convert("pdf", "w.xlsx")
    assert (tmp_path / "w.pdf").read_bytes().startswith(b"%PDF")
    convert("xlsx", "changed/c.xlsx")
    worked_out = openpyxl.load_workbook(tmp_path / "c.xlsx", data_only=True)[WHAT_IF]
    formulas = [
        cell.coordinate
        for row in sheet.iter_rows()
        for cell in row
        if isinstance(cell.value, str) and cell.value.startswith("=")
    ]
    assert len(formulas) >= len(MEASURES) + 5
    for cell in formulas:
        assert worked_out[cell].value == pytest.approx(recompute(sheet, cell), rel=1e-12, abs=1e-12), cell
    assert worked_out[f"G{rows['COPD']}"].value == 0
    assert worked_out[f"G{rows['HF']}"].value > 0
