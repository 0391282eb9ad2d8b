"""What a bad supplemental file gets: the right error, the place, and what to do."""

from __future__ import annotations

import zipfile
from pathlib import Path

import openpyxl
import pytest

from hrrp.errors import InputContractError, ReportFormatError, RulesMissingError, UsageError
from hrrp.intake.supplemental import read_supplemental
from hrrp.program import Reference

GOOD = Path(__file__).parent / "supplemental_files" / "fy2027_trailing_tab.txt"
REFERENCE = Reference()


@pytest.fixture
def lines() -> list[str]:
    return GOOD.read_text(encoding="utf-8").splitlines()


def refused(path: Path, content: bytes | str | list[str], error: type[Exception], *words: str, **options: int) -> str:
    if isinstance(content, list):
        content = "\n".join(content) + "\n"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(error) as caught:
        read_supplemental(path, reference=REFERENCE, **options)
    message = str(caught.value)
    for word in (path.name, *words):
        assert word in message
    return message


def change(lines: list[str], row: int, heading: str, value: str) -> list[str]:
    """`lines` with the cell of line `row` (1 is the title) under `heading` replaced."""
    headings = [cell.strip() for cell in lines[1].split("\t")]
    cells = lines[row - 1].split("\t")
    cells[headings.index(heading)] = value
    return [*lines[: row - 1], "\t".join(cells), *lines[row:]]


def test_an_absent_file(tmp_path: Path) -> None:
    with pytest.raises(InputContractError, match="no such file"):
        read_supplemental(tmp_path / "absent.csv", reference=REFERENCE)


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputContractError, match="is a folder"):
        read_supplemental(tmp_path, reference=REFERENCE)


@pytest.mark.parametrize("content", [b"", b"\r\n \n"])
def test_an_empty_file(tmp_path: Path, content: bytes) -> None:
    refused(tmp_path / "fy2027.csv", content, InputContractError, "is empty", "download it again")


def test_a_zip_archive_renamed_is_named_with_what_is_inside(tmp_path: Path) -> None:
    archive = tmp_path / "inside.zip"
    with zipfile.ZipFile(archive, "w") as members:
        members.write(GOOD, "FR FY 2027.txt")
    refused(tmp_path / "fy2027.csv", archive.read_bytes(), InputContractError, "is a zip archive", "FR FY 2027.txt")


def test_a_workbook_renamed_is_named(tmp_path: Path) -> None:
    book = tmp_path / "book.xlsx"
    openpyxl.Workbook().save(book)
    refused(tmp_path / "fy2027.csv", book.read_bytes(), InputContractError, "is an Excel workbook", "fy2027.xlsx")


def test_a_truncated_workbook(tmp_path: Path) -> None:
    book = tmp_path / "book.xlsx"
    openpyxl.Workbook().save(book)
    content = book.read_bytes()
    refused(tmp_path / "fy2027.xlsx", content[: len(content) // 2], InputContractError, "truncated")


def test_a_damaged_workbook(tmp_path: Path) -> None:
    path = tmp_path / "fy2027.xlsx"
    with zipfile.ZipFile(path, "w") as members:
        members.writestr("xl/workbook.xml", "<workbook")
    refused(path, path.read_bytes(), InputContractError, "damaged Excel workbook")


def test_a_text_named_like_a_workbook(tmp_path: Path) -> None:
    refused(tmp_path / "fy2027.xlsx", GOOD.read_bytes(), InputContractError, "name it .csv")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\xd0\xcf\x11\xe0" + b"\0" * 100, "old Excel workbook"),
        (b"\x1f\x8b\x08" + b"\0" * 100, "gzip archive"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"<!DOCTYPE html><html>not found</html>", "web page"),
        (b"\x01\x02\x00\x03" * 50, "not a text file"),
        (b"\x81\x8d\x8f,\x90\n" * 50, "neither UTF-8 nor Windows-1252"),
    ],
)
def test_what_people_save_by_mistake_is_named(tmp_path: Path, content: bytes, kind: str) -> None:
    refused(tmp_path / "fy2027.csv", content, InputContractError, kind)


def test_a_file_that_breaks_off_within_a_row(tmp_path: Path) -> None:
    content = GOOD.read_text(encoding="utf-8")
    refused(tmp_path / "fy2027.txt", content[:-90], InputContractError, "row 12", "truncated")


def test_a_file_that_breaks_off_within_quotation_marks(tmp_path: Path) -> None:
    content = GOOD.read_text(encoding="utf-8") + '010899\t1.0000\t0.00%\t"1,2'
    refused(tmp_path / "fy2027.txt", content, InputContractError, "truncated")


def test_a_file_that_breaks_off_within_its_headings(tmp_path: Path) -> None:
    content = GOOD.read_text(encoding="utf-8")
    cut = content.index("Dual proportion") + 6
    refused(tmp_path / "fy2027.txt", content[:cut], InputContractError, "within its headings")


def test_headings_without_hospitals(tmp_path: Path, lines: list[str]) -> None:
    refused(tmp_path / "fy2027.txt", lines[:2], InputContractError, "lists no hospital")


def test_an_unknown_layout_lists_the_headings_seen(tmp_path: Path) -> None:
    content = "Facility,City,Overall rating\nGENERAL HOSPITAL,BOSTON,4\n"
    message = refused(tmp_path / "stars.csv", content, ReportFormatError, "Facility; City; Overall rating")
    assert "BOSTON" not in message


def test_rows_that_look_like_data_are_never_shown(tmp_path: Path) -> None:
    message = refused(
        tmp_path / "stays.csv", "S000123,P99871,2024-01-05\nS000124,P99872,2024-01-06\n", ReportFormatError
    )
    assert "none (no row of headings found)" in message
    assert "P99871" not in message


def test_the_provider_data_catalog_file_is_recognised(tmp_path: Path) -> None:
    content = "Facility Name,Facility ID,State,Measure Name,Excess Readmission Ratio\nX,010001,AL,READM-30-HF-HRRP,1\n"
    refused(tmp_path / "pdc.csv", content, ReportFormatError, "--pdc")


def test_a_missing_block_is_named(tmp_path: Path, lines: list[str]) -> None:
    turned = [line.replace("\tERR for pneumonia", "\tRemark") for line in lines]
    refused(tmp_path / "fy2027.txt", turned, ReportFormatError, "err for PN", "Headings seen", "ERR for HF")


def test_two_columns_headed_alike(tmp_path: Path, lines: list[str]) -> None:
    turned = [line.replace("\tERR for HF", "\tERR for AMI") for line in lines]
    refused(tmp_path / "fy2027.txt", turned, ReportFormatError, "headed alike", "ERR for AMI")


def test_no_year_anywhere(tmp_path: Path, lines: list[str]) -> None:
    refused(tmp_path / "new.txt", lines[1:], InputContractError, "--program-year")


def test_a_year_that_contradicts_the_title(tmp_path: Path, lines: list[str]) -> None:
    refused(tmp_path / "new.txt", lines, UsageError, "FY2027", "--program-year 2026", program_year=2026)


def test_a_year_without_rules(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "new.txt"
    path.write_text("\n".join(["FY 2041 Final Rule", *lines[1:]]) + "\n", encoding="utf-8")
    with pytest.raises(RulesMissingError, match="FY2041"):
        read_supplemental(path, reference=REFERENCE)


@pytest.mark.parametrize(
    ("heading", "value", "fault"),
    [
        ("ERR for HF", "abc", "'ERR for HF' is not a number"),
        ("ERR for HF", "1,23", "'ERR for HF' is not a number"),
        ("ERR for HF", "0.0000", "is 0"),
        ("ERR for HF", "97.3%", "percentage"),
        ("Payment adjustment factor", "99.75", "not a number from 0.9 to 1.0"),
        ("Dual proportion", "17.31", "not a number from 0.0 to 1.0"),
        ("Peer group assignment", "6", "not a whole number from 1 to 5"),
        ("Number of eligible discharges for AMI", "12.5", "not a whole number"),
        ("DRG payment ratio for AMI", "-0.01", "not a number from 0.0 to 1.0"),
        ("Penalty indicator for CABG", "maybe", "neither Y nor N"),
        ("Hospital CCN", "ABCDEF", "not a CCN of six characters"),
        ("Hospital CCN", "", "not a CCN of six characters"),
        ("Hospital CCN", "010801", "stands in row 3 already"),
    ],
)
def test_a_value_that_cannot_be_meant_is_placed(
    tmp_path: Path, lines: list[str], heading: str, value: str, fault: str
) -> None:
    refused(
        tmp_path / "fy2027.txt",
        change(lines, 5, heading, value),
        InputContractError,
        fault,
        "1 of 10 rows",
        "first in row 5",
    )


def test_several_faults_are_told_at_once(tmp_path: Path, lines: list[str]) -> None:
    wrong = change(change(lines, 5, "ERR for HF", "x"), 7, "ERR for HF", "y")
    wrong = change(wrong, 8, "Peer group assignment", "0")
    refused(
        tmp_path / "fy2027.txt",
        wrong,
        InputContractError,
        "2 of 10 rows (first in row 5)",
        "1 of 10 rows (first in row 8)",
    )


def test_a_ccn_and_nothing_else(tmp_path: Path, lines: list[str]) -> None:
    refused(tmp_path / "fy2027.txt", [*lines, "010899"], InputContractError, "row 13", "nothing else")
