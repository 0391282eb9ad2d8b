"""What a report tells later forecasts, on CMS's mock report of FY2025."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from hrrp.intake.hsr import read_hsr
from hrrp.penalty.report_measures import report_measures
from hrrp.program import MEASURES, Reference


def test_a_reports_rows_give_back_its_expected_rates(cms_dir: Path) -> None:
    report = read_hsr(cms_dir / "fy2025_hrrp_mock_hsr.xlsx", Reference())
    rows = report_measures(report, "010001")
    assert [row["measure"] for row in rows] == list(MEASURES)
    assert {row["payment_reduction"] for row in rows} == {report.payment_adjustment.payment_reduction}
    checked = 0
    for row in rows:
        predictors = np.array(row["linear_predictors"])
        if row["expected"] is None:
            assert not predictors.size
            continue
        assert predictors.size == row["eligible_discharges"]
        assert (np.diff(predictors) >= 0).all()
        assert expit(predictors).mean() == pytest.approx(row["expected"], abs=1e-10)
        checked += 1
    assert checked == 5


def test_a_report_without_a_printed_reduction_gives_it_by_its_factor(cms_dir: Path) -> None:
    report = read_hsr(cms_dir / "fy2020_hrrp_mock_hsr.xlsx", Reference())
    assert report.payment_adjustment.payment_reduction is None
    factor = report.payment_adjustment.paf
    assert factor is not None
    assert report_measures(report, "010001")[0]["payment_reduction"] == pytest.approx(1 - factor, abs=1e-9)
