"""A run publishes all or nothing, says what it did, and keeps no value of the data in its history."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from hrrp.errors import ConvergenceError, InputContractError, QualityError, UsageError
from hrrp.orchestration.resources import Site
from hrrp.orchestration.runner import instance, run_pipeline
from hrrp.program import Reference
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse, open_warehouse


def content(settings: Settings, name: str = "hrrp.duckdb") -> dict[str, list[tuple[Any, ...]]]:
    with open_warehouse(settings.out / name, settings, read_only=True) as warehouse:
        return {table: warehouse.rows(f"from {table} order by all") for table in warehouse.tables()}


def files(settings: Settings) -> set[str]:
    return {path.name for path in settings.out.iterdir() if path.is_file() and not path.name.startswith(".")}


def test_a_run_publishes_and_says_so(small: Any, settings: Settings) -> None:
    lines: list[str] = []
    outcome = run_pipeline(settings, progress=lines.append, build=small.build)
    assert outcome.rows == {"read": 4, "kept": 3, "rejected": 1}
    assert {name: rows for name, rows in outcome.tables.items() if not name.startswith("reference.")} == {
        "cohort.long_stays": 1,
        "cohort.stays": 3,
        "intake.source_files": 1,
        "intake.stays": 3,
        "result.totals": 1,
        "staging.row_accounting": 1,
    }
    assert files(settings) == {"hrrp.duckdb", "review.duckdb"}
    assert outcome.review == settings.out / "review.duckdb"
    assert all(check.passed for check in outcome.checks)
    assert {(check.table, check.check) for check in outcome.checks} >= {
        ("staging.row_accounting", "rows_add_up"),
        ("staging.row_accounting", "every_row_accounted_for"),
        ("staging.row_accounting", "rejects_within_share"),
    }
    assert [line.split(":")[0] for line in lines][:2] == ["reference", "intake"]
    assert lines[-1].startswith("published: ")


def test_the_review_database_names_no_patient(small: Any, settings: Settings) -> None:
    run_pipeline(settings, build=small.build)
    review = content(settings, "review.duckdb")
    assert {name for name in review if not name.startswith("reference.")} == {
        "cohort.long_stays",
        "intake.source_files",
        "result.proofs",
        "result.quality_checks",
        "result.totals",
        "staging.row_accounting",
    }
    assert small.secret.encode() not in (settings.out / "review.duckdb").read_bytes()


def test_a_second_run_gives_the_same_content(small: Any, settings: Settings) -> None:
    run_pipeline(settings, build=small.build)
    first = content(settings)
    run_pipeline(settings, build=small.build)
    assert content(settings) == first


def test_a_table_whose_file_is_gone_goes_too(small: Any, settings: Settings) -> None:
    run_pipeline(settings, build=small.build)
    (small.sql / "cohort" / "stays.sql").unlink()
    run_pipeline(settings, build=small.build)
    assert "cohort.stays" not in content(settings)


@pytest.mark.parametrize("kind", [InputContractError, UsageError])
def test_a_typed_error_of_the_intake_passes_and_the_last_good_run_stays(
    small: Any, settings: Settings, kind: type[Exception]
) -> None:
    run_pipeline(settings, build=small.build)
    before = content(settings)

    def refuse(warehouse: Warehouse, site: Site) -> None:
        raise kind("stays.csv is empty.")

    with pytest.raises(kind, match=r"stays\.csv is empty"):
        run_pipeline(settings, build=small.loading(refuse).build)
    assert content(settings) == before


def test_an_error_of_a_python_table_passes_and_the_last_good_run_stays(small: Any, settings: Settings) -> None:
    run_pipeline(settings, build=small.build)
    before = content(settings)

    def diverge(warehouse: Warehouse, settings: Settings, reference: Reference) -> pd.DataFrame:
        raise ConvergenceError("The model of HF did not converge.")

    with pytest.raises(ConvergenceError):
        run_pipeline(settings, build=replace(small, totals=diverge).build)
    assert content(settings) == before
    run_pipeline(settings, build=small.build)
    assert content(settings) == before


def test_too_many_rejects_stop_the_run_and_can_be_looked_at(small: Any, settings: Settings) -> None:
    run_pipeline(settings, build=small.build)
    before = content(settings)

    def enforce(warehouse: Warehouse, site: Site) -> None:
        raise InputContractError("stays.csv: 1 of 4 rows is rejected, 5 % are allowed.")

    broken = replace(small, extract=replace(small.extract, enforce_reject_share=enforce))
    with pytest.raises(InputContractError, match="1 of 4"):
        run_pipeline(settings, build=broken.build)
    assert content(settings) == before
    assert "staging.row_accounting" in content(settings, "working.duckdb")


def test_a_blocking_check_stops_the_run_before_anything_is_published(small: Any, settings: Settings) -> None:
    run_pipeline(settings, build=small.build)
    before = content(settings)
    accounting = small.sql / "staging" / "row_accounting.sql"
    accounting.write_text(accounting.read_text().replace("rows_read - 1 as", "rows_read - 2 as"))
    with pytest.raises(QualityError, match="rows_add_up") as caught:
        run_pipeline(settings, build=small.build)
    assert caught.value.exit_code == 15
    assert "the last good run's tables stay" in str(caught.value)
    failed = {check.check for check in caught.value.checks if not check.passed}  # type: ignore[attr-defined]
    assert failed == {"rows_add_up", "every_row_accounted_for"}
    assert content(settings) == before


def test_two_runs_do_not_write_in_one_folder(small: Any, settings: Settings) -> None:
    settings.out.mkdir(parents=True)
    with (settings.out / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="Another run is writing"):
            run_pipeline(settings, build=small.build)
    run_pipeline(settings, build=small.build)


def test_a_run_whose_working_file_was_taken_over_publishes_nothing(small: Any, settings: Settings) -> None:
    def be_overtaken(warehouse: Warehouse, site: Site) -> None:
        small.extract.load(warehouse, site)
        (settings.out / "working.run").write_text("another run")

    with pytest.raises(UsageError, match="took the working file over"):
        run_pipeline(settings, build=small.loading(be_overtaken).build)
    assert not (settings.out / "hrrp.duckdb").exists()


def test_no_value_of_the_data_reaches_the_history(small: Any, settings: Settings) -> None:
    def show(warehouse: Warehouse, settings: Settings, reference: Reference) -> pd.DataFrame:
        try:
            raise ValueError(f"inner trouble with {small.secret}")
        except ValueError as error:
            raise KeyError(f"trouble with {small.secret}") from error

    run_pipeline(settings, build=small.build)
    with pytest.raises(KeyError):
        run_pipeline(settings, build=replace(small, totals=show).build)
    broken = small.sql / "cohort" / "long_stays.sql"
    broken.write_text(broken.read_text().replace("where days >=", "where stay_id::integer >="))
    with pytest.raises(Exception, match="long_stays") as caught:
        run_pipeline(settings, build=small.build)
    assert small.secret not in str(caught.value)
    stored = [path for path in (settings.out / "state").rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in stored)
    assert [path for path in stored if small.secret.encode() in path.read_bytes()] == []


def test_the_history_shows_runs_with_their_numbers(small: Any, settings: Settings) -> None:
    outcome = run_pipeline(settings, build=small.build)
    with instance(settings) as history:
        run = history.get_run_by_id(outcome.run_id)
        assert run is not None
        assert run.status == dg.DagsterRunStatus.SUCCESS
        assert run.job_name == "pipeline"
        event = history.get_latest_materialization_event(dg.AssetKey(["cohort", "long_stays"]))
        assert event is not None and event.asset_materialization is not None
        metadata = event.asset_materialization.metadata
        assert metadata["dagster/row_count"].value == 1
        assert metadata["mean_days"].value == 35.5
        # Columns that are as the data dictionary says stand with the asset and are not said again with each run.
        assert "dagster/column_schema" not in metadata
        specs = {spec.key: spec for spec in small.build(Site(settings)).resolve_all_asset_specs()}
        schema = specs[event.asset_materialization.asset_key].metadata["dagster/column_schema"]
        columns = {column.name: column.description for column in schema.columns}
        assert list(columns) == ["ccn", "stays", "days"]
        assert columns["days"] == "Their mean length in days"
        event = history.get_latest_materialization_event(dg.AssetKey(["result", "totals"]))
        assert event is not None and event.asset_materialization is not None
        metadata = event.asset_materialization.metadata
        assert metadata["hospitals"].value == 1.0
        # The data dictionary is silent about this one: what was found is reported.
        assert [column.name for column in metadata["dagster/column_schema"].value.columns] == ["hospitals"]


def test_a_killed_run_leaves_the_last_good_one_and_does_not_block_the_next(
    small: Any, settings: Settings, tmp_path: Path
) -> None:
    run_pipeline(settings, build=small.build)
    before = content(settings)
    ready = tmp_path / "ready"
    program = textwrap.dedent(f"""
        import importlib.util, pathlib, sys, time
        spec = importlib.util.spec_from_file_location("small_pipeline", {str(Path(__file__).parent / "conftest.py")!r})
        module = importlib.util.module_from_spec(spec)
        sys.modules["small_pipeline"] = module
        spec.loader.exec_module(module)
        from hrrp.orchestration.runner import run_pipeline
        from hrrp.settings import Settings
        def hang(warehouse, site):
            warehouse.execute("create schema intake; create table intake.stays as select 'half' as stay_id")
            pathlib.Path({str(ready)!r}).touch()
            time.sleep(600)
        small = module.Small(pathlib.Path({str(small.sql)!r})).loading(hang)
        settings = Settings(out=pathlib.Path({str(settings.out)!r}), site_reference=pathlib.Path("none"))
        run_pipeline(settings, build=small.build)
    """)
    process = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "DAGSTER_DISABLE_TELEMETRY": "1"})
    try:
        for _ in range(600):
            if ready.exists() or process.poll() is not None:
                break
            signal.sigtimedwait([], 0.1)
        assert ready.exists()
    finally:
        process.kill()
        process.wait()
    assert content(settings) == before
    run_pipeline(settings, build=small.build)
    assert content(settings) == before
    with instance(settings) as history:
        assert sorted(run.status.value for run in history.get_runs()) == ["FAILURE", "SUCCESS", "SUCCESS"]
