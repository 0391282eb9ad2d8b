"""`hrrp report`: the workbook and the one-page brief of a hospital and program year."""

from __future__ import annotations

from pathlib import Path

import typer

from hrrp.cli._output import print_json, progress
from hrrp.settings import load_settings

EXAMPLE = """Examples:

  hrrp report --ccn 980001 --program-year 2029

  hrrp report                                           every hospital and program year of the last run

  hrrp report --ccn 980001 --program-year 2029 --to committee --json

  hrrp report --ccn 980001 --program-year 2029 --patients      also the list of stays: keep that file to yourself"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("report", epilog=EXAMPLE)(report)


def report(
    ccn: list[str] = typer.Option([], help="Hospital, repeatable; default: all."),
    program_year: list[int] = typer.Option([], help="Program year, repeatable; default: those of the run."),
    out: Path | None = typer.Option(None, help="Folder of the run; default data/out."),
    to: Path | None = typer.Option(None, help="Folder for the documents; default: reports in the folder of the run."),
    patients: bool = typer.Option(False, "--patients", help="Workbook with single stays, for its owner's eyes only."),
    pdf: bool = typer.Option(True, help="Also print the brief to PDF, where there is a Chromium."),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout, nothing else there."),
) -> None:
    """Write an Excel workbook in CMS's table order, with live what-if formulas, and a brief of one printed page.

    Both are at aggregate level (small counts withheld) unless --patients asks for a workbook of single stays.
    """
    settings = load_settings(out=out)
    from hrrp.program import Reference
    from hrrp.review.report import PATIENT_WARNING
    from hrrp.review.reports import write_reports
    from hrrp.review.scenarios import hospitals_and_years, open_review, starting

    with open_review(settings) as warehouse:
        places = hospitals_and_years(warehouse)
        hospitals = list(dict.fromkeys(ccn)) or sorted({hospital for hospital, _ in places})
        years = list(dict.fromkeys(program_year)) or sorted({year for _, year in places})
        asked = [(hospital, year) for hospital in hospitals for year in years]
        missing = [place for place in asked if place not in places]
        if missing:
            # Says which hospitals and years there are.
            starting(warehouse, Reference(settings.site_reference), *missing[0])
    documents = []
    for hospital, year in asked:
        written = write_reports(settings, hospital, year, to, patients=patients, pdf=pdf)
        documents.append(written)
        if patients:
            progress.print(f"Warning: {written['workbook']} {PATIENT_WARNING}")
        if pdf and written["pdf_left_out"]:
            progress.print(f"No PDF: {written['pdf_left_out']}.")
    if as_json:
        print_json({"reports": documents})
        return
    for written in documents:
        typer.echo(f"FY{written['program_year']}, {written['ccn']} {written['name'] or ''}".rstrip())
        for kind in ("workbook", "brief", "pdf"):
            if written[kind]:
                typer.echo(f"  {kind:<9} {written[kind]}")
