"""The further sections of `hrrp forecast`: what moves the penalty, what it is worth, how forecasts did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hrrp.cli._figures import chance, percent, points
from hrrp.program import MEASURES

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# Risk factors shown of a measure.
FACTORS = 3


def _table(*headings: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    return table


def print_drivers(console: Console, document: Mapping[str, Any]) -> None:
    """What moves it: predicted less expected, the change cause by cause, the risk factors that carry expected."""
    measures = document["measures"]
    console.print("[bold]What moves it[/bold] (discharges known so far; rates in percentage points)")
    table = _table("measure", "contribution", "observed - expected", "shrinkage", "predicted - expected")
    for measure in MEASURES:
        row = measures[measure]
        table.add_row(
            measure,
            percent(row["contribution"], 3),
            _points(row["observed_less_expected"]),
            _points(row["shrinkage"]),
            _points(row["predicted_less_expected"]),
        )
    console.print(table)
    for key, label in (
        ("change_since_year_before", f"Change of the contribution since FY{document['year_before']}, by cause"),
        ("change_since_report", f"Change since the hospital's own report of FY{document['report_year']}, by cause"),
        ("change_since_published", f"Change since the figures that CMS published for FY{document['published_year']}"),
    ):
        changed = {measure: measures[measure][key] for measure in MEASURES if measures[measure][key]}
        if not changed:
            continue
        unchanged = [measure for measure, parts in changed.items() if all(part == 0 for part in parts.values())]
        changed = {measure: parts for measure, parts in changed.items() if measure not in unchanged}
        if not changed:
            console.print(f"\n{label}: none; no measure contributes then or now.")
            continue
        causes = list(next(iter(changed.values())))
        console.print(f"\n{label}:")
        table = _table("measure", *causes, "sum")
        for measure, parts in changed.items():
            known = all(part is not None for part in parts.values())
            table.add_row(
                measure,
                *[_signed(parts[cause]) for cause in causes],
                _signed(sum(parts.values())) if known else "–",
            )
        console.print(table)
        if unchanged:
            console.print(f"Nothing then or now: {', '.join(unchanged)}.")
    for key, label in (
        ("risk_factors", "Expected is carried by (percentage points against all hospitals of the extract)"),
        (
            "documentation_gaps",
            "Known from earlier claims alone, not coded on the admission (percentage points of expected)",
        ),
    ):
        listed = [(measure, measures[measure][key]) for measure in MEASURES if measures[measure][key]]
        if listed:
            console.print(f"\n{label}:")
            for measure, factors in listed:
                for number, row in enumerate(factors[:FACTORS]):
                    difference = _points(row["expected_difference"])
                    # A long name is cut at the edge, not wrapped into the next row.
                    line = f"  {'' if number else measure:<8}{difference:>7}  {row['label']}"
                    console.print(line, markup=False, no_wrap=True, overflow="ellipsis")
    console.print()


def print_value(console: Console, document: Mapping[str, Any]) -> None:
    """What one avoided readmission is worth, measure by measure, and where it does not pay."""
    console.print(f"[bold]What one avoided readmission is worth[/bold], from {document['as_of']} on, best first")
    years = [str(year) for year in document["years_still_open"]]
    table = _table("measure", *[f"saved FY{year}" for year in years], "margin lost", "net", "90 % range", "multiplier")
    for row in document["one_avoided_readmission"]:
        low, high = row["net_interval_usd"]
        ratio = row["penalty_per_dollar_of_excess_readmissions"]
        table.add_row(
            row["measure"],
            *[_usd(row["penalty_avoided_usd"][year]) for year in years],
            _usd(-row["margin_lost_usd"]),
            _usd(row["net_usd"]),
            "–" if low is None else f"{_usd(low)} to {_usd(high)}",
            "–" if ratio is None else f"{points(ratio, 1)} x",
        )
    console.print(table)
    for row in document["one_avoided_readmission"]:
        if row["reason"]:
            is_unknown = "payments are unknown" in row["reason"]
            said = "whether it pays is not known" if is_unknown else "it does not pay"
            console.print(f"  {row['measure']}: {said}, because {row['reason']}.", markup=False)
    if document["years_not_in_run"]:
        left_out = ", ".join(f"FY{year}" for year in document["years_not_in_run"])
        console.print(f"A discharge of today also counts in {left_out}, which this run left out: the value is higher.")
    console.print("Saved: penalty avoided. The multiplier is the penalty for each dollar paid for excess readmissions.")
    console.print(
        f"Margin lost: {_usd(document['margin_usd'])} of a readmission's payment are left after its costs (confidence "
        f"{document['margin_confidence']}; set readmission_margin_usd under [parameters] in hrrp.toml).",
        markup=False,
    )
    console.print("\n[bold]Paid for readmissions so far (fee for service), and the penalty of a year (HRRP)[/bold]")
    years = list(document["years"])
    table = _table("measure", *[words for year in years for words in (f"paid FY{year}", f"penalty FY{year}")])
    for measure in MEASURES:
        of_measure = [document["years"][year]["measures"][measure] for year in years]
        table.add_row(
            measure,
            *[_usd(usd) for row in of_measure for usd in (_received(row), row["penalty_usd"])],
        )
    paid = {year: document["years"][year]["measures"].values() for year in years}
    sums = [
        usd
        for year in years
        for usd in (
            _total(_received(row) for row in paid[year]),
            document["years"][year]["penalty_usd"],
        )
    ]
    table.add_row("together", *[_usd(usd) for usd in sums])
    console.print(table)
    for year, figures in document["years"].items():
        console.print(
            f"FY{year}: base payments {_usd(figures['annual_base_operating_payments'])} a year, "
            f"{_usd(figures['payments_after_the_factor'])} after the factor."
        )
    console.print()


def print_history(console: Console, document: Mapping[str, Any]) -> None:
    """How the forecasts of a year moved, and how good they were."""
    console.print(f"[bold]Earlier forecasts of FY{document['program_year']}[/bold]")
    table = _table("as of", "likely", "90 % range", "chance of a penalty")
    for night in document["nights"]:
        low, high = night.get("payment_reduction_interval", (None, None))
        table.add_row(
            night["as_of"],
            percent(night.get("payment_reduction_median")),
            "–" if low is None else f"{percent(low)} to {percent(high)}",
            chance(night.get("chance_of_penalty")),
        )
    console.print(table)
    score = document["score"]
    if score is None:
        console.print(
            f"CMS's figures of FY{document['program_year']} are not known here yet. hrrp public FILE --adopt takes over a supplemental "
            "file, setting hsr a Hospital-Specific Report; the next run scores these forecasts against it."
        )
    else:
        missed = score["mean_absolute_error"]
        console.print(
            f"Published: reduction {percent(document['published'].get('reduction'))}. These forecasts missed it by "
            f"{percent(missed.get('reduction'))} on average and the ERRs by {points(missed.get('err'), 4)}; "
            f"{percent(score['share_in_90_percent_range'], 0)} of the published figures lay in the 90 % range; Brier score of the chance "
            f"of a penalty {points(score['brier_score'], 3)} (0 is perfect, 0.25 is a coin)."
        )
    console.print()


def _received(row: Mapping[str, Any]) -> float | None:
    """Payments for a measure's readmissions: none without a readmission, unknown where there are some without a payment."""
    known: float | None = row["payments_for_readmissions_usd"]
    return 0.0 if known is None and not row["readmissions"] else known


def _total(parts: Iterable[float | None]) -> float | None:
    """The sum of what is known; unknown where nothing is."""
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


def _points(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:+.2f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:+.3f} %"


def _usd(value: float | None) -> str:
    """Dollars as they are: one readmission is worth too little to round to thousands."""
    if value is None:
        return "–"
    return f"{'-' if value <= -0.5 else ''}${abs(value):,.0f}"
