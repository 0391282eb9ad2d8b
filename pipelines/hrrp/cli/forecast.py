"""`hrrp forecast`: the penalty of the years being earned, as a distribution, hospital by hospital."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import typer

from hrrp.cli._figures import chance, dollars, percent, points
from hrrp.cli._output import people_console, plain, print_json, progress
from hrrp.cli.run import parse_share
from hrrp.program import MEASURES
from hrrp.settings import load_settings

EXAMPLE = """Examples:

  hrrp forecast                                   the results of the last run

  hrrp forecast --data extract --ccn 980001       run the pipeline first, then show one hospital

  hrrp forecast --ccn 980001 --why --value        what moves it, and what one avoided readmission is worth

  hrrp forecast --program-year 2029 --history     how the forecasts of a year moved, and how good they were

  hrrp forecast --program-year 2029 --json > forecast.json"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("forecast", epilog=EXAMPLE)(forecast)


def forecast(
    data: Path | None = typer.Option(None, help="Folder of an extract: the pipeline runs on it first."),
    out: Path | None = typer.Option(None, help="Folder of the run; default data/out."),
    ccn: list[str] = typer.Option([], help="Hospital, repeatable; default: all."),
    program_year: list[int] = typer.Option([], help="Program year, repeatable; default: those of the run."),
    as_of: datetime | None = typer.Option(None, formats=["%Y-%m-%d"], help="As-of date of the run (with --data)."),
    allow_rejects: str | None = typer.Option(None, help="Share of a file's rows that may be rejected (with --data)."),
    why: bool = typer.Option(False, "--why", help="Also what moves it: causes, risk factors, gaps in coding."),
    value: bool = typer.Option(False, "--value", help="Also what one avoided readmission is worth, by measure."),
    history: bool = typer.Option(False, "--history", help="Also the earlier forecasts, and how good they were."),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout, nothing else there."),
) -> None:
    """How likely a penalty is in each program year being earned now, how large, and what that rests on."""
    settings = load_settings(
        data=data,
        out=out,
        program_years=tuple(dict.fromkeys(program_year)) or None,
        allow_rejects=None if allow_rejects is None else parse_share(allow_rejects),
    )
    if data is not None:
        from hrrp.orchestration.runner import run_pipeline

        run_pipeline(settings, as_of=as_of.date() if as_of else None, progress=progress.print)
    from hrrp.program import Reference
    from hrrp.review.drivers import drivers_document
    from hrrp.review.forecasts import forecast_document, history_document
    from hrrp.review.scenarios import hospitals_and_years, open_review, starting
    from hrrp.review.value import value_document

    reference = Reference(settings.site_reference)
    values: list[dict[str, Any]] = []
    with open_review(settings) as warehouse:
        places = hospitals_and_years(warehouse)
        years = list(dict.fromkeys(program_year)) or sorted({year for _, year in places})
        asked = ccn or sorted({hospital for hospital, _ in places})
        missing = [(year, hospital) for year in years for hospital in asked if (hospital, year) not in places]
        if missing:
            starting(warehouse, reference, missing[0][1], missing[0][0])
        documents = []
        for year in years:
            for hospital in asked:
                document = forecast_document(warehouse, year, hospital)
                if why:
                    start = starting(warehouse, reference, hospital, year)
                    document["drivers"] = drivers_document(warehouse, start, reference)
                if history:
                    document["history"] = history_document(warehouse, year, hospital)
                documents.append(document)
        if value:
            values = [value_document(warehouse, reference, settings, hospital) for hospital in asked]
    if as_json:
        print_json({"forecasts": documents} | ({"values": values} if value else {}))
        return
    for document in documents:
        _print(plain(document))
    if values:
        from hrrp.cli._forecast_sections import print_value

        console = people_console()
        for each in values:
            console.print(f"[bold]{each['ccn']} {each['name'] or ''}[/bold]")
            print_value(console, plain(each))


def headline(document: dict[str, Any]) -> str:
    """The forecast in one sentence."""
    year, passed = document["program_year"], percent(document["share_of_period"], 0)
    if document["exempt"]:
        return f"FY{year}: exempt from the program, no penalty."
    low, high = document["payment_reduction_interval"]
    if low is None:
        money = "the reduction is unknown (no payments in the extract)"
    else:
        money = f"likely {percent(document['payment_reduction_median'])} ({percent(low)} to {percent(high)})"
        if document["penalty_usd_median"] is not None:
            money += f", about {dollars(document['penalty_usd_median'])}"
    likely = f"{chance(document['chance_of_penalty'])} chance of a penalty"
    if (document["chance_of_cap"] or 0.0) >= 0.005:
        likely += f", {chance(document['chance_of_cap'])} of the cap"
    return f"FY{year}: {money}; {likely}; {passed} of the period is over"


def _print(document: dict[str, Any]) -> None:
    from rich.table import Table

    from hrrp.cli._forecast_sections import print_drivers, print_history

    console = people_console()
    console.print(f"[bold]{document['ccn']} {document['name'] or ''}[/bold]")
    console.print(headline(document))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in (
        "\nmeasure",
        "\ncases",
        "\nreadm.",
        "ERR\nto date",
        "cases at\nthe end",
        "ERR at the end\n(90 % range)",
        "peer\nmedian",
        "chance of\n25 cases",
        "likely\ncontribution",
    ):
        table.add_column(heading, justify="left" if "measure" in heading else "right", no_wrap=True)
    for measure in MEASURES:
        row = document["measures"][measure]
        low, high = row["err_interval"]
        table.add_row(
            measure,
            points(row["eligible_discharges"], 0),
            points(row["readmissions"], 0),
            points(row["err"], 4),
            points(row["cases_median"], 0),
            f"{points(row['err_median'], 3)} ({points(low, 3)} to {points(high, 3)})" if low is not None else "–",
            points(row["peer_group_median"], 4),
            chance(row["chance_of_25_cases"]),
            percent(row["contribution_median"], 3),
        )
    console.print(table)
    carried = sorted(document["spread"].items(), key=lambda item: -(item[1] or 0))
    parts = [f"{source} {percent(share, 0)}" for source, share in carried if share and share >= 0.01]
    if parts:
        console.print("What makes the range wide: " + ", ".join(parts) + ".")
    stand_ins = [note for note in document["notes"] if "last published" in note]
    if stand_ins:
        console.print(
            f"Stand-ins ({len(stand_ins)}): {stand_ins[0]}" + (" … (--json lists all)" if len(stand_ins) > 1 else "")
        )
    console.print()
    if "drivers" in document:
        print_drivers(console, document["drivers"])
    if "history" in document:
        print_history(console, document["history"])
