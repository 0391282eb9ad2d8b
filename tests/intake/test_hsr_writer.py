"""Writing a Hospital-Specific Report: read back it is the same, and a written one replicates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from openpyxl import load_workbook

from hrrp.intake.hsr import read_hsr
from hrrp.intake.hsr_writer import write_hsr
from hrrp.penalty.replicate import replicate
from hrrp.program import Reference
from hrrp.program.hospital_report import DISCHARGE_HEADINGS, HospitalReport


def test_a_written_report_read_again_is_the_same(small_report: HospitalReport, small_workbook: Path) -> None:
    assert read_hsr(small_workbook) == small_report


def test_a_written_report_replicates(small_workbook: Path) -> None:
    result = replicate(read_hsr(small_workbook), Reference())
    assert result.agrees and result.figures_recomputed > 15 and result.largest_gap < 1e-12


@pytest.mark.parametrize("year", [2020, 2022, 2024, 2025])
def test_the_mock_reports_come_back_the_same(cms_dir: Path, tmp_path: Path, year: int) -> None:
    report = read_hsr(cms_dir / f"fy{year}_hrrp_mock_hsr.xlsx")
    path = tmp_path / "again.xlsx"
    write_hsr(report, path)
    assert read_hsr(path) == report


def test_sheets_and_headings_are_those_of_cms(cms_dir: Path, tmp_path: Path) -> None:
    original = cms_dir / "fy2025_hrrp_mock_hsr.xlsx"
    path = tmp_path / "again.xlsx"
    write_hsr(read_hsr(original), path)
    ours, theirs = load_workbook(path, read_only=True), load_workbook(original, read_only=True)
    assert ours.sheetnames == theirs.sheetnames
    heading_rows = dict(zip(ours.sheetnames[1:], (5, 5, 7, 7, 7, 7, 7, 7, 6), strict=True))
    for name, row in heading_rows.items():

        def headings(book: object, name: str = name, row: int = row) -> list[str]:
            (cells,) = book[name].iter_rows(min_row=row, max_row=row, values_only=True)  # type: ignore[index]
            texts = [" ".join(str(cell).split("[")[0].split()) for cell in cells if cell]
            return [text.replace("/ ", "/") for text in texts]

        assert headings(ours) == headings(theirs)


def test_the_same_report_gives_the_same_bytes_and_replaces_in_one_step(
    small_report: HospitalReport, tmp_path: Path
) -> None:
    first, second = tmp_path / "a" / "first.xlsx", tmp_path / "a" / "second.xlsx"
    write_hsr(small_report, first)
    write_hsr(small_report, second)
    assert first.read_bytes() == second.read_bytes()
    write_hsr(replace(small_report, hospital_name="ANOTHER"), first)
    assert read_hsr(first).hospital_name == "ANOTHER"
    assert sorted(path.name for path in first.parent.iterdir()) == ["first.xlsx", "second.xlsx"]


def test_a_failed_write_leaves_the_old_file(small_report: HospitalReport, tmp_path: Path) -> None:
    path = tmp_path / "report.xlsx"
    write_hsr(small_report, path)
    before = path.read_bytes()
    broken = replace(small_report, dual_stays=(None,))  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        write_hsr(broken, path)
    assert path.read_bytes() == before
    assert [child.name for child in tmp_path.iterdir()] == ["report.xlsx"]


def test_every_sheet_says_who_made_it(small_workbook: Path) -> None:
    book = load_workbook(small_workbook, read_only=True)
    for sheet in book:
        texts = [str(cell) for row in sheet.iter_rows(values_only=True) for cell in row if cell]
        assert any("made by hrrp" in text and "not a report of CMS" in text for text in texts), sheet.title
        assert "End of worksheet" in texts


def test_the_older_identifier_has_a_column_only_where_there_is_one(
    small_report: HospitalReport, tmp_path: Path
) -> None:
    table = small_report.discharges["HF"]
    stays = (replace(table.discharges[0], hicno="123456789A"), *table.discharges[1:])
    report = replace(small_report, discharges=dict(small_report.discharges) | {"HF": replace(table, discharges=stays)})
    path = tmp_path / "report.xlsx"
    write_hsr(report, path)
    assert read_hsr(path) == report
    book = load_workbook(path, read_only=True)
    with_column = {
        sheet.title
        for sheet in book
        if any(DISCHARGE_HEADINGS["hicno"] in row for row in sheet.iter_rows(max_row=8, values_only=True))
    }
    assert with_column == {table.sheet}
