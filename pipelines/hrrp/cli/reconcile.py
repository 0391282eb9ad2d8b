"""`hrrp reconcile`: own stays against a Hospital-Specific Report, in both directions."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from hrrp.cli._figures import percent, points
from hrrp.cli._output import people_console, plain, print_json
from hrrp.program import MEASURES, REPORT_NAMES, Reference
from hrrp.settings import load_settings

EXAMPLE = """Examples:

  hrrp run --data extract --program-year 2025 --out fy2025      judge your stays by the report's year

  hrrp reconcile --hsr FY2025_HSR.xlsx --out fy2025

  hrrp reconcile --hsr FY2025_HSR.xlsx --out fy2025 --apply     let scoring make up for missing history"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("reconcile", epilog=EXAMPLE)(reconcile)


def reconcile(
    hsr: Path = typer.Option(..., help="The Hospital-Specific Report."),
    out: Path | None = typer.Option(None, help="Folder of a run for the report's program year; default data/out."),
    ccn: str | None = typer.Option(None, help="The hospital, where the report does not tell."),
    rows: Path | None = typer.Option(None, help="Write every disagreement to this CSV file (patient data)."),
    apply: bool = typer.Option(False, "--apply", help="Keep the calibration of expected for the next runs."),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout, nothing else there."),
) -> None:
    """Compare your stays with a report's rows: who counts a stay, who saw the readmission, which risk factors are missing."""
    settings = load_settings(out=out)
    from hrrp.orchestration.reconciliation import apply_calibration, reconcile_report, write_disagreements
    from hrrp.warehouse.proofs import keep_proof

    found, name, chosen = reconcile_report(settings, Reference(settings.site_reference), hsr, ccn)
    keep_proof(
        settings,
        "reconcile",
        found.program_year,
        chosen,
        hsr.name,
        plain({"hospital": name, "measures": {measure: asdict(result) for measure, result in found.measures.items()}}),
    )
    written = write_disagreements(rows, found) if rows is not None else None
    applied = apply_calibration(settings, found, chosen, f"{hsr.name}, FY{found.program_year}") if apply else None
    document: dict[str, Any] = {
        "program_year": found.program_year,
        "ccn": chosen,
        "measures": {measure: asdict(result) for measure, result in found.measures.items()},
        "disagreements": len(found.disagreements),
        "rows_written": written,
        "calibrations_applied": applied,
    }
    if as_json:
        print_json(document)
    else:
        _print(plain(document), name, rows, settings.site_reference)


def _print(document: dict[str, Any], name: str, rows: Path | None, site: Path) -> None:
    from rich.table import Table

    console = people_console()
    console.print(
        f"[bold]FY{document['program_year']} report of {name} against the stays of {document['ccn']}[/bold]\n"
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in (
        "measure",
        "index: both",
        "report only",
        "own only",
        "readm.: both",
        "only CMS",
        "elsewhere",
        "only own",
    ):
        table.add_column(heading, justify="left" if heading == "measure" else "right", no_wrap=True)
    for measure in MEASURES:
        row = document["measures"][measure]
        table.add_row(
            REPORT_NAMES[measure],
            *(
                points(row[key], 0)
                for key in (
                    "index_both",
                    "index_report_only",
                    "index_own_only",
                    "readmissions_both",
                    "only_cms_saw",
                    "only_cms_saw_elsewhere",
                    "only_own",
                )
            ),
        )
    console.print(table)
    console.print("\n[bold]What decided[/bold]")
    for measure in MEASURES:
        for what, count in list(document["measures"][measure]["decided_by"].items())[:6]:
            console.print(f"  {REPORT_NAMES[measure]:<10} {count:>6,}  {what}")
    console.print("\n[bold]Expected: own history against CMS's[/bold]")
    for measure in MEASURES:
        found = document["measures"][measure]["calibration"]
        if found is None:
            console.print(f"  {REPORT_NAMES[measure]:<10} under 25 stays in common: no calibration")
            continue
        gaps = list(document["measures"][measure]["documentation_gaps"].items())[:3]
        lacking = ", ".join(
            f"{variable} {added * 100:+.2f} ({document['measures'][measure]['risk_factors'][variable]['only_cms']} stays)"
            for variable, added in gaps
        )
        console.print(
            f"  {REPORT_NAMES[measure]:<10} own {percent(found['own_expected'])}, CMS {percent(found['cms_expected'])}: "
            f"offset {found['offset']:+.4f} ± {found['standard_error']:.4f}"
            + (f"; only CMS had, in percentage points of expected: {lacking}" if lacking else "")
        )
    console.print()
    if document["calibrations_applied"]:
        console.print(
            f"{document['calibrations_applied']} calibrations kept in {site}; the next run applies and names them."
        )
    elif any(row["calibration"] is not None for row in document["measures"].values()):
        console.print("--apply keeps these calibrations; the next run applies and names them.")
    elif not any(row["index_both"] for row in document["measures"].values()):
        console.print(
            "No stay of the report is among the run's stays: is it a report of this hospital, and does the extract reach back over "
            "the report's period? Stays are matched by person and dates."
        )
    if rows is not None:
        console.print(
            f"{document['rows_written']:,} disagreements written to {rows}: patient data, keep it where such data may lie."
        )
