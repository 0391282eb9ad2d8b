"""`hrrp public`: CMS's supplemental file, every hospital's penalty recomputed and compared with the published one."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hrrp.cli._output import plain
from hrrp.errors import HrrpError, ReplicationError, UsageError
from hrrp.program import MEASURES, REPORT_NAMES, Reference, write_site_rows
from hrrp.settings import Settings, load_settings

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from hrrp.intake.provider_data import HospitalName, ProviderData
    from hrrp.penalty.supplemental import HospitalResult, Recomputation

EXAMPLE = """Examples:

  hrrp public FY2025.csv                          every hospital

  hrrp public FY2025.csv --ccn 010001             one hospital, by measure

  hrrp public FY2025.csv --json > fy2025.json     for other programs

  hrrp public FY2025.csv --ccn 010001 --outlook   its next three years, from public files alone

  hrrp public FY2028.txt --adopt                  take over a new year"""

# Hospitals in a list, and characters of a name in it, so that a list fits 100 columns.
LISTED = 10
NAME_WIDTH = 28


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("public", epilog=EXAMPLE)(public)


def public(
    file: Path = typer.Argument(..., help="CMS's HRRP supplemental file of any program year: text or .xlsx."),
    ccn: list[str] = typer.Option([], help="Show this hospital's page; repeatable. With --json: only these rows."),
    general_info: Path | None = typer.Option(
        None, help="Provider Data Catalog hospital general information file, for names and states."
    ),
    pdc: Path | None = typer.Option(
        None, help="Provider Data Catalog HRRP file (9n3s-kdb3), for names, states, predicted and expected rates."
    ),
    program_year: int | None = typer.Option(None, help="Program year, where the file's title does not state it."),
    adopt: bool = typer.Option(
        False,
        "--adopt",
        help="Take the file's medians, peer group cuts, neutrality modifier and published results into the site's folder.",
    ),
    outlook: bool = typer.Option(
        False, "--outlook", help="Next years' penalty as a distribution, with --ccn or --json; better with --pdc."
    ),
    site: Path | None = typer.Option(None, help="The site's reference folder; default: site_reference of hrrp.toml."),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout, nothing else there."),
) -> None:
    """Recompute every hospital's penalty from CMS's public file, and say how it compares with what CMS published.

    Exit codes: 0 every published factor follows from the printed figures; 13 some do not (they are listed); 10 the file cannot be
    read; 12 its layout is not understood; 11 no rules for its program year.
    """
    from hrrp.intake.supplemental import read_supplemental
    from hrrp.penalty.supplemental import recompute

    settings = load_settings(site_reference=site)
    folder = settings.site_reference
    if outlook and not (ccn or as_json):
        raise UsageError("--outlook is shown hospital by hospital: add --ccn 010001 (repeatable), or --json for all.")
    reference = Reference(folder)
    published = read_supplemental(file, program_year, reference)
    rules = reference.program_year(published.program_year)
    result = recompute(
        published, rules, rules.neutrality_modifier, _hospitals_in_file(reference, published.program_year)
    )
    names, provider, notes = _joined(general_info, pdc, reference, result)
    chosen = _chosen(ccn, result)

    adopted: dict[str, int] | None = None
    refusal: HrrpError | None = None
    if adopt:
        try:
            adopted = _adopt(result, reference, folder)
        except HrrpError as error:
            refusal = error

    notes = [*result.notes, *notes]
    outlooks: dict[str, dict[str, Any]] = {}
    if outlook:
        outlooks, more = _outlooks(result, chosen, provider, reference, settings)
        notes += more
    if as_json:
        document = _document(result, chosen, names, provider, notes)
        if outlook:
            for row in document["rows"]:
                row["outlook"] = outlooks[row["ccn"]]
        document["adopted"] = None if adopted is None else {"folder": str(folder), "rows": adopted}
        _print_json(document)
    else:
        _print(result, chosen if ccn else None, names, notes, adopted, folder, outlooks)
    if refusal is not None:
        raise refusal
    outside = result.with_agreement("outside")
    if outside:
        raise ReplicationError(
            f"{file.name}: {len(outside):,} of {result.recomputed:,} published factors do not follow from the printed figures "
            f"(first: {', '.join(outside[:5])}). Compare these rows with CMS's file; a hospital's own report settles which is right."
        )


def _hospitals_in_file(reference: Reference, year: int) -> int | None:
    for row in reference.rows("program_years"):
        if int(row["program_year"]) == year and row["hospitals_in_file"]:
            return int(row["hospitals_in_file"])
    return None


def _joined(
    general_info: Path | None, pdc: Path | None, reference: Reference, result: Recomputation
) -> tuple[dict[str, HospitalName], ProviderData | None, list[str]]:
    """Names by CCN, the Provider Data Catalog figures where they are of the same program year, and what to say of both."""
    from hrrp.intake.provider_data import read_hospital_names, read_provider_data

    names: dict[str, HospitalName] = {}
    provider = None
    notes = []
    year = result.file.program_year
    if pdc is not None:
        provider = read_provider_data(pdc, reference)
        names |= provider.names
        if provider.program_year != year:
            notes.append(
                f"{pdc.name} covers {provider.start} to {provider.end}, not the period of FY{year}: only names are taken from it."
            )
            provider = None
        else:
            notes.append(_provider_note(pdc, provider, result))
    if general_info is not None:
        names |= read_hospital_names(general_info)
    if names:
        unnamed = sum(row.published.ccn not in names for row in result.hospitals)
        if unnamed:
            notes.append(
                f"{unnamed:,} of {len(result.hospitals):,} hospitals are not in the files of names (closed or merged)."
            )
    return names, provider, notes


def _provider_note(path: Path, provider: ProviderData, result: Recomputation) -> str:
    both = equal = 0
    for row in result.file.hospitals:
        for measure, figures in row.measures.items():
            other = provider.hospitals.get(row.ccn, {}).get(measure)
            if other is not None and other.err is not None and figures.err is not None:
                both += 1
                equal += other.err == figures.err
    return f"{path.name}: {equal:,} of {both:,} ERRs that stand in both files are equal."


def _chosen(ccns: list[str], result: Recomputation) -> list[HospitalResult]:
    """The hospitals asked for, in the order asked for; all where none was."""
    if not ccns:
        return list(result.hospitals)
    known = {row.published.ccn: row for row in result.hospitals}
    wanted = list(dict.fromkeys(ccn.strip().upper().zfill(6) for ccn in ccns))
    missing = [ccn for ccn in wanted if ccn not in known]
    if missing:
        raise UsageError(
            f"{result.file.name} (FY{result.file.program_year}) does not list hospital {', '.join(missing)}. Expected a CCN of the "
            "file, six characters as in 010001; Maryland's and critical access hospitals are not in the program."
        )
    return [known[ccn] for ccn in wanted]


def _outlooks(
    result: Recomputation,
    chosen: list[HospitalResult],
    provider: ProviderData | None,
    reference: Reference,
    settings: Settings,
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The outlook of each hospital asked for, and its notes."""
    from hrrp.review.public_outlook import PrintedRate, outlook_documents

    rates: dict[str, dict[str, PrintedRate]] | None = None
    if provider is not None:
        rates = {}
        for ccn, measure, figures in provider.rows():
            rates.setdefault(ccn, {})[measure] = PrintedRate(figures.expected, figures.readmissions)
    ccns = [row.published.ccn for row in chosen]
    return outlook_documents(result, rates, reference, ccns, seed=settings.seed, threads=settings.threads)


def _adopt(result: Recomputation, reference: Reference, folder: Path) -> dict[str, int]:
    """Write the file's national figures into the site's folder; rows written by table."""
    from hrrp.penalty.supplemental import figures_to_adopt, published_results

    year = result.file.program_year
    medians = reference.peer_group_medians(year)
    counts = {int(row["program_year"]): row["hospitals_in_file"] for row in reference.rows("program_years")}
    usual = [int(count) for _, count in sorted(counts.items()) if count]
    tables = figures_to_adopt(
        result,
        result.rules.neutrality_modifier,
        {} if medians.is_stand_in else medians.value,
        usual[-1] if usual else None,
    )
    tables["published_results"] = published_results(result.file)
    for table, rows in tables.items():
        write_site_rows(folder, table, rows)
    return {table: len(rows) for table, rows in tables.items()}


def _document(
    result: Recomputation,
    chosen: list[HospitalResult],
    names: Mapping[str, HospitalName],
    provider: ProviderData | None,
    notes: list[str],
) -> dict[str, Any]:
    """The JSON document: the contract's keys first, then what else is known."""
    exact, within = result.with_agreement("exact"), result.with_agreement("within_input_rounding")
    known = result.recomputed > 0
    return {
        "program_year": result.file.program_year,
        "hospitals": len(result.hospitals),
        "exact": len(exact) if known else None,
        "within_input_rounding": len(exact) + len(within) if known else None,
        "outside": list(result.with_agreement("outside")),
        "recomputed": result.recomputed,
        "complete": result.complete,
        "peer_groups_compared": result.peer_groups_compared,
        "peer_groups_agree": result.peer_groups_agree,
        "medians_compared": result.medians_compared,
        "medians_agree": result.medians_agree,
        "penalty_indicators_differ": [
            {"ccn": ccn, "measure": measure} for ccn, measure in result.penalty_indicators_differ
        ],
        "neutrality_modifier_published": result.neutrality_modifier_published,
        "neutrality_modifier": result.neutrality_modifier,
        "max_reduction": result.rules.max_reduction,
        "measures_in_payment": result.rules.measures_in_payment,
        "file": result.file.name,
        "title": result.file.title,
        "notes": notes,
        "rows": [_row(row, names, provider) for row in chosen],
    }


def _print_json(document: dict[str, Any]) -> None:
    """Write the document to stdout, each hospital on a line of its own.

    Indenting three thousand hospitals takes Python twice as long as computing them; a line each can be searched with grep.
    """
    rows = document.pop("rows")
    head = json.dumps(plain(document), indent=2, ensure_ascii=False).removesuffix("\n}")
    lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows)
    sys.stdout.write(head + ',\n  "rows": [\n    ' + ",\n    ".join(lines) + "\n  ]\n}\n")


def _row(row: HospitalResult, names: Mapping[str, HospitalName], provider: ProviderData | None) -> dict[str, Any]:
    published = row.published
    name = names.get(published.ccn)
    measures: dict[str, Any] = {}
    for measure in MEASURES:
        figures, recomputed = published.measures.get(measure), row.measures[measure]
        measures[measure] = {
            "eligible_discharges": figures and figures.eligible_discharges,
            "err": figures and figures.err,
            "peer_group_median": figures and figures.peer_group_median,
            "peer_group_median_recomputed": recomputed.peer_group_median,
            "drg_payment_ratio": figures and figures.drg_payment_ratio,
            "contribution": recomputed.contribution,
            "penalty_indicator": recomputed.penalty_indicator,
            "penalty_indicator_published": figures and figures.penalty_indicator,
        }
        if provider is not None:
            other = provider.hospitals.get(published.ccn, {}).get(measure)
            measures[measure] |= {
                "predicted": other and other.predicted,
                "expected": other and other.expected,
                "readmissions": other and other.readmissions,
            }
    return {
        "ccn": published.ccn,
        "name": name and name.name,
        "state": name and name.state,
        "paf_published": published.paf,
        "paf": row.paf,
        "paf_allowed": row.allowed,
        "agreement": row.agreement,
        "payment_reduction_published": published.payment_reduction,
        "payment_reduction": row.payment_reduction,
        "dual_proportion": published.dual_proportion,
        "peer_group_published": published.peer_group,
        "peer_group": row.peer_group,
        "measures": measures,
    }


def _print(
    result: Recomputation,
    chosen: list[HospitalResult] | None,
    names: Mapping[str, HospitalName],
    notes: list[str],
    adopted: dict[str, int] | None,
    folder: Path,
    outlooks: Mapping[str, dict[str, Any]],
) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=100)
    console.print()
    console.print(_summary(console, result))
    if chosen is None:
        _print_outside(console, result, names)
        _print_largest(console, result, names)
    else:
        for row in chosen:
            _print_hospital(console, result, row, names)
            if row.published.ccn in outlooks:
                _print_outlook(console, outlooks[row.published.ccn])
    if notes:
        console.print("\n [bold]Notes[/]")
        listed = _grid("left", "left")
        for note in notes:
            listed.add_row(" -", _plain(note))
        console.print(listed)
    if adopted is not None:
        console.print(
            f"\n [green]Adopted[/] for FY{result.file.program_year} into {folder}: {adopted['peer_group_medians']} medians, "
            f"{adopted['peer_group_cuts']} peer group cuts, the neutrality modifier, the number of hospitals and "
            f"{adopted['published_results']:,} published results."
        )
    _print_next(console, result, chosen, names)


def _plain(text: str) -> str:
    """Text as it stands, so that square brackets in a file's own words are not read as markup."""
    from rich.markup import escape

    return escape(text)


def _grid(*justify: str) -> Table:
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    for side in justify:
        grid.add_column(justify=side)  # type: ignore[arg-type]
    return grid


def _summary(console: Console, result: Recomputation) -> Any:
    from rich.panel import Panel

    file, rules = result.file, result.rules
    exact = len(result.with_agreement("exact"))
    within = len(result.with_agreement("within_input_rounding"))
    outside = len(result.with_agreement("outside"))
    grid = _grid("left", "right", "left")
    if result.recomputed:
        grid.add_row(
            "[bold]Payment adjustment factors[/]", f"[bold]{result.recomputed:,}[/]", "recomputed and compared"
        )
        grid.add_row("  equal at four decimals", f"{exact:,}", f"[dim]{exact / result.recomputed:.1%}[/]")
        grid.add_row(
            "  within the rounding of the inputs",
            f"{within:,}",
            "[dim]the printed figures allow the published factor[/]",
        )
        grid.add_row("  outside", f"[{'red bold' if outside else 'green'}]{outside:,}[/]", "[dim]should be 0[/]")
    else:
        grid.add_row("[bold]Payment adjustment factors[/]", "0", "recomputed: see the notes")
    if result.complete:
        grid.add_row(
            "[bold]Peer groups[/]",
            _share(result.peer_groups_agree, result.peer_groups_compared),
            f"of {result.peer_groups_compared:,} agree",
        )
        grid.add_row(
            "[bold]Peer group medians[/]",
            _share(result.medians_agree, result.medians_compared),
            f"of {result.medians_compared} agree",
        )
    if result.penalty_indicators_differ:
        grid.add_row(
            "[bold]Penalty indicators[/]",
            f"[red]{len(result.penalty_indicators_differ):,}[/]",
            "contradict the printed figures",
        )
    penalized = [
        1 - row.published.paf for row in result.hospitals if row.published.paf is not None and row.published.paf < 1
    ]
    at_cap = sum(round(reduction, 4) >= rules.max_reduction for reduction in penalized)
    if penalized:
        grid.add_row(
            "[bold]Hospitals penalized[/]",
            f"{len(penalized):,}",
            f"of {len(result.hospitals):,} ({len(penalized) / len(result.hospitals):.1%})",
        )
        grid.add_row("  mean reduction among them", f"{sum(penalized) / len(penalized):.2%}", "")
        grid.add_row(f"  at the cap of {rules.max_reduction:.0%}", f"{at_cap:,}", "")
    return Panel(
        grid,
        title=f"[bold]FY{file.program_year}[/] HRRP supplemental file",
        title_align="left",
        subtitle=f"[dim]{_plain(file.name)}[/]",
        subtitle_align="left",
        width=min(console.width, 100),
        padding=(1, 2),
        border_style="dim",
    )


def _share(agree: int | None, compared: int | None) -> str:
    return f"[{'green' if agree == compared else 'red bold'}]{agree:,}[/]"


def _table(title: str) -> Table:
    from rich import box
    from rich.table import Table

    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        padding=(0, 1),
    )


def _print_outside(console: Console, result: Recomputation, names: Mapping[str, HospitalName]) -> None:
    rows = [row for row in result.hospitals if row.agreement == "outside"]
    if not rows:
        return
    table = _table("Published factors that do not follow from the printed figures")
    _add_hospital_columns(table, names)
    for heading in ("Published", "Recomputed", "Allowed by the printed figures"):
        table.add_column(heading, justify="right")
    for row in rows[:LISTED]:
        if row.allowed is None:
            allowed = "figures contradict each other"
        elif row.allowed[0] == row.allowed[1]:
            allowed = f"{row.allowed[0]:.5f} only"
        else:
            allowed = f"{row.allowed[0]:.5f} to {row.allowed[1]:.5f}"
        table.add_row(*_hospital_cells(row, names), f"{row.published.paf:.4f}", f"{row.paf:.5f}", allowed)
    console.print()
    console.print(table)
    if len(rows) > LISTED:
        console.print(f" [dim]and {len(rows) - LISTED:,} more: --json lists them all[/]")


def _print_largest(console: Console, result: Recomputation, names: Mapping[str, HospitalName]) -> None:
    rows = [row for row in result.hospitals if row.published.paf is not None and row.published.paf < 1]
    if not rows:
        return
    rows.sort(key=lambda row: (row.published.paf or 1.0, -_before_cap(row), row.published.ccn))
    table = _table("Largest reductions")
    _add_hospital_columns(table, names)
    for heading in ("Peer\ngroup", "Factor", "Reduction", "Before\nthe cap"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Mostly from", no_wrap=True)
    for row in rows[:LISTED]:
        contributions = {measure: row.measures[measure].contribution or 0.0 for measure in MEASURES}
        most = sorted((measure for measure in MEASURES if contributions[measure] > 0), key=lambda m: -contributions[m])
        table.add_row(
            *_hospital_cells(row, names),
            str(row.published.peer_group or "-"),
            f"{row.published.paf:.4f}",
            f"{1 - (row.published.paf or 1.0):.2%}",
            "-" if row.paf is None else f"{_before_cap(row):.2%}",
            ", ".join(REPORT_NAMES[measure] for measure in most[:2]) or "-",
        )
    console.print()
    console.print(table)


def _before_cap(row: HospitalResult) -> float:
    return sum(figures.contribution or 0.0 for figures in row.measures.values())


def _add_hospital_columns(table: Table, names: Mapping[str, HospitalName]) -> None:
    table.add_column("CCN", no_wrap=True)
    if names:
        table.add_column("Hospital", no_wrap=True)
        table.add_column("", no_wrap=True)


def _hospital_cells(row: HospitalResult, names: Mapping[str, HospitalName]) -> list[str]:
    if not names:
        return [row.published.ccn]
    name = names.get(row.published.ccn)
    if name is None:
        return [row.published.ccn, "-", "-"]
    shown = name.name if len(name.name) <= NAME_WIDTH else f"{name.name[: NAME_WIDTH - 3]}..."
    return [row.published.ccn, _plain(shown), name.state]


def _print_hospital(
    console: Console, result: Recomputation, row: HospitalResult, names: Mapping[str, HospitalName]
) -> None:
    from hrrp.penalty.factor import MINIMUM_CASES

    published, rules = row.published, result.rules
    stratified = rules.method == "stratified"
    name = names.get(published.ccn)
    title = f"{published.ccn}  {_plain(name.name)}, {name.state}" if name else published.ccn
    table = _table(title)
    table.add_column("Measure", no_wrap=True)
    compared = "Peer\nmedian" if stratified else "Compared\nwith"
    for heading in ("Eligible\ndischarges", "ERR", compared, "Difference", "DRG pay-\nment ratio", "Contribution"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Penalty", no_wrap=True)
    for measure in MEASURES:
        figures, recomputed = published.measures.get(measure), row.measures[measure]
        if figures is None:
            reason = "not in the file" if measure in rules.measures_in_payment else f"not in FY{rules.program_year}"
            table.add_row(REPORT_NAMES[measure], "-", "-", "-", "-", "-", "-", f"[dim]{reason}[/]")
            continue
        median = figures.peer_group_median if stratified else 1.0
        difference = None if figures.err is None or median is None else figures.err - median
        table.add_row(
            REPORT_NAMES[measure],
            "-" if figures.eligible_discharges is None else f"{figures.eligible_discharges:,}",
            _shown(figures.err, ".4f"),
            _shown(median, ".4f"),
            _shown(difference, "+.4f"),
            _shown(figures.drg_payment_ratio, ".2%"),
            "0" if recomputed.contribution == 0 else _shown(recomputed.contribution, ".4%"),
            _why(figures.eligible_discharges, figures.err, recomputed.penalty_indicator, MINIMUM_CASES),
            style="" if recomputed.penalty_indicator else "dim",
        )
    console.print()
    console.print(table)
    console.print(_factor_lines(result, row))


def _print_outlook(console: Console, years: Mapping[str, Any]) -> None:
    """Next years' penalty: a line a year, and the ratios of the measures."""
    table = _table("Outlook from public files alone")
    table.add_column("Year", no_wrap=True)
    for heading in ("Already\nprinted", "Likely\nreduction", "90 % range", "Chance of\na penalty", "of the\ncap"):
        table.add_column(heading, justify="right", no_wrap=True)
    for year, figures in years.items():
        low, high = figures["payment_reduction_interval"]
        table.add_row(
            f"FY{year}",
            f"{figures['share_of_period_already_printed']:.0%}",
            _shown(figures["payment_reduction_median"], ".2%"),
            "-" if low is None else f"{low:.2%} to {high:.2%}",
            _shown(figures["chance_of_penalty"], ".0%"),
            _shown(figures["chance_of_cap"], ".0%"),
        )
    console.print()
    console.print(table)
    table = _table("Excess readmission ratios, likely and 90 % range")
    table.add_column("Measure", no_wrap=True)
    for year in years:
        table.add_column(f"FY{year}", justify="right", no_wrap=True)
    for measure in MEASURES:
        cells = []
        for figures in years.values():
            ratio = figures["measures"][measure]
            low, high = ratio["err_interval"]
            cells.append("-" if low is None else f"{ratio['err_median']:.3f} ({low:.3f} to {high:.3f})")
        table.add_row(REPORT_NAMES[measure], *cells)
    console.print(table)


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _why(cases: int | None, err: float | None, penalized: bool | None, minimum: int) -> str:
    if err is None:
        return "no result"
    if cases is None or cases < minimum:
        return f"no: under {minimum}"
    return "[bold]yes[/]" if penalized else "no"


def _factor_lines(result: Recomputation, row: HospitalResult) -> Any:
    from hrrp.penalty.supplemental import peer_group_bands

    published, rules = row.published, result.rules
    grid = _grid("left", "left")
    if published.peer_group is not None and published.dual_proportion is not None:
        place = f"{published.peer_group} of 5; dual proportion {published.dual_proportion:.4f}"
        if result.complete:
            low, high, hospitals = peer_group_bands(result.file)[published.peer_group]
            place += f", its {hospitals:,} hospitals from {low:.4f} to {high:.4f}"
        grid.add_row(" Peer group", place)
    if published.neutrality_modifier is not None:
        grid.add_row(" Neutrality modifier", f"{result.neutrality_modifier or published.neutrality_modifier}")
    if row.paf is not None and row.payment_reduction is not None:
        total = _before_cap(row)
        capped = f", cut off at {rules.max_reduction:.0%}" if total > rules.max_reduction else ""
        grid.add_row(" Payment reduction", f"{total:.4%}{capped}")
        grid.add_row(" [bold]Factor recomputed[/]", f"[bold]{row.paf:.4f}[/]  [dim]unrounded {row.paf:.8f}[/]")
    verdict = {
        "exact": "[green]equal at the printed decimals[/]",
        "within_input_rounding": "[green]differs, but the printed figures allow it[/]",
        "outside": "[red bold]does not follow from the printed figures[/]",
        None: "[dim]not recomputed[/]",
    }[row.agreement]
    allowed = ""
    if row.allowed is not None and row.allowed[0] < row.allowed[1]:
        allowed = f"  [dim]they allow {row.allowed[0]:.6f} to {row.allowed[1]:.6f}[/]"
    grid.add_row(" Factor published", f"{_shown(published.paf, '.4f')}  {verdict}{allowed}")
    return grid


def _print_next(
    console: Console, result: Recomputation, chosen: list[HospitalResult] | None, names: Mapping[str, HospitalName]
) -> None:
    steps = []
    if chosen is None:
        steps.append(
            (f"--ccn {result.hospitals[0].published.ccn}", "one hospital's page, measure by measure (repeatable)")
        )
    if not names:
        steps.append(
            ("--general-info FILE", "add names and states (Provider Data Catalog, hospital general information)")
        )
    if chosen is not None:
        steps.append(("--outlook --pdc FILE", "its next three years as a distribution, from public files alone"))
    steps.append(("--json", "all hospitals and measures as one document"))
    console.print("\n [bold]Next[/]")
    grid = _grid("left", "left")
    for option, meaning in steps:
        grid.add_row(f" [cyan]{option}[/]", meaning)
    console.print(grid)
    console.print()
