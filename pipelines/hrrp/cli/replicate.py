"""`hrrp replicate`: a Hospital-Specific Report recomputed from its own rows, every difference listed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hrrp.cli._output import print_json, progress
from hrrp.errors import ReplicationError
from hrrp.program import MEASURES, REPORT_NAMES, Reference
from hrrp.settings import load_settings

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from hrrp.penalty.replicate import MeasureReplication, Replication
    from hrrp.penalty.report_places import Difference

EXAMPLE = """Examples:

  hrrp replicate FY2025_HSR.xlsx                       the report recomputed, measure by measure

  hrrp replicate FY2025_HSR.xlsx --json > report.json  the same as one document"""

WIDTH = 100
SHOWN_DIFFERENCES = 40


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("replicate", epilog=EXAMPLE)(replicate)


def replicate(
    hsr: Path = typer.Argument(..., help="CMS's Hospital-Specific Report, the Excel workbook of FY2020 to FY2025."),
    site: Path | None = typer.Option(None, help="The site's reference folder; default: site_reference of hrrp.toml."),
    out: Path | None = typer.Option(None, help="Folder of the run whose page shows the result; default data/out."),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout, nothing else there."),
) -> None:
    """Recompute a Hospital-Specific Report from its own rows and coefficients, and list every figure that differs.

    Exit codes: 0 every figure is as printed; 13 some are not (they are listed); 10 the file cannot be read; 12 its layout is not
    understood; 11 no rules for its program year.
    """
    from hrrp.intake.hsr import read_hsr
    from hrrp.penalty.replicate import replicate as recompute
    from hrrp.warehouse.proofs import keep_proof

    settings = load_settings(site_reference=site, out=out)
    reference = Reference(settings.site_reference)
    result = recompute(read_hsr(hsr, reference), reference)
    if as_json:
        print_json(result.document())
    else:
        _print(result)
    if keep_proof(settings, "replicate", result.report.program_year, result.report.ccn, hsr.name, _proof(result)):
        progress.print(f"Kept for the page: hrrp serve --out {settings.out}, Prove it.")
    if not result.agrees:
        printed = [difference for difference in result.differences if difference.kind != "place"]
        first = printed[0]
        raise ReplicationError(
            f"{hsr.name}: {len(printed):,} printed figures are not what was found (first: sheet '{first.sheet}', row "
            f"{first.row}, {first.figure}). Expected all to agree. Compare these cells with the workbook as CMS delivered "
            "it; where they stand there too, ask CMS in the review and correction period."
        )


def _proof(result: Replication) -> dict[str, Any]:
    """What the page shows of it: how many figures were compared and differ, and the ratios; no row of the report."""
    document = result.document()
    kept = ("figures_recomputed", "figures_national", "largest_gap", "agrees", "paf", "paf_published", "notes")
    of_measure = ("err", "err_published", "between_hospital_variance", "between_hospital_variance_source")
    return {
        "hospital": document["hospital"],
        **{name: document[name] for name in kept},
        "differ": {
            kind: sum(difference.kind == kind for difference in result.differences)
            for kind in ("recomputed", "national")
        },
        "measures": {
            measure: {name: document["measures"][measure][name] for name in of_measure} for measure in MEASURES
        },
    }


def _print(result: Replication) -> None:
    from rich.console import Console
    from rich.padding import Padding

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    report = result.report
    periods = " and ".join(f"{period.start} to {period.end}" for period in report.periods)
    console.print()
    console.print(f" [bold]FY{report.program_year} Hospital-Specific Report[/]  {_plain(report.hospital_name)}")
    console.print(f" [dim]discharges {periods} · {_plain(report.file_name)}[/]\n")
    console.print(_measures(result))
    if not all(_is_read(row) for row in result.measures.values()):
        console.print(_stand_ins(result))
    console.print()
    console.print(_penalties(result))
    console.print(_factor(result))
    if result.differences:
        _print_differences(console, result)
    if result.notes:
        console.print("\n [bold]Notes[/]")
        listed = _grid("left", "left")
        for note in result.notes:
            listed.add_row(" -", _plain(note))
        console.print(listed)
    console.print()
    console.print(Padding(_verdict(result), (0, 1)))
    console.print()


def _plain(text: str) -> str:
    """Text as it stands, so that square brackets in a report's own words are not read as markup."""
    from rich.markup import escape

    return escape(text)


def _grid(*justify: str) -> Table:
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    for side in justify:
        grid.add_column(justify=side)  # type: ignore[arg-type]
    return grid


def _table(title: str, columns: dict[str, str]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        title=f" {title}", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1)
    )
    for heading, side in columns.items():
        table.add_column(heading, justify=side, no_wrap=True)  # type: ignore[arg-type]
    return table


def _figure(value: float | None, form: str = ".6f", absent: str = "-") -> str:
    return absent if value is None else format(value, form)


def _measures(result: Replication) -> Table:
    """One row a measure: counts, rates and ERR recomputed, the ERR as printed, the gap, the between-hospital variance."""
    columns = {"Measure": "left", "Stays that\ncount": "right", "Readmis-\nsions": "right", "Predicted": "right"}
    columns |= {"Expected": "right", "ERR": "right", "ERR\nprinted": "right", "Gap": "right"}
    table = _table("Recomputed from the report's rows", columns | {"Between-hos-\npital variance": "right"})
    for measure in MEASURES:
        row = result.measures[measure]
        printed = row.printed
        gap = None if row.err is None or printed.err is None else abs(row.err - printed.err)
        differs = any(other.measure == measure and other.kind == "recomputed" for other in result.differences)
        table.add_row(
            f"[red bold]{REPORT_NAMES[measure]}[/]" if differs else REPORT_NAMES[measure],
            f"{row.eligible_discharges:,}",
            f"{row.readmissions:,}",
            _figure(row.predicted),
            _figure(row.expected),
            _figure(row.err),
            _figure(printed.err, absent="NQ" if printed.no_qualifying_cases else "-"),
            "-" if gap is None else f"[{'red bold' if differs else 'green'}]{gap:.0e}[/]",
            f"{row.between_hospital_variance:.4f} "
            if _is_read(row)
            else f"[yellow]{row.between_hospital_variance:.4f}*[/]",
        )
    return table


def _is_read(row: MeasureReplication) -> bool:
    return row.between_hospital_variance == row.read_back.tau2


def _stand_ins(result: Replication) -> Any:
    """Why a between-hospital variance is not the report's own."""
    grid = _grid("left", "left")
    for measure in MEASURES:
        row = result.measures[measure]
        if not _is_read(row):
            grid.add_row(
                f"[yellow] * {REPORT_NAMES[measure]}[/]", f"[dim]{_plain(row.between_hospital_variance_source)}[/]"
            )
    return grid


def _penalties(result: Replication) -> Table:
    """One row a measure: from the ERR to its contribution, and how many readmissions went to another hospital."""
    columns = {"Measure": "left", "ERR": "right", "Peer\nmedian": "right", "Difference": "right"}
    columns |= {
        "DRG payment\nratio": "right",
        "Contribution": "right",
        "Penalty": "left",
        "Readmitted\nelsewhere": "right",
    }
    table = _table("From the ERR to the payment reduction", columns)
    for measure in MEASURES:
        row = result.measures[measure]
        median = row.printed.peer_group_median
        difference = None if row.err is None or median is None else row.err - median
        table.add_row(
            REPORT_NAMES[measure],
            _figure(row.err, ".4f"),
            _figure(median, ".4f"),
            _figure(difference, "+.4f"),
            _figure(row.printed.drg_payment_ratio, ".2%"),
            "0" if row.contribution == 0 else _figure(row.contribution, ".4%"),
            _why(row),
            f"{row.readmissions_elsewhere:,} of {row.readmissions_placed:,}" if row.readmissions_placed else "-",
            style="" if row.penalty_indicator else "dim",
        )
    return table


def _why(row: MeasureReplication) -> str:
    """Whether the measure is penalized, and whether it has too few stays to be."""
    from hrrp.penalty.factor import MINIMUM_CASES

    if row.err is None:
        return "no result"
    if row.penalty_indicator is None:
        return "-"
    if row.penalty_indicator:
        return "[bold]yes[/]"
    return f"no: under {MINIMUM_CASES}" if row.eligible_discharges < MINIMUM_CASES else "no"


def _factor(result: Replication) -> Any:
    printed = result.report.payment_adjustment
    grid = _grid("left", "left")
    grid.add_row(
        " Dual proportion",
        f"{_figure(result.dual_proportion)} = {result.dual_stays:,} of {_figure(printed.stays, ',')} stays"
        f"  [dim]printed {_figure(printed.dual_proportion)}; peer group {_figure(printed.peer_group, 'd')}[/]",
    )
    grid.add_row(" Payment reduction", _figure(result.payment_reduction, ".4%"))
    document = result.document()
    same = "[green]the same[/]" if document["paf"] == printed.paf else "[red bold]not the same[/]"
    comparison = same if None not in (document["paf"], printed.paf) else "[dim]not compared[/]"
    grid.add_row(
        " [bold]Payment factor[/]",
        f"[bold]{_figure(document['paf'], '.4f')}[/] recomputed, [bold]{_figure(printed.paf, '.4f')}[/] printed: {comparison}",
    )
    return grid


def _print_differences(console: Console, result: Replication) -> None:
    for kind, title, found in (
        ("recomputed", "Printed figures that the rows do not give", "Recomputed"),
        ("national", "Printed national figures that are not those published", "Published"),
        ("place", "Where the differences most likely come from", "Would be"),
    ):
        differences = [difference for difference in result.differences if difference.kind == kind]
        if not differences:
            continue
        console.print()
        table = _table(title, {"Sheet": "left", "Cell": "left"})
        table.add_column("Figure", overflow="fold", max_width=36)
        for heading in ("Printed", found):
            table.add_column(heading, justify="right", no_wrap=True)
        for difference in differences[:SHOWN_DIFFERENCES]:
            table.add_row(
                _plain(difference.sheet),
                difference.cell or f"row {difference.row}",
                _plain(difference.figure),
                _value(difference.printed),
                _value(difference.found),
            )
            if kind == "place":
                table.add_row("", "", f"[dim]{_plain(_remark(difference))}[/]", "", "")
        console.print(table)
        if len(differences) > SHOWN_DIFFERENCES:
            console.print(f" [dim]and {len(differences) - SHOWN_DIFFERENCES:,} more: --json lists them all[/]")


def _remark(difference: Difference) -> str:
    alike = f" (rows {', '.join(map(str, difference.rows))})" if len(difference.rows) > 1 else ""
    return difference.remark + alike


def _value(value: float | bool | str | None) -> str:
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, float):
        return f"{value:.10g}"
    return "-" if value is None else _plain(str(value))


def _verdict(result: Replication) -> str:
    """In plain words, whether our arithmetic is CMS's."""
    recomputed = sum(difference.kind == "recomputed" for difference in result.differences)
    national = sum(difference.kind == "national" for difference in result.differences)
    if recomputed:
        return (
            f"[red bold]Our arithmetic does not give what this report prints[/]: {recomputed:,} of "
            f"{result.figures_recomputed:,} recomputed figures differ. Either the workbook is not as CMS delivered it (see the "
            "places above), or one of the two is wrong."
        )
    if national:
        return (
            f"[yellow bold]Our arithmetic is CMS's, but not with CMS's figures[/]: all {result.figures_recomputed:,} figures "
            f"come out as printed, yet {national:,} of {result.figures_national:,} national figures are not those published."
        )
    return (
        f"[green bold]Our arithmetic is CMS's[/]: all {result.figures_recomputed:,} figures that the rows determine come out as "
        f"printed, to {result.largest_gap:.0e}; all {result.figures_national:,} national figures compared are those published."
    )
