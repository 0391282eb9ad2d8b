"""What avoiding a readmission is worth to one hospital, as a document: fee for service beside value, measure by measure.

Reads the published review database. The arithmetic is in `hrrp.outlook.value`.
"""

from __future__ import annotations

import math
from datetime import date
from typing import Any

from hrrp.outlook.drivers import capped_shares
from hrrp.outlook.forecast import Change, national_draws
from hrrp.outlook.value import YearInputs, value_of_avoiding
from hrrp.outlook.what_if import what_if
from hrrp.program import MEASURES, Reference
from hrrp.review.scenarios import starting
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse

MARGIN = "readmission_margin_usd"
DAYS_A_YEAR = 365.25


def value_document(warehouse: Warehouse, reference: Reference, settings: Settings, ccn: str) -> dict[str, Any]:
    """Penalty and payments of readmissions by program year and measure, and the value of one avoided from now on, best first.

    A readmission avoided from now on counts in every program year of the run whose applicable period is not over. Values are None
    where payments are unknown.
    """
    margin = reference.parameters(settings.parameters)[MARGIN]
    ((as_of,),) = warehouse.rows("select as_of from intake.run")
    of_run = [
        year
        for (year,) in warehouse.rows(
            "select distinct program_year from result.forecast_inputs where ccn = $ccn order by 1", {"ccn": ccn}
        )
    ]
    starts = {year: starting(warehouse, reference, ccn, year) for year in of_run}
    received = _received(warehouse, ccn)
    years: dict[str, Any] = {}
    for year, start in starts.items():
        end = what_if(start.hospital, start.national, Change())
        payments = start.hospital.annual_payments
        shares = capped_shares({m: figures.contribution for m, figures in end.measures.items()}, start.national.cap)
        years[str(year)] = {
            "annual_base_operating_payments": _number(payments),
            "payments_after_the_factor": _number(payments * (1.0 - end.reduction)),
            "payment_reduction": _number(end.reduction),
            "penalty_usd": _number(payments * end.reduction),
            "measures": {
                measure: {
                    "penalty_usd": _number(payments * shares[measure]),
                    "readmissions": received.get((year, measure), {}).get("readmissions", 0),
                    "readmissions_paid_here": received.get((year, measure), {}).get("paid_here", 0),
                    "payments_for_readmissions_usd": received.get((year, measure), {}).get("payments_here"),
                }
                for measure in MEASURES
            },
        }
    open_years = [year for year in of_run if reference.program_year(year).end > as_of]
    document: dict[str, Any] = {
        "ccn": ccn,
        "name": next((start.name for start in starts.values()), None),
        "as_of": str(as_of),
        "margin_usd": margin.value,
        "margin_confidence": margin.confidence,
        "margin_source": margin.source,
        "years": years,
        "years_still_open": open_years,
        "years_not_in_run": _years_left_out(reference, of_run, as_of),
        "one_avoided_readmission": [],
    }
    inputs = [
        YearInputs(year, starts[year].hospital, starts[year].national, _period_years(reference, year))
        for year in open_years
    ]
    if inputs:
        shared = national_draws(settings.draws, settings.seed)
        for value in value_of_avoiding(inputs, shared, float(margin.value), _payment_each(received)):
            document["one_avoided_readmission"].append(
                {
                    "measure": value.measure,
                    "penalty_avoided_usd": {str(year): _number(usd) for year, usd in value.penalty_avoided.items()},
                    "margin_lost_usd": value.margin_lost,
                    "net_usd": _number(value.net),
                    "net_interval_usd": [_number(bound) for bound in value.interval],
                    "penalty_per_dollar_of_excess_readmissions": value.multiplier,
                    "pays": bool(value.net > 0) if math.isfinite(value.net) else None,
                    "reason": value.reason,
                }
            )
    return document


def _years_left_out(reference: Reference, of_run: list[int], as_of: date) -> list[int]:
    """Program years in which a discharge of the as-of date counts too, and that the run did not compute."""
    return [
        year
        for year, rules in sorted(reference.program_years.items())
        if year not in of_run and any(period.start <= as_of <= period.end for period in rules.periods)
    ]


def _received(warehouse: Warehouse, ccn: str) -> dict[tuple[int, str], dict[str, Any]]:
    """What the hospital was paid for readmissions to itself, by program year and measure."""
    return {
        (year, measure): {"readmissions": readmissions, "paid_here": paid, "payments_here": payments}
        for year, measure, readmissions, paid, payments in warehouse.rows(
            "select program_year, measure, readmissions, paid_here, payments_here from result.readmission_payments "
            "where ccn = $ccn",
            {"ccn": ccn},
        )
    }


def _payment_each(received: dict[tuple[int, str], dict[str, Any]]) -> dict[str, float]:
    """Mean payment of a readmission by measure, over the program years of the run."""
    found = {}
    for measure in MEASURES:
        rows = [row for (_, other), row in received.items() if other == measure and row["payments_here"]]
        paid = sum(row["paid_here"] for row in rows)
        if paid:
            found[measure] = sum(row["payments_here"] for row in rows) / paid
    return found


def _period_years(reference: Reference, year: int) -> float:
    periods = reference.program_year(year).periods
    return sum((period.end - period.start).days + 1 for period in periods) / DAYS_A_YEAR


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
