"""`hrrp what-if`: what the penalty becomes when readmissions, volume, peer medians or the dual proportion change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from hrrp.cli._figures import dollars, percent, points
from hrrp.cli._output import people_console, plain, print_json
from hrrp.errors import UsageError
from hrrp.program import MEASURES, Reference
from hrrp.settings import load_settings

EXAMPLE = """Examples:

  hrrp what-if --ccn 980001 --program-year 2029 --avoid HF=6 --avoid PN=3

  hrrp what-if --ccn 980001 --program-year 2029 --scenario plan.json --json

A scenario file is the "scenario" part of the JSON answer; --save writes it."""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("what-if", epilog=EXAMPLE)(what_if)


def what_if(
    ccn: str = typer.Option(..., help="The hospital's CCN."),
    program_year: int = typer.Option(..., help="Program year."),
    avoid: list[str] = typer.Option(
        [], help="MEASURE=K readmissions avoided by the end of the period (negative: added)."
    ),
    volume: list[str] = typer.Option([], help="MEASURE=FACTOR on the index admissions still to come."),
    median: list[str] = typer.Option([], help="MEASURE=ERR as the peer group's median."),
    dual_proportion: float | None = typer.Option(None, help="Dual proportion at the end of the period."),
    scenario: Path | None = typer.Option(None, help="A saved scenario (JSON); options given here are laid over it."),
    save: Path | None = typer.Option(None, help="Write the scenario to this file."),
    out: Path | None = typer.Option(None, help="Folder of the run; default data/out."),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout, nothing else there."),
) -> None:
    """What a change would do to the penalty, solved exactly by solving the hospital effect again."""
    from hrrp.outlook.what_if import Scenario
    from hrrp.review.scenarios import open_review, scenario_document, starting

    settings = load_settings(out=out)
    given = _read(scenario)
    for name, pairs in (("avoid", avoid), ("volume", volume), ("medians", median)):
        given[name] = {**given.get(name, {}), **_pairs(pairs, name)}
    if dual_proportion is not None:
        given["dual_proportion"] = dual_proportion
    asked = Scenario.from_document(given)
    with open_review(settings) as warehouse:
        start = starting(warehouse, Reference(settings.site_reference), ccn, program_year)
        document = scenario_document(start, asked, settings)
    if save is not None:
        save.write_text(json.dumps(asked.to_document(), indent=2) + "\n", encoding="utf-8")
    if as_json:
        print_json(document)
    else:
        _print(plain(document))


def _read(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--scenario {path}: not readable as JSON ({type(error).__name__}).") from None
    if not isinstance(document, dict):
        raise UsageError(f"--scenario {path}: expected one JSON object, as --save writes it.")
    return dict(document.get("scenario", document))


def _pairs(pairs: list[str], option: str) -> dict[str, float]:
    found = {}
    for pair in pairs:
        measure, _, text = pair.partition("=")
        name = measure.strip().upper().replace("/", "_").replace("-", "_")
        try:
            found[name] = float(text)
        except ValueError:
            raise UsageError(f"--{option} '{pair}': expected MEASURE=NUMBER, for example HF=6.") from None
        if name not in MEASURES:
            raise UsageError(f"--{option} '{pair}': the measure is one of {', '.join(MEASURES)}.")
    return found


def _print(document: dict[str, Any]) -> None:
    from rich.table import Table

    console = people_console()
    base, changed = document["forecast"], document["what_if"]
    console.print(f"[bold]FY{document['program_year']}, {document['ccn']} {document['name'] or ''}[/bold]")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("measure", "readmissions", "", "ERR", "", "peer median", "contribution", ""):
        table.add_column(heading, justify="left" if heading == "measure" else "right")
    table.add_row("", "forecast", "what-if", "forecast", "what-if", "", "forecast", "what-if", style="dim")
    for measure in MEASURES:
        old, new = base["measures"][measure], changed["measures"][measure]
        table.add_row(
            measure,
            points(old["readmissions"], 1),
            points(new["readmissions"], 1),
            points(old["err"], 4),
            points(new["err"], 4),
            points(new["peer_group_median"], 4),
            percent(old["contribution"], 3),
            percent(new["contribution"], 3),
        )
    console.print(table)
    console.print()
    for label, side in (("forecast", base), ("what-if", changed)):
        low, high = side["payment_reduction_interval"]
        console.print(
            f"{label:<9} payment reduction {percent(side['payment_reduction'], 3)}  "
            f"(90 % range {percent(low)} to {percent(high)}), "
            f"{percent(side['chance_of_penalty'], 0)} chance of a penalty, {dollars(side['penalty_usd'])} a year"
        )
    gain = document["difference"]["penalty_usd"]
    if gain is not None:
        console.print(f"The change is worth {dollars(-gain)} in FY{document['program_year']}.")
