"""Workbooks and briefs as an asset: those asked for, outside of the pipeline."""

from __future__ import annotations

import sys
from pathlib import Path

import dagster as dg
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "review"))

import report_data as data

from hrrp.orchestration.definitions import build_definitions
from hrrp.orchestration.reports import REPORTS, ReportsConfig, reports
from hrrp.orchestration.resources import Site, site_resource
from hrrp.settings import Settings


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return data.publish(tmp_path_factory.mktemp("published"))


def materialize(settings: Settings, **asked: object) -> dg.ExecuteInProcessResult:
    config = ReportsConfig(pdf=False, **asked)  # type: ignore[arg-type]
    return dg.materialize(
        [reports],
        resources={"site": site_resource(Site(settings))},
        run_config=dg.RunConfig(ops={"published__reports": config}),
        raise_on_error=False,
    )


def test_the_documents_asked_for_are_written(settings: Settings) -> None:
    result = materialize(settings, program_years=[2029])
    assert result.success
    (made,) = result.get_asset_materialization_events()
    metadata = made.materialization.metadata
    assert (metadata["workbooks"].value, metadata["briefs"].value, metadata["printed"].value) == (1, 1, 0)
    written = {path.name for path in (settings.out / "reports").iterdir()}
    assert written == {f"hrrp_{data.CCN}_FY2029.xlsx", f"hrrp_{data.CCN}_FY2029.html"}


def test_a_hospital_that_is_not_there_is_said(settings: Settings) -> None:
    result = materialize(settings, ccns=["999999"])
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert "Leave ccns and program_years empty for all" in str(failed.step_failure_data.error)


def test_a_run_of_the_pipeline_does_not_wait_for_them() -> None:
    definitions = build_definitions(Site(Settings()))
    selected = definitions.resolve_job_def("pipeline").asset_layer.selected_asset_keys
    assert REPORTS not in selected
    assert dg.AssetKey(["published", "review"]) in selected
    assert definitions.resolve_job_def("reports").asset_layer.selected_asset_keys == {REPORTS}
