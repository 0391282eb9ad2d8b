"""When the pipeline runs by itself: every night at the site's hour, or when a new extract lies there; and what a failure says."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from hrrp.orchestration.assets import FRESH_TAG
from hrrp.orchestration.reports import REPORTS
from hrrp.settings import Settings

# Every table, afresh. Also what `hrrp run` executes, so both kinds of run stand in one history.
pipeline = dg.define_asset_job(
    "pipeline",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets(REPORTS),
    tags={FRESH_TAG: "true"},
    description="Every table from the extract to the published files, with all checks.",
)


def nightly(settings: Settings) -> dg.ScheduleDefinition:
    """The nightly run, at the site's hour and in its time zone."""
    return dg.ScheduleDefinition(
        name="nightly",
        job=pipeline,
        cron_schedule=settings.schedule,
        execution_timezone=settings.time_zone,
        description="Runs the pipeline every night. Switch it on here; hour and time zone are set in hrrp.toml.",
    )


@dg.sensor(
    job=pipeline,
    name="new_extract",
    minimum_interval_seconds=60,
    description="Runs the pipeline when a file of the extract's folder is new or changed. Off until switched on here.",
    required_resource_keys={"site"},
)
def new_extract(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    folder = context.resources.site.settings.data
    if folder is None or not Path(folder).exists():
        return dg.SkipReason("No folder of an extract is set (data in hrrp.toml, or HRRP_DATA).")
    state = _state_of(Path(folder))
    if context.cursor is None or context.cursor == state:
        return dg.SensorResult(skip_reason="The extract is as it was.", cursor=state)
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=state)], cursor=state)


def _state_of(folder: Path) -> str:
    """Names, sizes and times of the files, in short."""
    import hashlib

    paths = sorted(path for path in ([folder] if folder.is_file() else folder.rglob("*")) if path.is_file())
    lines = [f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in paths]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@dg.run_failure_sensor(
    name="run_failed",
    description="Writes one line to the log for every run that failed: which step, and the sentence that it left.",
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def run_failed(context: dg.RunFailureSensorContext) -> None:
    steps = ", ".join(event.step_key or "the run" for event in context.get_step_failure_events()) or "the run"
    context.log.error(f"Run {context.dagster_run.run_id[:8]} failed in {steps}: {context.failure_event.message}")
