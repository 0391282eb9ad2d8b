"""Adding a SQL file adds an asset; the schedule, the sensors and the pool are as the site says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from hrrp.orchestration.assets import FRESH_TAG, WRITER_POOL
from hrrp.orchestration.definitions import build_definitions
from hrrp.orchestration.resources import Site
from hrrp.orchestration.runner import run_pipeline
from hrrp.settings import Settings


def test_a_file_is_an_asset(small: Any, settings: Settings) -> None:
    (small.sql / "cohort" / "short_stays.sql").write_text(
        "-- Stays that are\n-- not long.\n-- watch: stays = count(*)\n"
        "select stay_id\nfrom cohort.stays\nanti join cohort.long_stays using (ccn)\n"
    )
    definitions = small.build(Site(settings))
    specs = {"/".join(spec.key.path): spec for spec in definitions.resolve_all_asset_specs()}
    added = specs["cohort/short_stays"]
    assert added.description == "Stays that are\nnot long."
    assert added.group_name == "cohort"
    assert {"/".join(dep.asset_key.path) for dep in added.deps} == {"cohort/stays", "cohort/long_stays"}
    assert {"/".join(dep.asset_key.path) for dep in specs["published/hrrp"].deps} >= {
        "cohort/short_stays",
        "result/totals",
    }
    outcome = run_pipeline(settings, build=small.build)
    assert outcome.tables["cohort.short_stays"] == 1


def test_a_changed_file_has_another_code_version(small: Any, settings: Settings) -> None:
    def version() -> str | None:
        specs = {spec.key: spec for spec in small.build(Site(settings)).resolve_all_asset_specs()}
        return specs[dg.AssetKey(["cohort", "stays"])].code_version

    before = version()
    path = small.sql / "cohort" / "stays.sql"
    path.write_text(path.read_text() + "where days > 1\n")
    assert version() != before


def test_every_step_that_opens_the_working_file_is_in_the_pool_of_one() -> None:
    definitions = build_definitions(Site(Settings()))
    for asset in definitions.assets or ():
        assert isinstance(asset, dg.AssetsDefinition)
        assert asset.op.pool == WRITER_POOL, asset.op.name
    for check in definitions.asset_checks or ():
        reads = not any("replicates" in key.name for key in check.check_keys)
        assert (check.op.pool == WRITER_POOL) == reads, check.op.name
    text = (Path(__file__).resolve().parents[2] / "dagster.yaml").read_text(encoding="utf-8")
    assert "default_limit: 1" in text
    assert "max_concurrent_runs: 1" in text


def test_every_check_has_a_sentence() -> None:
    definitions = build_definitions(Site(Settings()))
    specs = [spec for check in definitions.asset_checks or () for spec in check.check_specs]
    assert len(specs) > 50
    assert [spec.key for spec in specs if not (spec.description or "").endswith(".")] == []


def test_the_nightly_run_is_at_the_sites_hour() -> None:
    definitions = build_definitions(Site(Settings(schedule="30 4 * * 1-5", time_zone="America/Chicago")))
    schedule = definitions.resolve_schedule_def("nightly")
    assert schedule.cron_schedule == "30 4 * * 1-5"
    assert schedule.execution_timezone == "America/Chicago"
    assert definitions.resolve_job_def("pipeline").tags[FRESH_TAG] == "true"


def test_a_new_extract_starts_a_run_once(tmp_path: Path) -> None:
    data = tmp_path / "extract"
    data.mkdir()
    (data / "stays.csv").write_text("stay_id\n")
    definitions = build_definitions(Site(Settings(data=data, out=tmp_path / "out")))
    sensor = definitions.resolve_sensor_def("new_extract")

    def look(cursor: str | None) -> tuple[int, str | None]:
        context = dg.build_sensor_context(
            cursor=cursor, resources={"site": Site(Settings(data=data, out=tmp_path / "out"))}
        )
        result = sensor.evaluate_tick(context)
        return len(result.run_requests or ()), result.cursor

    requests, cursor = look(None)
    assert requests == 0
    assert look(cursor) == (0, cursor)
    os.utime(data / "stays.csv", ns=(1, 1))
    requests, changed = look(cursor)
    assert requests == 1
    assert changed != cursor
    assert look(changed) == (0, changed)


def test_without_an_extract_the_sensor_says_so(tmp_path: Path) -> None:
    definitions = build_definitions(Site(Settings(data=tmp_path / "nowhere")))
    context = dg.build_sensor_context(resources={"site": Site(Settings(data=tmp_path / "nowhere"))})
    result = definitions.resolve_sensor_def("new_extract").evaluate_tick(context)
    assert "No folder of an extract" in (result.skip_message or "")


def test_a_failed_run_is_logged_with_its_step_and_sentence(
    small: Any, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    from hrrp.errors import InputContractError
    from hrrp.orchestration.runner import instance
    from hrrp.orchestration.schedules import run_failed

    def refuse(warehouse: object, site: Site) -> None:
        raise InputContractError("stays.csv is empty.")

    with pytest.raises(InputContractError):
        run_pipeline(settings, build=small.loading(refuse).build)
    with instance(settings) as history:
        (run,) = history.get_runs()
        record = history.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE).records[0]
        event = record.event_log_entry.get_dagster_event()
        context = dg.build_run_status_sensor_context(
            sensor_name="run_failed", dagster_instance=history, dagster_run=run, dagster_event=event
        ).for_run_failure()
        run_failed(context)
    assert f"Run {run.run_id[:8]} failed in intake" in capsys.readouterr().err
