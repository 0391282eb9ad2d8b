"""Reading and writing CMS's supplemental file: a small invented file for each year's quirks, and the complete FY2025 file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import openpyxl
import pytest

from hrrp.intake.supplemental import place_of, read_supplemental, write_supplemental
from hrrp.penalty.supplemental import recompute
from hrrp.program import MEASURES, Reference
from hrrp.program.supplemental_file import SupplementalFile

FILES = Path(__file__).parent / "supplemental_files"
REFERENCE = Reference()
WITHOUT_PNEUMONIA = tuple(measure for measure in MEASURES if measure != "PN")


def read(name: str) -> SupplementalFile:
    return read_supplemental(FILES / name, reference=REFERENCE)


@dataclass(frozen=True)
class Expected:
    name: str
    year: int
    hospitals: int
    measures: tuple[str, ...]


EVERY_YEAR = [
    Expected("fy2013_zero_err_maryland.txt", 2013, 4, ("AMI", "HF", "PN")),
    Expected("fy2014_footnotes.txt", 2014, 2, ("AMI", "HF", "PN")),
    Expected("fy2015_hip_knee.txt", 2015, 2, ("AMI", "COPD", "HF", "PN", "THA_TKA")),
    Expected("fy2016_provider.txt", 2016, 2, ("AMI", "COPD", "HF", "PN", "THA_TKA")),
    Expected("fy2017_pneumoniuia.txt", 2017, 2, MEASURES),
    Expected("fy2018_dots_other_order.txt", 2018, 3, MEASURES),
    Expected("fy2019_lost_zeros.txt", 2019, 10, MEASURES),
    Expected("fy2020_title_case.txt", 2020, 10, MEASURES),
    Expected("fy2021_quoted_thousands.txt", 2021, 10, MEASURES),
    Expected("fy2022_four_title_lines.csv", 2022, 10, MEASURES),
    Expected("fy2023_no_pneumonia.txt", 2023, 10, WITHOUT_PNEUMONIA),
    Expected("fy2024_dots_end_of_worksheet.txt", 2024, 10, MEASURES),
    Expected("fy2025_hospital_cnn_blank_rows.csv", 2025, 10, MEASURES),
    Expected("fy2026_dots_and_blanks.txt", 2026, 10, MEASURES),
    Expected("fy2027_trailing_tab.txt", 2027, 10, MEASURES),
]


@pytest.mark.parametrize("expected", EVERY_YEAR, ids=lambda expected: str(expected.year))
def test_every_year_is_read_by_its_headings(expected: Expected) -> None:
    file = read(expected.name)
    assert file.program_year == expected.year
    assert len(file.hospitals) == expected.hospitals
    assert file.measures == expected.measures
    assert all(len(row.ccn) == 6 for row in file.hospitals)
    assert all(row.paf is not None and tuple(row.measures) == expected.measures for row in file.hospitals)
    assert file.has_payment_ratios == (expected.year >= 2019)
    assert "not used" not in " ".join(file.notes)


@pytest.mark.parametrize(
    "expected", [each for each in EVERY_YEAR if each.year >= 2019], ids=lambda expected: str(expected.year)
)
def test_every_stratified_year_is_recomputed(expected: Expected) -> None:
    file = read(expected.name)
    rules = REFERENCE.program_year(expected.year)
    result = recompute(file, rules, rules.neutrality_modifier)
    assert result.recomputed == 10
    assert result.with_agreement("outside") == ()


def test_an_err_of_zero_before_fy2018_is_no_err() -> None:
    first, second, maryland, none = read("fy2013_zero_err_maryland.txt").hospitals
    assert (first.measures["AMI"].eligible_discharges, first.measures["AMI"].err) == (88, 1.0512)
    assert (second.measures["HF"].eligible_discharges, second.measures["HF"].err) == (24, None)
    assert (maryland.ccn, maryland.paf, maryland.measures["HF"].err) == ("210803", 1.0, 1.0801)
    assert (none.measures["PN"].eligible_discharges, none.measures["PN"].err) == (0, None)


def test_old_headings_in_another_order_reach_their_measure() -> None:
    for name in ("fy2017_pneumoniuia.txt", "fy2018_dots_other_order.txt"):
        row = read(name).hospitals[0]
        cases = {measure: figures.eligible_discharges for measure, figures in row.measures.items()}
        assert cases == {"AMI": 91, "COPD": 70, "HF": 240, "PN": 641, "CABG": 55, "THA_TKA": 31}
        assert row.measures["PN"].err == pytest.approx(0.972, abs=1e-8)


def test_the_digits_that_a_file_prints_are_kept() -> None:
    assert read("fy2013_zero_err_maryland.txt").decimals_of("err") == 4
    assert read("fy2014_footnotes.txt").decimals_of("err") == 6
    assert read("fy2017_pneumoniuia.txt").decimals_of("err") == 9
    assert read("fy2017_pneumoniuia.txt").decimals_of("paf") == 4


def test_footnotes_and_end_of_worksheet_are_no_hospitals() -> None:
    assert [row.ccn for row in read("fy2014_footnotes.txt").hospitals] == ["010801", "010802"]
    assert read("fy2019_lost_zeros.txt").hospitals[-1].ccn == "670810"
    assert read("fy2024_dots_end_of_worksheet.txt").hospitals[-1].ccn == "670810"


def test_ccns_that_lost_their_leading_zero_get_it_back_and_it_is_said() -> None:
    file = read("fy2019_lost_zeros.txt")
    assert [row.ccn for row in file.hospitals[:4]] == ["010801", "010802", "050803", "100804"]
    assert "3 CCNs had lost their leading zero; it is put back." in file.notes


@pytest.mark.parametrize("name", ["fy2021_quoted_thousands.txt", "fy2022_four_title_lines.csv"])
def test_thousands_in_quotes_are_numbers(name: str) -> None:
    assert 1107 in {figures.eligible_discharges for row in read(name).hospitals for figures in row.measures.values()}


def test_a_percent_sign_makes_a_fraction() -> None:
    for row in read("fy2022_four_title_lines.csv").hospitals:
        assert row.paf is not None
        assert row.payment_reduction == pytest.approx(1 - row.paf, abs=1e-12)


@pytest.mark.parametrize(
    "name", ["fy2024_dots_end_of_worksheet.txt", "fy2025_hospital_cnn_blank_rows.csv", "fy2026_dots_and_blanks.txt"]
)
def test_a_dot_or_nothing_means_no_discharges(name: str) -> None:
    absent = [
        figures
        for row in read(name).hospitals
        for figures in row.measures.values()
        if figures.eligible_discharges is None
    ]
    assert absent
    assert all(figures.err is None and figures.drg_payment_ratio is None for figures in absent)
    assert all(figures.peer_group_median is not None and figures.penalty_indicator is False for figures in absent)


@pytest.mark.parametrize(
    ("encode", "change"),
    [
        ("utf-8-sig", lambda text: text),
        ("utf-16", lambda text: text),
        ("cp1252", lambda text: text.replace("Final Rule:", "Final Rule –")),
        ("utf-8", lambda text: text.replace("\n", "\r\n")),
        ("utf-8", lambda text: text.replace("\n", "\r")),
        ("utf-8", lambda text: text.replace("\t", ";")),
        ("utf-8", lambda text: text.replace("\t", "|")),
        ("utf-8", lambda text: text.replace("Dual proportion", "  Dual\xa0 proportion ")),
        ("utf-8", lambda text: text.replace("\tERR for AMI", '\t"ERR\nfor AMI"')),
        ("utf-8", lambda text: text + "\t\t\t\n\n\n"),
        ("utf-8", lambda text: text.rstrip("\n")),
    ],
    ids=[
        "BOM",
        "UTF-16",
        "Windows-1252",
        "CRLF",
        "CR",
        "semicolon",
        "pipe",
        "padding",
        "line break",
        "blanks",
        "no end",
    ],
)
def test_encodings_line_ends_and_padding_do_not_matter(tmp_path: Path, encode: str, change) -> None:  # type: ignore[no-untyped-def]
    text = (FILES / "fy2024_dots_end_of_worksheet.txt").read_text(encoding="utf-8")
    path = tmp_path / "fy2024.txt"
    path.write_bytes(change(text).encode(encode))
    assert read_supplemental(path, reference=REFERENCE).hospitals == read("fy2024_dots_end_of_worksheet.txt").hospitals


def test_columns_in_any_order_give_the_same_hospitals(tmp_path: Path) -> None:
    lines = (FILES / "fy2023_no_pneumonia.txt").read_text(encoding="utf-8").splitlines()
    turned = [lines[0], *("\t".join(reversed(line.split("\t"))) for line in lines[1:])]
    path = tmp_path / "turned.txt"
    path.write_text("\n".join(turned) + "\n", encoding="utf-8")
    assert read_supplemental(path, reference=REFERENCE).hospitals == read("fy2023_no_pneumonia.txt").hospitals


def test_a_column_that_is_not_ours_is_named(tmp_path: Path) -> None:
    lines = (FILES / "fy2026_dots_and_blanks.txt").read_text(encoding="utf-8").splitlines()
    wider = [lines[0], lines[1] + "\tERR for sepsis", *(line + "\t1.0001" for line in lines[2:])]
    path = tmp_path / "fy2026.txt"
    path.write_text("\n".join(wider) + "\n", encoding="utf-8")
    file = read_supplemental(path, reference=REFERENCE)
    assert file.hospitals == read("fy2026_dots_and_blanks.txt").hospitals
    assert "Columns not used: ERR for sepsis." in file.notes


def workbook(path: Path, name: str) -> None:
    """The file `name` as CMS's workbooks have it: a sheet before it, true numbers, a percent format, line breaks in headings."""
    lines = (FILES / name).read_text(encoding="utf-8").splitlines()
    book = openpyxl.Workbook()
    book.active.title = "Variable Description"
    book.active.append(["Variable", "Description"])
    book.active.append(["Hospital CCN", "CMS certification number"])
    sheet = book.create_sheet("FR FY 2027")
    sheet.append(lines[0].split("\t")[:1])
    sheet.append([heading.replace(" for ", "\nfor ") for heading in lines[1].split("\t")])
    for line in lines[2:]:
        cells: list[object] = []
        for cell in line.split("\t"):
            if cell.endswith("%"):
                cells.append(float(cell[:-1]) / 100)
            elif cell and cell.replace(".", "").isdigit() and not (len(cell) == 6 and "." not in cell):
                cells.append(float(cell))
            else:
                cells.append(cell or None)
        sheet.append(cells)
        sheet.cell(sheet.max_row, 3).number_format = "0.00%"
    sheet.append(["End of worksheet"])
    book.save(path)


def test_a_workbook_gives_what_the_text_gives(tmp_path: Path) -> None:
    path = tmp_path / "FY2027_HRRP_Supplemental_File.xlsx"
    workbook(path, "fy2027_trailing_tab.txt")
    book, text = read_supplemental(path, reference=REFERENCE), read("fy2027_trailing_tab.txt")
    assert book.hospitals == text.hospitals
    assert book.decimals == text.decimals
    assert (book.program_year, book.title) == (2027, text.title)


def test_a_workbook_of_numbers_gets_its_zeros_back(tmp_path: Path) -> None:
    path = tmp_path / "numbers.xlsx"
    workbook(path, "fy2027_trailing_tab.txt")
    book = openpyxl.load_workbook(path)
    sheet = book["FR FY 2027"]
    for row in range(3, sheet.max_row):
        sheet.cell(row, 1).value = int(sheet.cell(row, 1).value)
    book.save(path)
    assert read_supplemental(path, reference=REFERENCE).hospitals == read("fy2027_trailing_tab.txt").hospitals


@pytest.mark.parametrize(
    ("title", "year"),
    [
        ("FY 2026 IPPS Final Rule", 2026),
        ("FY2026 IPPS Final Rule", 2026),
        ("Fiscal Year 2026: Hospital Readmissions Reduction Program", 2026),
        ("FR FY 26", 2026),
    ],
)
def test_the_program_year_stands_in_the_title(tmp_path: Path, title: str, year: int) -> None:
    lines = (FILES / "fy2026_dots_and_blanks.txt").read_text(encoding="utf-8").splitlines()
    path = tmp_path / "file.txt"
    path.write_text("\n".join([title, *lines[1:]]) + "\n", encoding="utf-8")
    assert read_supplemental(path, reference=REFERENCE).program_year == year


def test_without_a_title_the_year_is_the_one_given(tmp_path: Path) -> None:
    lines = (FILES / "fy2026_dots_and_blanks.txt").read_text(encoding="utf-8").splitlines()
    path = tmp_path / "file.txt"
    path.write_text("\n".join(lines[1:]) + "\n", encoding="utf-8")
    assert read_supplemental(path, program_year=2026, reference=REFERENCE).program_year == 2026


@pytest.mark.parametrize(
    ("heading", "place"),
    [
        ("Hospital CNN", ("ccn", None)),
        ("PROV", ("ccn", None)),
        ("FY 2013 Readmission Payment Adjustment Factor", ("paf", None)),
        ("FY 2015 Proxy Readmissions Adjustment Factor", ("paf", None)),
        ("  Payment\nadjustment factor ", ("paf", None)),
        ("Payment Reduction Percentage", ("payment_reduction", None)),
        ("Peer group assignment", ("peer_group", None)),
        ("Peer group median ERR for THA/TKA", ("peer_group_median", "THA_TKA")),
        ("ERR for THA/TKA", ("err", "THA_TKA")),
        ("Excess Readmission Ratio for Pneumoniuia", ("err", "PN")),
        ("Hip/Knee Arthroplasty Excess Readmission Ratio", ("err", "THA_TKA")),
        ("Number of Chronic Obstructive Pulmonary Disease Cases", ("eligible_discharges", "COPD")),
        ("Number of eligible discharges for HF", ("eligible_discharges", "HF")),
        ("DRG payment ratio for CABG", ("drg_payment_ratio", "CABG")),
        ("Penalty indicator for AMI", ("penalty_indicator", "AMI")),
        ("ERR for sepsis", None),
        ("State", None),
    ],
)
def test_what_a_heading_means(heading: str, place: tuple[str, str | None] | None) -> None:
    assert place_of(heading) == place


@pytest.mark.parametrize("suffix", ["csv", "txt"])
@pytest.mark.parametrize("name", [each.name for each in EVERY_YEAR if each.year >= 2019])
def test_what_is_written_is_read_back_the_same(tmp_path: Path, name: str, suffix: str) -> None:
    file = read(name)
    path = tmp_path / f"written.{suffix}"
    write_supplemental(path, file, REFERENCE)
    back = read_supplemental(path, reference=REFERENCE)
    assert back.measures == file.measures
    assert back.title == file.title
    for ours, theirs in zip(back.hospitals, file.hospitals, strict=True):
        assert replace(ours, payment_reduction=None) == replace(theirs, payment_reduction=None)
        assert ours.paf is not None
        assert ours.payment_reduction == pytest.approx(1 - ours.paf, abs=1e-12)
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


def test_the_complete_fy2025_file(cms_dir: Path) -> None:
    file = read_supplemental(cms_dir / "fy2025_hrrp_supplemental.csv", reference=REFERENCE)
    assert file.program_year == 2025
    assert len(file.hospitals) == 2980
    assert file.notes == ()
    assert set(file.decimals.values()) == {4}
    hospital = file.hospitals[0]
    assert (hospital.ccn, hospital.paf, hospital.payment_reduction, hospital.peer_group) == (
        "010001",
        0.9975,
        0.0025,
        2,
    )
    assert (hospital.measures["HF"].eligible_discharges, hospital.measures["HF"].err) == (681, 1.0597)


def test_the_complete_fy2025_file_recomputed(cms_dir: Path) -> None:
    file = read_supplemental(cms_dir / "fy2025_hrrp_supplemental.csv", reference=REFERENCE)
    rules = REFERENCE.program_year(2025)
    result = recompute(file, rules, rules.neutrality_modifier, 2980)
    assert result.neutrality_modifier == 0.96524016588985
    assert result.with_agreement("outside") == ()
    assert len(result.with_agreement("exact")) == 2914
    assert result.complete
    assert (result.peer_groups_agree, result.peer_groups_compared) == (2980, 2980)
    assert (result.medians_agree, result.medians_compared) == (30, 30)
    assert result.penalty_indicators_differ == ()
    printed = recompute(file, rules, None, 2980)
    assert printed.neutrality_modifier == 0.9652
    assert printed.with_agreement("outside") == ()
    assert len(printed.with_agreement("exact")) == 2911


def test_the_fy2025_file_written_anew_is_the_same_line_for_line(cms_dir: Path, tmp_path: Path) -> None:
    original = cms_dir / "fy2025_hrrp_supplemental.csv"
    written = tmp_path / "fy2025.csv"
    write_supplemental(written, read_supplemental(original, reference=REFERENCE), REFERENCE)
    ours, theirs = written.read_bytes().split(b"\r\n"), original.read_bytes().split(b"\r\n")
    assert ours[2:2982] == theirs[2:2982]
    assert ours[0].rstrip(b",") == theirs[0].rstrip(b", ")
    assert [heading.strip().replace(b"CNN", b"CCN") for heading in theirs[1].split(b",")] == ours[1].split(b",")
