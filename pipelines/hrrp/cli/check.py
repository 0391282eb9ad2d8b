"""`hrrp check`: what is in an extract, what is missing and what that costs, before any run."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import typer

from hrrp.cli._figures import percent
from hrrp.cli._output import plain, print_json
from hrrp.cli.run import parse_share
from hrrp.settings import load_settings

EXAMPLE = """Examples:

  hrrp check extract                       is this folder fit to be run?

  hrrp check claims.csv --layout rif       one file of CMS's Research Identifiable Files

  hrrp check extract --json > check.json"""

MOST_FILES = 6  # of one table, listed one by one


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("check", epilog=EXAMPLE)(check)


def check(
    place: Path = typer.Argument(..., metavar="DIR", help="Folder of the extract, a zip of it, or one file."),
    layout: str | None = typer.Option(
        None,
        help="auto, canonical, rif, lds, desynpuf, medpar, cclf or tuva; default: recognised by names and headings.",
    ),
    allow_rejects: str | None = typer.Option(None, help="Share of a file's rows that may be rejected: 0.05 or 5%."),
    as_of: datetime | None = typer.Option(
        None, formats=["%Y-%m-%d"], help="As-of date; default: the latest discharge date in the extract."
    ),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout, nothing else there."),
) -> None:
    """Say what an extract holds, which rules it cannot serve, which rows are rejected and which program years it reaches.

    Nothing is written. Exit 0: fit to be run; 10: it is not, and why.
    """
    settings = load_settings(
        data=place, layout=layout, allow_rejects=None if allow_rejects is None else parse_share(allow_rejects)
    )
    from hrrp.intake.checkup import check_extract
    from hrrp.program import Reference

    document, error = check_extract(settings, Reference(settings.site_reference), as_of.date() if as_of else None)
    if as_json:
        print_json(document)
    else:
        print_check(plain(document))
    if error is not None:
        raise error


def print_check(document: dict[str, Any]) -> None:
    """The document for people."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    if document["layout"]:
        _print_contents(console, document)
        _print_qualification(console, document)
        _print_program_years(console, document)
    if document["mapping"]:
        _print_mapping(console, document["mapping"])
    if document["ok"]:
        console.print("Fit to be run: hrrp run --data", document["place"], style="bold", markup=False)


def _heading(console: Any, text: str) -> None:
    console.print()
    console.print(text, style="bold", markup=False)


def _table(console: Any, headings: tuple[str, ...], rows: list[tuple[str, ...]], right: set[int]) -> None:
    """Columns under each other, never wrapped; those in `right` are numbers."""
    lines = [headings, *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(headings))]
    for number, line in enumerate(lines):
        cells = (
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        console.print("  " + "  ".join(cells).rstrip(), markup=False, style="dim" if number == 0 else None)


def _folded(files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The files as they are listed; of a table with many of them, those without a reject (but for duplicates) are one line."""
    counts = ("rows_read", "rows_kept", "rows_rejected", "duplicates")
    sound: dict[str, list[dict[str, Any]]] = {}
    for each in files:
        if each["rows_rejected"] == each["duplicates"]:
            sound.setdefault(each["canonical_file"], []).append(each)
    listed = []
    for each in files:
        alike = sound.get(each["canonical_file"], [])
        if len(alike) <= MOST_FILES or each not in alike:
            listed.append(each)
        elif each is alike[0]:
            words = f"{each['source_file']} and {len(alike) - 1} more files"
            listed.append(each | {"source_file": words} | {name: sum(one[name] for one in alike) for name in counts})
    return listed


def _print_contents(console: Any, document: dict[str, Any]) -> None:
    found, rows = document["extract"], document["rows"]
    console.print(f"{document['place']}: {document['title']}", style="bold", markup=False)
    console.print(
        f"{found['stays']:,} stays of {found['persons']:,} persons at {found['hospitals']:,} hospital(s), "
        f"discharged {found['first_discharge']} to {found['last_discharge']}; as of {document['as_of']}",
        markup=False,
    )
    _heading(console, f"Rows: {rows['read']:,} read, {rows['kept']:,} kept, {rows['rejected']:,} rejected")
    _table(
        console,
        ("file", "holds", "read", "kept", "rejected", "of these duplicates"),
        [
            (
                each["source_file"],
                each["canonical_file"].replace("_", " "),
                f"{each['rows_read']:,}",
                f"{each['rows_kept']:,}",
                f"{each['rows_rejected']:,}",
                f"{each['duplicates']:,}",
            )
            for each in _folded(document["files"])
        ],
        right={2, 3, 4, 5},
    )
    if document["rejects"]:
        _heading(console, "Rejected rows, by reason")
        for each in document["rejects"][:30]:
            column = f", column {each['column']}" if each["column"] else ""
            console.print(
                f"  {each['canonical_file']}{column}: {each['rows']:,} rows {each['in_words']} ({each['value_class']}; "
                f"first: {each['first_file']}, row {each['first_row']:,})",
                markup=False,
            )
        if len(document["rejects"]) > 30:
            console.print(f"  and {len(document['rejects']) - 30} more reasons (--json lists all)")
    if document["set_aside"]:
        _heading(console, "Left out on purpose (no rejects)")
        for each in document["set_aside"]:
            console.print(f"  {each['source_file']}: {each['rows']:,} × {each['reason']}", markup=False)
    if document["skipped_rules"]:
        _heading(console, "Missing, and what follows")
        for each in document["skipped_rules"]:
            console.print(
                f"  no {each['missing_input']}: {each['rule']} is skipped; {each['consequence']}", markup=False
            )
    told_by = "name is" if document["layout"] == "canonical" else "headings are"
    notes = [
        *document["notes"],
        *(f"{name}: not read (its {told_by} of no file of the {document['title']})" for name in document["left_aside"]),
    ]
    if notes:
        _heading(console, "Notes")
        for note in notes:
            console.print(f"  {note}", markup=False)


def _print_qualification(console: Any, document: dict[str, Any]) -> None:
    able = document["qualification"]
    _heading(console, f"{able['qualifying']:,} of {able['stays']:,} stays could be index admissions")
    if len(able["obstacles"]) > 1:
        console.print("  (a stay may have several of these obstacles)", style="dim")
    for each in able["obstacles"]:
        console.print(f"  {each['stays']:,} cannot: {each['reason']}", markup=False)
    if able["qualifying"]:
        counts = ", ".join(f"{measure} {count:,}" for measure, count in able["measures"].items())
        console.print(f"  by principal diagnosis or procedure: {counts}", markup=False)


def _print_program_years(console: Any, document: dict[str, Any]) -> None:
    _heading(console, "Program years whose applicable period the discharges reach into")
    if not document["program_years"]:
        console.print("  none")
        return
    earned = set(document["being_earned"])
    _table(
        console,
        ("year", "applicable period", "covered", ""),
        [
            (
                f"FY{each['program_year']}",
                f"{each['first_discharge']} to {each['last_discharge']}",
                percent(each["share_of_period"], 0),
                "; ".join(
                    words
                    for words, holds in (
                        ("being earned", each["program_year"] in earned),
                        (f"{each['icd9_share']} in ICD-9, which no list covers", each["icd9_share"]),
                        ("no full year of stays before it", not each["history_of_a_year_before"]),
                        ("30-day follow-up not complete", not each["follow_up_complete"]),
                    )
                    if holds
                ),
            )
            for each in document["program_years"]
        ],
        right={2},
    )
    console.print()


def _print_mapping(console: Any, mapping: dict[str, Any]) -> None:
    _heading(console, "A mapping for hrrp.toml, from the headings seen: look it over, then run hrrp check again")
    console.print(mapping["toml"], markup=False)
    for name in mapping["missing_files"]:
        console.print(f"# {name}: no file looks like it", markup=False)
    console.print()
