"""`hrrp simulate`: the canonical extract of a synthetic system or nation, with known truth."""

from __future__ import annotations

import shlex
from datetime import datetime
from pathlib import Path

import typer

from hrrp.cli._output import print_json, progress
from hrrp.errors import HrrpError

EXAMPLE = """Examples:
  hrrp simulate --hospitals 8 --stays 20000 --seed 7 --out my-system
  hrrp simulate --hospitals 3000 --stays 1000000 --out nation --format parquet --json
  hrrp simulate --hospitals 5 --stays 9000 --out past --start 2020-07-01 --end 2023-06-30 --format csv"""

_DATE = ["%Y-%m-%d"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("simulate", epilog=EXAMPLE)(simulate)


def simulate(
    out: Path = typer.Option(..., help="Folder to write the extract into; its truth goes into the folder truth in it."),
    hospitals: int = typer.Option(8, help="Number of hospitals: a system has a few, the nation about 3,000."),
    stays: int = typer.Option(
        20_000, help="Number of inpatient stays, all hospitals together; a million need about 0.8 GB of memory."
    ),
    seed: int = typer.Option(1, help="The same seed gives the same files, to the byte."),
    start: datetime = typer.Option("2023-07-01", formats=_DATE, help="Earliest discharge date, YYYY-MM-DD."),
    end: datetime = typer.Option("2026-10-31", formats=_DATE, help="Latest discharge date, YYYY-MM-DD."),
    model_year: int | None = typer.Option(
        None, help="Program year of the published model that outcomes are drawn from; default the newest published."
    ),
    file_format: str = typer.Option("parquet", "--format", help="parquet or csv."),
    force: bool = typer.Option(False, "--force", help="Write into a folder that is not empty."),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout, nothing else there."),
) -> None:
    """Write the extract of a synthetic system or nation: every file of the canonical layout, and the truth behind it.

    Nobody in it exists. Outcomes are drawn from the published national model with known hospital effects, so what the
    pipeline finds can be laid beside what is true. Every hospital that a patient comes to is in the extract.
    """
    from hrrp.intake.simulation import (
        Options,
        check_folder,
        check_format,
        check_options,
        write_simulation,
    )
    from hrrp.intake.simulation import simulate as draw

    options = Options(hospitals, stays, seed, start.date(), end.date(), model_year)
    check_options(options)
    check_format(file_format)
    check_folder(out, force)
    simulation = draw(options, tell=lambda text: progress.print(f"  {text}"))
    used = {of.model.program_year for of in simulation.truth}
    if model_year is not None and used != {model_year}:
        years = ", ".join(f"FY{year}" for year in sorted(used))
        progress.print(f"  FY{model_year} has no published model for every measure: {years} used")
    progress.print(f"  writing {file_format} files into {out}")
    try:
        written = write_simulation(simulation, out, file_format)
    except OSError as error:
        raise HrrpError(
            f"{out} could not be written ({error.strerror}). Make room or choose another folder, and run again with "
            "--force."
        ) from None

    next_command = f"hrrp run --data {shlex.quote(str(out))}"
    if as_json:
        print_json(
            {
                "folder": out,
                "truth": out / "truth",
                "hospitals": hospitals,
                "stays": stays,
                "patients": simulation.selected.persons,
                "seed": seed,
                "start": options.start,
                "end": options.end,
                "files": [{"name": file.name, "rows": file.rows, "bytes": file.bytes} for file in written],
                "measures": {
                    of.model.measure: {
                        "stays": len(of.stay),
                        "can_be_index": of.can_be_index,
                        "readmission_rate": of.readmission_rate,
                        "model_program_year": of.model.program_year,
                    }
                    for of in simulation.truth
                },
                "next": next_command,
            }
        )
        return

    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    files = Table(title=f"Synthetic extract in {out}", title_justify="left")
    for heading in ("file", "rows", "kilobytes"):
        files.add_column(heading, justify="left" if heading == "file" else "right")
    for file in written:
        files.add_row(file.name, f"{file.rows:,}", f"{file.bytes / 1000:,.0f}")
    console.print(files)
    measures = Table(title="What is true in it", title_justify="left")
    for heading in ("measure", "stays", "can be index admissions", "readmitted", "model of"):
        measures.add_column(heading, justify="left" if heading == "measure" else "right")
    for of in simulation.truth:
        rate = "–" if of.readmission_rate is None else f"{of.readmission_rate:.1%}"
        measures.add_row(
            of.model.measure, f"{len(of.stay):,}", f"{of.can_be_index:,}", rate, f"FY{of.model.program_year}"
        )
    console.print(measures)
    console.print(f"Nobody in it exists. The truth lies in {out / 'truth'}; truth.json says how to read it.")
    console.print(f"Next: [bold]{next_command}[/bold]")
