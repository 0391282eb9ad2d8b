"""`hrrp run`: the whole pipeline on an extract, and the penalty table."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from hrrp.cli._figures import dollars, percent
from hrrp.cli._output import people_console, plain, print_json, progress
from hrrp.errors import UsageError
from hrrp.settings import Settings, load_settings

EXAMPLE = """Examples:

  hrrp run                                  the shipped synthetic system

  hrrp run --data extract --out results     your discharges: CSV or Parquet in one folder

  hrrp run --data extract --json > penalty.json"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("run", epilog=EXAMPLE)(run)


def run(
    data: Path | None = typer.Option(None, help="Folder of the extract; default: the shipped synthetic system."),
    out: Path | None = typer.Option(None, help="Folder for the warehouse and everything written; default data/out."),
    program_year: list[int] = typer.Option([], help="Program year, repeatable; default: those being earned."),
    as_of: datetime | None = typer.Option(
        None, formats=["%Y-%m-%d"], help="As-of date; default: the latest discharge date in the extract."
    ),
    allow_rejects: str | None = typer.Option(None, help="Share of a file's rows that may be rejected: 0.05 or 5%."),
    layout: str | None = typer.Option(None, help="Layout of the extract; default: recognised by its headings."),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout, nothing else there."),
) -> None:
    """Run the pipeline: discharges to penalties of the program years being earned now."""
    settings = load_settings(
        data=data,
        out=out,
        layout=layout,
        program_years=tuple(dict.fromkeys(program_year)) or None,
        allow_rejects=None if allow_rejects is None else parse_share(allow_rejects),
    )
    from hrrp.quality import evaluator

    # Started first: it imports Great Expectations while this process imports Dagster.
    with evaluator() as validate:
        from hrrp.orchestration.runner import run_pipeline

        outcome = run_pipeline(
            settings, as_of=as_of.date() if as_of else None, progress=progress.print, validate=validate
        )
    from hrrp.review.document import result_document

    document = result_document(outcome.review, settings)
    document["rows"] = outcome.rows
    document["tables"] = outcome.tables
    if as_json:
        print_json(document)
    else:
        print_result(plain(document), settings)


def parse_share(text: str) -> float:
    """'5%' or '0.05' as a fraction.

    Raises UsageError for anything else.
    """
    stripped = text.strip()
    try:
        share = float(stripped.removesuffix("%")) / (100 if stripped.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"--allow-rejects: '{text}' is not a share. Give a fraction (0.05) or per cent (5%).")
    return share


def print_result(document: dict[str, Any], settings: Settings, console: Console | None = None) -> None:
    """The penalty table for people, and where to look next."""
    from rich.table import Table

    console = console or people_console()
    for year, result in document["program_years"].items():
        hospitals = result["hospitals"]
        passed = hospitals[0]["share_of_period"] if hospitals else None
        payment = f"payments of October {int(year) - 1} to September {year}"
        table = Table(
            title=f"FY{year}: {payment}; {percent(passed, 0)} of the discharge period is over",
            title_justify="left",
            title_style="bold",
            box=None,
            pad_edge=False,
            padding=(0, 2, 0, 0),
        )
        for heading, justify in (
            ("hospital", "left"),
            ("", "left"),
            ("to date", "right"),
            ("likely", "right"),
            ("90 % range", "right"),
            ("penalty chance", "right"),
            ("dollars", "right"),
        ):
            table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
        for hospital in hospitals[:40]:
            low, high = hospital["paf_interval"]
            table.add_row(
                hospital["ccn"],
                hospital["name"] or "",
                percent(hospital["payment_reduction"]),
                percent(hospital["payment_reduction_median"]),
                "–" if low is None else f"{(1 - high) * 100:.2f} to {(1 - low) * 100:.2f} %",
                "exempt" if hospital["exempt"] else percent(hospital["chance_of_penalty"], 0),
                dollars(hospital["penalty_usd_median"]),
            )
        console.print(table)
        if len(hospitals) > 40:
            console.print(f"… and {len(hospitals) - 40:,} more hospitals: hrrp run --json has all of them.")
        console.print()
    rows = document["rows"]
    console.print(
        f"Rows: {rows['read']:,} read = {rows['kept']:,} kept + {rows['rejected']:,} rejected. "
        f"As of {document['as_of']}; last discharge {document['extract_end']}."
    )
    counts = {len(result["notes"]) for result in document["program_years"].values()}
    console.print(
        f"Stand-ins and rule choices that these figures rest on: {max(counts, default=0)} notes (--json lists them)."
    )
    console.print("\nWhere to look next")
    for what, why in (
        ("hrrp serve", "the page for quality teams, in your browser"),
        ("hrrp report", f"a workbook and a one-page brief of each hospital, into {settings.out / 'reports'}"),
        ("hrrp forecast", "each hospital measure by measure, and what carries the spread"),
        ("hrrp break-even", "the fewest readmissions to avoid, by the end of the period"),
        ("hrrp ui", "the assets, their lineage and checks, in your browser"),
        (str(settings.out / "hrrp.duckdb"), "every table of this run"),
        ("hrrp public FILE", "any hospital's published penalty, recomputed from CMS's file"),
        ("hrrp replicate HSR", "your Hospital-Specific Report, recomputed from its own rows"),
    ):
        console.print(f"  {what:<26} {why}")
