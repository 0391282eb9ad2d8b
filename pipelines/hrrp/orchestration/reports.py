"""Workbook and brief of each hospital and program year as an asset of its own, beside the pipeline.

Not part of a run: a system of three thousand hospitals would wait for nine thousand files that few will open. The job `reports` makes
them for the hospitals it is asked for; the sensor `reports_after_a_run`, off until switched on, asks for all after each publication.
"""

# No postponed annotations here: Dagster reads the type of `config` from the function itself.
import dagster as dg
from pydantic import Field

from hrrp.orchestration.assets import WRITER_POOL
from hrrp.orchestration.resources import Site
from hrrp.review.brief import browser
from hrrp.review.reports import write_reports
from hrrp.review.scenarios import hospitals_and_years, open_review

REPORTS, REVIEW = dg.AssetKey(["published", "reports"]), dg.AssetKey(["published", "review"])


class ReportsConfig(dg.Config):
    """Which documents to write."""

    ccns: list[str] = Field(default=[], description="Hospitals by CCN; none named: all of the run")
    program_years: list[int] = Field(default=[], description="Program years; none named: all of the run")
    pdf: bool = Field(default=True, description="Also print each brief to PDF, where there is a Chromium")


@dg.asset(
    key=REPORTS,
    deps=[REVIEW],
    group_name="published",
    kinds={"excel"},
    # Between two runs, so that all documents are of one.
    pool=WRITER_POOL,
    required_resource_keys={"site"},
    description=(
        "Workbook (CMS's table order, live what-if formulas) and one-page brief of each hospital and program year, at aggregate level: "
        "OUT/reports. Made on request, or after each run by the sensor reports_after_a_run."
    ),
)
def reports(context: dg.AssetExecutionContext, config: ReportsConfig) -> dg.MaterializeResult:
    """Write the documents of the hospitals and years asked for."""
    site: Site = context.resources.site
    with open_review(site.settings) as warehouse:
        places = hospitals_and_years(warehouse)
    asked = [
        (ccn, year)
        for ccn, year in places
        if (not config.ccns or ccn in config.ccns) and (not config.program_years or year in config.program_years)
    ]
    if not asked:
        raise dg.Failure(
            f"No hospital and program year of the run is among those asked for ({len(places)} are there). Leave ccns and "
            "program_years empty for all.",
            allow_retries=False,
        )
    printed = 0
    for ccn, year in asked:
        printed += write_reports(site.settings, ccn, year, pdf=config.pdf)["pdf"] is not None
    return dg.MaterializeResult(
        metadata={
            "folder": dg.MetadataValue.path(str(site.settings.out / "reports")),
            "workbooks": len(asked),
            "briefs": len(asked),
            "printed": printed,
            "printer": "a Chromium of this machine"
            if browser()
            else "none found: print the HTML briefs from a browser",
        }
    )


reports_job = dg.define_asset_job(
    "reports",
    selection=dg.AssetSelection.assets(REPORTS),
    description="Workbook and brief of each hospital and program year from the published results.",
)


@dg.asset_sensor(
    asset_key=REVIEW,
    job=reports_job,
    name="reports_after_a_run",
    description="Writes all workbooks and briefs after each publication. Off until switched on here.",
)
def reports_after_a_run(context: dg.SensorEvaluationContext, event: dg.EventLogEntry) -> dg.RunRequest:
    return dg.RunRequest(run_key=event.run_id)
