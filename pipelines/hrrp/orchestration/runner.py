"""`hrrp run`: the same assets and checks as in the web page, executed in this process, recorded in the same history."""

from __future__ import annotations

import gc
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log.sqlite import sqlite_event_log

from hrrp.errors import QualityError
from hrrp.orchestration.definitions import build_definitions
from hrrp.orchestration.resources import Site, prepare_state
from hrrp.quality import RuleResult, evaluator
from hrrp.settings import Settings
from hrrp.warehouse import open_warehouse

IN_PROCESS_TAG = "hrrp/in_process"


@dataclass(frozen=True)
class CheckOutcome:
    """One check of the run, as the asset page shows it."""

    table: str
    check: str
    description: str
    passed: bool
    critical: bool


@dataclass(frozen=True)
class RunOutcome:
    """What a run left: the review database, rows by fate, tables with their rows, the checks, and its place in the history."""

    run_id: str
    review: Path
    rows: dict[str, int]
    tables: dict[str, int]
    checks: tuple[CheckOutcome, ...]
    seconds: float


class RunStoppedError(QualityError):
    """A blocking check failed. `checks` are all of the run's; `working` is the file that it was filling, published nowhere."""

    def __init__(self, message: str, checks: tuple[CheckOutcome, ...], working: Path) -> None:
        super().__init__(message)
        self.checks = checks
        self.working = working


def run_pipeline(
    settings: Settings,
    *,
    as_of: date | None = None,
    progress: Callable[[str], None] | None = None,
    build: Callable[[Site], dg.Definitions] = build_definitions,
    validate: Callable[..., list[RuleResult]] | None = None,
) -> RunOutcome:
    """Make every table in OUT/working.duckdb, check them, and put the published files in place.

    `progress` receives one line for each asset. The tables of the last good run stay unless all went well. Raises the typed
    error that an asset raised (InputContractError, RulesMissingError, ConvergenceError, ...), RunStoppedError (a QualityError)
    where a blocking check failed, UsageError where another run is writing in OUT. `build` makes the definitions (tests pass
    smaller ones); `validate` evaluates suites (default: `hrrp.quality.evaluator`).
    """
    started = time.monotonic()
    site = Site(settings, as_of=as_of, progress=progress)
    evaluating = evaluator() if validate is None else nullcontext(validate)
    with site.locked(), evaluating as site.validate, _garbage_left(), _files_kept_open(), instance(settings) as history:
        definitions = build(site)
        _close_abandoned(history)
        result = definitions.resolve_job_def("pipeline").execute_in_process(
            instance=history,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            tags={IN_PROCESS_TAG: "true"},
        )
        checks = _check_outcomes(result, definitions)
        if not result.success:
            _raise(site, checks)
        with open_warehouse(site.published, settings, read_only=True) as warehouse:
            ((read, kept, rejected),) = warehouse.rows(
                "select coalesce(sum(rows_read), 0)::bigint, coalesce(sum(rows_kept), 0)::bigint, "
                "coalesce(sum(rows_rejected), 0)::bigint from staging.row_accounting"
            )
            tables = warehouse.tables()
    return RunOutcome(
        run_id=result.run_id,
        review=site.review,
        rows={"read": read, "kept": kept, "rejected": rejected},
        tables=tables,
        checks=checks,
        seconds=time.monotonic() - started,
    )


def _raise(site: Site, checks: tuple[CheckOutcome, ...]) -> None:
    if site.fault is not None:
        raise site.fault
    failed = [check for check in checks if check.critical and not check.passed]
    if failed:
        sentences = "; ".join(f"{check.table}: {check.check} ({check.description})" for check in failed)
        more = "check" if len(failed) == 1 else "checks"
        raise RunStoppedError(
            f"{len(failed)} blocking quality {more} failed: {sentences} Nothing was published, the last good run's tables stay; "
            f"the tables of this run are in {site.working}. hrrp ui shows the counts.",
            checks,
            site.working,
        )
    raise RuntimeError("the run failed without leaving an error")


def _check_outcomes(result: dg.ExecuteInProcessResult, definitions: dg.Definitions) -> tuple[CheckOutcome, ...]:
    specs = {spec.key: spec for check in definitions.asset_checks or () for spec in check.check_specs}
    outcomes = []
    for evaluation in result.get_asset_check_evaluations():
        spec = specs[dg.AssetCheckKey(evaluation.asset_key, evaluation.check_name)]
        outcomes.append(
            CheckOutcome(
                table=".".join(evaluation.asset_key.path),
                check=evaluation.check_name,
                description=evaluation.description or spec.description or "",
                passed=evaluation.passed,
                critical=spec.blocking,
            )
        )
    return tuple(outcomes)


# One process that holds the folder's lock has no one to wait for: with the pool, each of its hundred steps waits a second.
WITHOUT_POOL = {"concurrency": {"pools": {"granularity": "op"}}}


@contextmanager
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance of the output folder: history in OUT/state, no telemetry."""
    home = prepare_state(settings)
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides=WITHOUT_POOL)) as history:
        yield history


@contextmanager
def _garbage_left() -> Iterator[None]:
    """Look for circular garbage seldom: Dagster's definitions are a million objects that live as long as the run."""
    thresholds = gc.get_threshold()
    gc.set_threshold(200_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


class _HistoryConnection(sqlite3.Connection):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.execute("pragma synchronous = normal")


@contextmanager
def _files_kept_open() -> Iterator[None]:
    """Let Dagster's SQLite storage keep one engine a file for the length of a run.

    By itself it makes a new one for every event that it stores, ten milliseconds of the processor each, and waits for the disk
    each time; a run has hundreds. Its files are in WAL mode, which survives a crash without that wait.
    """
    make = sqlite_event_log.create_engine
    kept: dict[str, tuple[Any, Callable[[], None]]] = {}

    def engine_of(url: str, poolclass: Any = None, **options: Any) -> Any:
        if url not in kept:
            options["connect_args"] = {**options.get("connect_args", {}), "factory": _HistoryConnection}
            engine = make(url, **options)
            kept[url] = (engine, engine.dispose)
            engine.dispose = lambda *_, **__: None  # type: ignore[method-assign]
        return kept[url][0]

    sqlite_event_log.create_engine = engine_of  # type: ignore[assignment]
    try:
        yield
    finally:
        sqlite_event_log.create_engine = make
        for _, dispose in kept.values():
            dispose()


def _close_abandoned(history: dg.DagsterInstance) -> None:
    """Mark runs of killed `hrrp run` processes as failed and give their place in the pool back; we hold the folder's lock."""
    unfinished = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING], tags={IN_PROCESS_TAG: "true"}
    )
    for run in history.get_runs(unfinished):
        history.report_run_failed(run, "The process of this run was killed before it ended.")
        history.event_log_storage.free_concurrency_slots_for_run(run.run_id)
