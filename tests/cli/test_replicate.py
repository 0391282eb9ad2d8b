"""`hrrp replicate`: the contract's document, exit codes, and a change in the workbook found and named."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from hrrp.cli import main
from hrrp.program import MEASURES

HF, PN = "Table 5 Discharges HF Readm", "Table 6 Discharges PN Readm"
TABLE_1, TABLE_2 = "Table 1 Payment Adjustment", "Table 2 Hospital Results"
CONTRACT = {"program_year", "agrees", "paf", "paf_published", "measures", "differences"}
MEASURE_CONTRACT = {
    "eligible_discharges", "readmissions", "predicted", "expected", "err", "err_published", "between_hospital_variance",
}  # fmt: skip

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """`run("replicate", path)`: exit code, stdout, stderr, in an empty folder and 100 columns wide."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["hrrp", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), out, err

    return call


@pytest.fixture
def tampered(cms_dir: Path, tmp_path: Path) -> Callable[[str, str, Any], Path]:
    """The FY2025 mock report with one cell changed: `tampered(sheet, cell, value)`."""

    def change(sheet: str, cell: str, value: Any) -> Path:
        book = load_workbook(cms_dir / "fy2025_hrrp_mock_hsr.xlsx")
        assert book[sheet][cell].value is not None and book[sheet][cell].value != value
        book[sheet][cell] = value
        path = tmp_path / "tampered.xlsx"
        book.save(path)
        return path

    return change


@pytest.mark.parametrize(("year", "paf"), [(2020, 0.984), (2022, 1.0), (2024, 0.9998), (2025, 0.9993)])
def test_the_mock_reports_agree(run: Run, cms_dir: Path, year: int, paf: float) -> None:
    code, out, err = run("replicate", cms_dir / f"fy{year}_hrrp_mock_hsr.xlsx", "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document.keys() >= CONTRACT
    assert (document["program_year"], document["agrees"], document["differences"]) == (year, True, [])
    assert document["paf"] == document["paf_published"] == paf
    assert list(document["measures"]) == list(MEASURES)
    for figures in document["measures"].values():
        assert figures.keys() >= MEASURE_CONTRACT
        for name in ("predicted", "expected", "err"):
            published = figures[f"{name}_published"]
            assert figures[name] == (None if published is None else pytest.approx(published, abs=1e-10))
    assert document["measures"]["CABG"]["err"] is None
    assert document["measures"]["CABG"]["eligible_discharges"] == 0


def test_for_people(run: Run, cms_dir: Path) -> None:
    code, out, _ = run("replicate", cms_dir / "fy2025_hrrp_mock_hsr.xlsx")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 100
    assert "…" not in out
    hf = next(line.split() for line in out.splitlines() if line.split()[:1] == ["HF"])
    assert hf[1:7] == ["25", "2", "0.158781", "0.163542", "0.970892", "0.970892"]
    assert "0.9993 recomputed, 0.9993 printed: the same" in out
    assert "COPD" in out and "pooled over earlier reports" in out
    assert out.split("Our arithmetic is CMS's")[1].count("\n") <= 4  # the last words
    assert "9AA9AA9AA99" not in out


@pytest.mark.parametrize(
    ("sheet", "cell", "value", "place"),
    [
        pytest.param(HF, "S12", 1, (HF, 12, "Male"), id="one risk flag"),
        pytest.param(HF, "T8", 0.03, (HF, 8, "Bypass"), id="one coefficient"),
        pytest.param(PN, "K9", "No", (PN, 9, "Unplanned Readmission"), id="one outcome"),
        pytest.param(PN, "AQ8", -2.5, (PN, 8, ""), id="a coefficient or intercept"),
        pytest.param(TABLE_2, "D9", 0.1424, (TABLE_2, 9, "Predicted"), id="a printed rate"),
        pytest.param(TABLE_2, "G10", 0.9, (TABLE_2, 10, "Peer Group Median"), id="a printed median"),
        pytest.param(TABLE_1, "A6", 187, (TABLE_1, 6, "Numerator"), id="the dual numerator"),
        pytest.param(TABLE_1, "G6", 0.9992, (TABLE_1, 6, "Payment Adjustment Factor"), id="the factor"),
    ],
)
def test_a_change_is_found_and_named(
    run: Run,
    tampered: Callable[[str, str, Any], Path],
    sheet: str,
    cell: str,
    value: Any,
    place: tuple[str, int, str],
) -> None:
    path = tampered(sheet, cell, value)
    code, out, err = run("replicate", path, "--json")
    document = json.loads(out)
    assert (code, document["agrees"]) == (13, False)
    named = [
        difference
        for difference in document["differences"]
        if (difference["sheet"], difference["row"], difference["cell"]) == (*place[:2], cell)
    ]
    assert len(named) == 1 and place[2] in named[0]["figure"]
    if not isinstance(value, str):
        assert named[0]["printed"] == value and named[0]["found"] not in (None, value)
    assert path.name in err and "sheet" in err and "row" in err
    code, out, _ = run("replicate", path)
    assert code == 13
    assert cell in out and sheet in out
    assert "Our arithmetic" in out and "Our arithmetic is CMS's:" not in out
    assert max(map(len, out.splitlines())) <= 100


def test_errors_have_their_exit_codes(run: Run, tmp_path: Path) -> None:
    assert run("replicate", "absent.xlsx")[0] == 10
    text = tmp_path / "report.csv"
    text.write_text("Measure,ERR\nHF,1.0\n")
    code, out, err = run("replicate", text, "--json")
    assert (code, out) == (12, "")
    assert "'Measure'; 'ERR'" in err
    assert run("replicate", tmp_path)[0] == 12
    assert run("replicate")[0] == 2


def test_help_has_an_example(run: Run) -> None:
    code, out, _ = run("replicate", "--help")
    assert code == 0
    assert "hrrp replicate FY2025_HSR.xlsx" in out and "13" in out
