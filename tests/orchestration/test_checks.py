"""The checks that recompute golden files: they pass on CMS's own files and fail where a figure is not what the rows give."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import openpyxl
import pytest

from hrrp.orchestration.assets import EXTRACT
from hrrp.orchestration.checks import build_checks
from hrrp.orchestration.resources import Site
from hrrp.settings import Settings

KEYS = [dg.AssetKey(["result", "hospital_measures"]), dg.AssetKey(["result", "hospital_penalties"])]


def evaluate(golden: Path, own: Path | None, tmp_path: Path) -> dict[str, dg.AssetCheckEvaluation]:
    checks = build_checks(KEYS, EXTRACT, own, golden)
    replication = [check for check in checks if any("replicates" in key.name for key in check.check_keys)]
    site = Site(Settings(out=tmp_path / "out"))
    result = dg.materialize(
        replication,  # type: ignore[arg-type]
        selection=dg.AssetSelection.checks(*(key for check in replication for key in check.check_keys)),
        resources={"site": site},
        raise_on_error=False,
        instance=dg.DagsterInstance.ephemeral(),
    )
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


@pytest.fixture
def golden(cms_dir: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "golden"
    folder.mkdir()
    shutil.copy(cms_dir / "fy2025_hrrp_mock_hsr.xlsx", folder)
    shutil.copy(cms_dir / "fy2025_hrrp_supplemental.csv", folder)
    return folder


def test_golden_files_are_replicated(golden: Path, tmp_path: Path) -> None:
    found = evaluate(golden, golden / "fy2025_hrrp_mock_hsr.xlsx", tmp_path)
    assert {name: check.passed for name, check in found.items()} == {
        "replicates_golden_report": True,
        "replicates_own_report": True,
        "replicates_golden_supplemental_file": True,
    }
    assert found["replicates_golden_report"].blocking
    assert not found["replicates_own_report"].blocking
    assert found["replicates_golden_supplemental_file"].metadata["hospitals"].value == 2980
    assert found["replicates_golden_supplemental_file"].metadata["outside"].value == 0


def test_a_changed_figure_is_found(golden: Path, tmp_path: Path) -> None:
    workbook = openpyxl.load_workbook(golden / "fy2025_hrrp_mock_hsr.xlsx")
    sheet = next(sheet for sheet in workbook if sheet.title.startswith("Table 2"))
    cell = next(
        cell for row in sheet.iter_rows() for cell in row if isinstance(cell.value, float) and 0.9 < cell.value < 1.1
    )
    cell.value += 0.001
    workbook.save(golden / "fy2025_hrrp_mock_hsr.xlsx")
    text = (golden / "fy2025_hrrp_supplemental.csv").read_text(encoding="latin-1")
    (golden / "fy2025_hrrp_supplemental.csv").write_text(
        text.replace("010001,0.9975,", "010001,0.9875,"), encoding="latin-1"
    )
    found = evaluate(golden, None, tmp_path)
    assert not found["replicates_golden_report"].passed
    assert found["replicates_golden_report"].metadata["figures_that_differ"].value >= 1
    assert not found["replicates_golden_supplemental_file"].passed
    assert found["replicates_golden_supplemental_file"].metadata["outside"].value == 1
