"""`hrrp break-even`: the fewest readmissions to avoid, per measure and together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from hrrp.cli._figures import percent, points
from hrrp.cli._output import people_console, plain, print_json
from hrrp.errors import UsageError
from hrrp.program import MEASURES, Reference
from hrrp.settings import load_settings

EXAMPLE = """Examples:

  hrrp break-even --ccn 980001 --program-year 2029

  hrrp break-even --ccn 980001 --program-year 2029 --target 0.25% --json"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("break-even", epilog=EXAMPLE)(break_even)


def break_even(
    ccn: str = typer.Option(..., help="The hospital's CCN."),
    program_year: int = typer.Option(..., help="Program year."),
    target: str | None = typer.Option(None, help="A payment reduction to reach: 0.25% or 0.0025."),
    out: Path | None = typer.Option(None, help="Folder of the run; default data/out."),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout, nothing else there."),
) -> None:
    """How many readmissions fewer, by the end of the period, for no penalty and for the next tenth of a per cent."""
    from hrrp.cli.run import parse_share
    from hrrp.review.drivers import dual_by_month
    from hrrp.review.scenarios import break_even_document, open_review, starting

    try:
        wanted = None if target is None else parse_share(target)
    except UsageError:
        raise UsageError(f"--target '{target}' is not a share: give 0.25% or 0.0025.") from None
    settings = load_settings(out=out)
    with open_review(settings) as warehouse:
        start = starting(warehouse, Reference(settings.site_reference), ccn, program_year)
        document = break_even_document(start, wanted) | {"dual_by_month": dual_by_month(warehouse, ccn)}
    if as_json:
        print_json(document)
    else:
        _print(plain(document))


def _print(document: dict[str, Any]) -> None:
    from rich.table import Table

    console = people_console()
    console.print(
        f"[bold]FY{document['program_year']}, {document['ccn']} {document['name'] or ''}[/bold]: "
        f"{percent(document['share_of_period'], 0)} of the discharge period is over; "
        f"middle of the forecast {percent(document['payment_reduction'], 3)}"
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading, justify in (
        ("measure", "left"),
        ("contribution", "right"),
        ("still to come", "right"),
        ("fewest to avoid", "right"),
        ("", "left"),
    ):
        table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for measure in MEASURES:
        row = document["measures"][measure]
        table.add_row(
            measure,
            percent(row["contribution"], 3),
            points(row["avoidable"], 1),
            "–" if row["total"] is None else str(row["total"]),
            _remark(row),
        )
    console.print(table)
    console.print(
        "Still to come: readmissions expected until the period ends. Fewest to avoid: of these, so that the measure adds nothing.\n"
    )
    aims = [("no_penalty", "no penalty at all"), ("target", "the target")]
    if document["next_tenth_of_a_percent"]["target"] > 0.0:
        aims.insert(1, ("next_tenth_of_a_percent", "the next tenth of a per cent"))
    for key, label in aims:
        found = document.get(key)
        if not found:
            continue
        aim = label if found["target"] == 0.0 else f"{label} (at most {percent(found['target'])})"
        if found["avoid"] is None:
            console.print(f"For {aim}: {found['reason']}.")
        elif not found["total"]:
            console.print(f"For {aim}: nothing to avoid, the middle of the forecast is there.")
        else:
            plan = ", ".join(f"{measure} {k}" for measure, k in found["avoid"].items() if k)
            console.print(
                f"For {aim}: avoid {found['total']} ({plan}), which leaves {percent(found['payment_reduction'], 3)}."
            )
    for edge in document["peer_group_edges"]:
        away = edge["dual_stays_away"]
        further = f"{abs(away)} {'more' if away > 0 else 'fewer'} dual stays away"
        console.print(
            f"Peer group {edge['peer_group']} begins {further}, at a dual proportion of {percent(edge['dual_proportion_cut'])}; "
            f"the reduction there would be {percent(edge['payment_reduction_there'], 3)}."
        )
    months = document["dual_by_month"]
    if months:
        shown = [months[-1 - back] for back in (12, 6, 0) if back < len(months)]
        console.print(
            "Dual proportion over twelve months to "
            + ", ".join(f"{row['month']}: {percent(row['dual_proportion'], 1)}" for row in shown)
            + "."
        )


def _remark(row: dict[str, Any]) -> str:
    """Why a measure cannot be brought to nothing, or how near it is to the 25 cases that make it count."""
    edge = row["cases_above_25"]
    if edge < 0:
        would = row["contribution_at_25_cases"]
        added = "" if would is None else f"; at 25 it would add {percent(would, 3)}"
        return f"about {points(-edge, 0)} cases short of the 25 that make it count{added}"
    if edge < 10:
        return f"about {points(edge, 0)} cases above the 25 that make it count; below them it adds nothing"
    return row["reason"] if row["total"] is None else ""
