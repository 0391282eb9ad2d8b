"""The brief: one page, nothing from outside, nothing that is withheld, every figure that of the documents."""

from __future__ import annotations

import html
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))

import report_data as data

from hrrp.cli import app
from hrrp.errors import UsageError
from hrrp.program import MEASURES, REPORT_NAMES, Reference
from hrrp.review import figures
from hrrp.review.brief import break_even, brief_html, browser, headline, nice_top, pages, write_pdf
from hrrp.review.report import Report, stand_ins
from hrrp.review.reports import read_report, write_reports
from hrrp.review.scenarios import open_review
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


def words(text: str) -> str:
    """What a reader sees: no style, no tags, one space between words."""
    body = re.sub(r"<style.*?</style>", " ", text, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_nothing_from_outside(read: Callable[..., Report]) -> None:
    text = brief_html(read())
    assert not re.search(r"https?:|//[a-z]|@import|url\(|<script|<link|<img|<iframe|javascript:| on[a-z]+=", text, re.I)
    assert "default-src 'none'" in text
    assert "<Memorial>" not in text
    assert data.NAME in html.unescape(text)


def test_figures_are_those_of_the_report(read: Callable[..., Report]) -> None:
    """Every program year and every measure stands there, as the report has it; so does what it rests on."""
    report = read()
    seen = words(brief_html(report))
    assert headline(report) in seen
    assert break_even(report) in seen
    for year, totals in report.years.items():
        digits = 1 if totals["coarse"] else 2
        low, high = totals["payment_reduction_interval"]
        middle = figures.percent(totals["payment_reduction_median"], digits)
        span = f"{figures.percent(low, digits)[:-2]} to {figures.percent(high, digits)}"
        chance = figures.chance(totals["chance_of_penalty"], totals["coarse"])
        over = figures.percent(totals["share_of_period"], 0)
        dollars = figures.dollars(totals["penalty_usd_median"])
        assert re.search(rf"FY{year} {over} {re.escape(f'{middle} ({span}) {dollars} {chance}')}", seen), year
    for measure in MEASURES:
        row = report.measures[measure]
        if measure in report.closed:
            assert f"{REPORT_NAMES[measure]} withheld" in seen
            continue
        cases, readmissions = data.counts(YEAR, measure)
        err, median = f"{row['err']:.4f}", f"{row['peer_group_median']:.4f}"
        assert f"{REPORT_NAMES[measure]} {readmissions} of {cases} {err} {median}" in seen
    for said in (report.period, report.source, report.rule_year, report.stand_ins, str(report.as_of), "0.43 %"):
        assert said in seen


def test_small_cells_are_nowhere(read: Callable[..., Report]) -> None:
    for year in data.YEARS:
        report, whole = read(year), read(year, patient_level=True)
        text = brief_html(report)
        assert report.closed or year == 2028
        for measure in report.closed:
            cases, readmissions = data.counts(year, measure)
            assert f"{readmissions} of {cases}" not in text
            assert f"{whole.measures[measure]['err']:.4f}" not in text
        if report.forecast["coarse"]:
            assert f"{whole.table_1['payment_reduction'] * 100:.2f} %" not in text
    with pytest.raises(ValueError, match="aggregate"):
        brief_html(whole)


def test_same_report_same_text(read: Callable[..., Report]) -> None:
    assert brief_html(read()) == brief_html(read())


def test_exempt_and_unknown_payments(tmp_path: Path) -> None:
    for folder, options, said in (
        ("a", {"exempt": True}, "FY2029: exempt from the program, no penalty."),
        ("b", {"payments": None, "published": False}, "FY2029: the reduction is unknown"),
    ):
        settings = data.publish(tmp_path / folder, **options)  # type: ignore[arg-type]
        written = write_reports(settings, data.CCN, YEAR, pdf=False)
        seen = words(Path(written["brief"]).read_text(encoding="utf-8"))
        assert said in seen
        assert "nan" not in seen.split()
        assert "None" not in seen.split()


def test_scale_and_stand_ins() -> None:
    assert [nice_top(value) for value in (0.001, 0.0011, 0.0029, 0.03)] == pytest.approx([0.001, 0.002, 0.005, 0.05])
    notes = [
        "FY2029 risk model of AMI not published: FY2025's used (last published)",
        "FY2029 risk model of HF not published: FY2025's used (last published)",
        "FY2029 neutrality modifier not published: FY2027's used (last published)",
        "another note",
    ]
    assert stand_ins(notes) == "FY2025: risk models; FY2027: neutrality modifier"
    assert stand_ins(["another note"]) == "none"


def test_command_writes_all_three(settings: Settings, tmp_path: Path) -> None:
    """The command's document names files that lie there; a year that the run does not have is refused before anything is written."""
    place = [
        "report",
        "--ccn",
        data.CCN,
        "--out",
        str(settings.out),
        "--to",
        str(tmp_path / "to"),
        "--no-pdf",
        "--json",
    ]
    result = CliRunner().invoke(app, [*place, "--program-year", str(YEAR)])
    assert result.exit_code == 0, result.output
    (written,) = json.loads(result.stdout)["reports"]
    assert written["program_year"] == YEAR
    assert written["patient_level"] is False
    assert Path(written["workbook"]).name == f"hrrp_{data.CCN}_FY{YEAR}.xlsx"
    assert Path(written["brief"]).is_file()
    assert written["pdf"] is None
    refused = CliRunner().invoke(app, [*place, "--program-year", "2035"])
    assert isinstance(refused.exception, UsageError)
    assert "2028, 2029, 2030" in str(refused.exception)


def test_no_browser_is_said(read: Callable[..., Report], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a Chromium there is no PDF, an old one included, and the reason is given."""
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "b.html").write_text(brief_html(read()), encoding="utf-8")
    (tmp_path / "b.pdf").write_bytes(b"old")
    assert "no Chromium" in str(write_pdf(tmp_path / "b.html", tmp_path / "b.pdf", data.AS_OF))
    assert not (tmp_path / "b.pdf").exists()


@pytest.mark.browser
@pytest.mark.skipif(browser() is None, reason="no Chromium on this machine: the printed page is not tested")
def test_prints_to_one_page(read: Callable[..., Report], settings: Settings, tmp_path: Path) -> None:
    """One page, the same bytes each time, dated with the run."""
    written = write_reports(settings, data.CCN, YEAR, tmp_path)
    assert written["pdf"] is not None, written["pdf_left_out"]
    content = Path(written["pdf"]).read_bytes()
    assert pages(Path(written["pdf"])) == 1
    assert b"D:20261101000000" in content
    assert write_pdf(Path(written["brief"]), tmp_path / "again.pdf", data.AS_OF) is None
    assert (tmp_path / "again.pdf").read_bytes() == content
