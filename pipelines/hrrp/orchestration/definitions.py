"""The one Dagster `Definitions` object, put together from assets, checks, job, schedule and sensors; nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from hrrp.orchestration.assets import EXTRACT, Extract, build_assets
from hrrp.orchestration.checks import build_checks
from hrrp.orchestration.python_tables import PYTHON_TABLES, PythonTable
from hrrp.orchestration.reports import reports, reports_after_a_run, reports_job
from hrrp.orchestration.resources import Site, site_resource
from hrrp.orchestration.schedules import new_extract, nightly, pipeline, run_failed
from hrrp.settings import load_settings
from hrrp.warehouse import SqlStep, load_steps


def build_definitions(
    site: Site,
    extract: Extract = EXTRACT,
    steps: Sequence[SqlStep] | None = None,
    python_tables: Sequence[PythonTable] = PYTHON_TABLES,
) -> dg.Definitions:
    """All definitions for a site; what else is given stands in for the shipped parts in tests."""
    if steps is None:
        steps = load_steps(parsed_before=site.settings.out / "state" / "sql_steps.json")
    assets = build_assets(site.reference, extract, steps, python_tables)
    return dg.Definitions(
        assets=[*assets, reports],
        asset_checks=build_checks(
            (key for definition in assets for key in definition.keys), extract, site.settings.hsr
        ),
        jobs=[pipeline, reports_job],
        schedules=[nightly(site.settings)],
        sensors=[new_extract, reports_after_a_run, run_failed],
        resources={"site": site_resource(site)},
        # One process a run: a process for each of a hundred small steps would take longer to start than to work.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What `dagster dev` and `hrrp ui` load."""
    return build_definitions(Site(load_settings()))
