"""`hrrp what-if`: what the penalty becomes when readmissions, volume, peer medians or the dual proportion change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape

from hrrp.cli._figures import chance, dollars, percent, points
from hrrp.cli._output import people_console, plain, print_json
from hrrp.errors import UsageError
from hrrp.program import MEASURES, Reference
from hrrp.settings import load_settings

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from hrrp.outlook.what_if import Scenario

EXAMPLE = """Examples:

  hrrp what-if --ccn 980001 --program-year 2029 --avoid HF=6 --avoid PN=3

  hrrp what-if --ccn 980001 --program-year 2029 --avoid HF=6 --name "HF clinic" --save clinic.json

  hrrp what-if --ccn 980001 --program-year 2029 --scenario clinic.json --scenario calls.json

Measures are AMI, COPD, HF, PN, CABG and THA_TKA. Hospitals and program years are those of the last run
(`hrrp forecast` lists them). Readmissions are avoided among those still to come in the discharge period; to see
how many it takes for no penalty, ask `hrrp break-even`. A scenario is a small JSON document: --save writes it,
--scenario reads it, several of them are compared, and the page takes the same as its address."""


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
    scenario: list[Path] = typer.Option(
        [], help="A saved scenario (JSON), repeatable to compare; options given here are laid over each."
    ),
    name: str | None = typer.Option(None, help="A name for the scenario."),
    save: Path | None = typer.Option(None, help="Write the scenario to this file."),
    out: Path | None = typer.Option(None, help="Folder of the run; default data/out."),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout, nothing else there."),
) -> None:
    """What a change would do to the penalty, solved exactly by solving the hospital effect again."""
    from hrrp.review.scenarios import open_review, scenario_document, starting

    if save is not None and len(scenario) > 1:
        raise UsageError("--save writes one scenario: give at most one --scenario with it.")
    settings = load_settings(out=out)
    laid_over = {
        kind: _pairs(pairs, kind) for kind, pairs in (("avoid", avoid), ("volume", volume), ("medians", median))
    }
    paths: list[Path | None] = [*scenario] or [None]
    asked = [_scenario(path, laid_over, dual_proportion, name) for path in paths]
    with open_review(settings) as warehouse:
        start = starting(warehouse, Reference(settings.site_reference), ccn, program_year)
        documents = [scenario_document(start, each, settings) for each in asked]
    if save is not None:
        save.write_text(json.dumps(asked[0].to_document(), indent=2) + "\n", encoding="utf-8")
    if as_json:
        print_json(documents[0] if len(documents) == 1 else {"scenarios": documents})
    elif len(documents) == 1:
        _print(plain(documents[0]))
    else:
        _compare([plain(document) for document in documents])


def _scenario(
    path: Path | None, laid_over: dict[str, dict[str, float]], dual_proportion: float | None, name: str | None
) -> Scenario:
    """The scenario of a file (or of none), with the command line's options laid over it."""
    from hrrp.outlook.what_if import Scenario

    given = _read(path)
    for kind, pairs in laid_over.items():
        given[kind] = {**given.get(kind, {}), **pairs}
    if dual_proportion is not None:
        given["dual_proportion"] = dual_proportion
    given["name"] = name or given.get("name") or ("" if path is None else path.stem)
    return Scenario.from_document(given)


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
    console.print(
        "\nReadmissions, ERR and contribution: the middle of the forecast at the end of the period, solved exactly.\n"
    )
    console.print(_outcomes([("forecast", base), (document["scenario"]["name"] or "what-if", changed)]))
    _gains(console, [document])


def _compare(documents: list[dict[str, Any]]) -> None:
    """Several scenarios beside the forecast."""
    console = people_console()
    first = documents[0]
    console.print(f"[bold]FY{first['program_year']}, {first['ccn']} {first['name'] or ''}[/bold]")
    named = [(document["scenario"]["name"], document["what_if"]) for document in documents]
    console.print(_outcomes([("forecast", first["forecast"]), *named]))
    _gains(console, documents)


def _outcomes(sides: list[tuple[str, dict[str, Any]]]) -> Table:
    """The distribution of the penalty, one line a scenario."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("", "likely reduction", "90 % range", "chance of a penalty", "dollars a year"):
        table.add_column(heading, justify="right" if heading else "left")
    for label, side in sides:
        low, high = side["payment_reduction_interval"]
        table.add_row(
            escape(label),
            percent(side["payment_reduction_median"]),
            "–" if low is None else f"{percent(low)} to {percent(high)}",
            chance(side["chance_of_penalty"]),
            dollars(side["penalty_usd_median"]),
        )
    return table


def _gains(console: Console, documents: list[dict[str, Any]]) -> None:
    """What each change is worth in the middle of the forecast, and what of it cannot be."""
    for document in documents:
        label = f"{escape(document['scenario']['name'])}: " if len(documents) > 1 else ""
        said = f"{label}{_gain(document)}"
        console.print(said if label else f"{said[0].upper()}{said[1:]}")
        for note in document["notes"]:
            if "cannot be avoided any more" in note:
                console.print(f"{note}.", markup=False)


def _gain(document: dict[str, Any]) -> str:
    base, changed = (document[side]["payment_reduction"] for side in ("forecast", "what_if"))
    if base is None or changed is None:
        return "how large the reduction is remains unknown, as payments of a measure above its median are not in the extract."
    gain = document["difference"]["penalty_usd"]
    worth = "" if gain is None else f", worth {dollars(-gain)} in FY{document['program_year']}"
    return f"in the middle of the forecast the reduction goes from {percent(base, 3)} to {percent(changed, 3)}{worth}."
