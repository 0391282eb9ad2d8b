"""What-if and break-even as documents: one function each, asked by the command line and by the page, so that both answer alike.

Reads the published review database only. A scenario is solved twice: exactly in the middle of the road (`hrrp.outlook.what_if`), and as
a distribution on the very draws of the forecast (`hrrp.outlook.forecast`), so that the scenario of nothing is the forecast itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrrp.errors import UsageError
from hrrp.outlook.assembly import hospital_to_date
from hrrp.outlook.forecast import (
    Forecast,
    HospitalToDate,
    National,
    OwnDraws,
    forecast_hospital,
    national_draws,
    own_draws,
)
from hrrp.outlook.national import national_figures
from hrrp.outlook.what_if import (
    BreakEven,
    HospitalEnd,
    Scenario,
    break_even,
    break_even_measure,
    case_edges,
    contribution_at_25_cases,
    contribution_path,
    peer_edges,
    unavoidable,
    what_if,
)
from hrrp.program import MEASURES, Reference
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse, open_warehouse

TENTH_OF_A_PERCENT = 0.001


@dataclass(frozen=True)
class Starting:
    """What every question about one hospital and program year starts from."""

    program_year: int
    name: str | None
    hospital: HospitalToDate
    national: National
    notes: list[str]
    share_of_period: float
    dual_stays: float


def review_database(settings: Settings) -> Path:
    """The published review database of the site.

    Raises UsageError where no run has published one.
    """
    path = settings.out / "review.duckdb"
    if not path.is_file():
        raise UsageError(
            f"There are no results in {settings.out} yet ({path.name} is not there). Run `hrrp run` first, "
            "or name the folder of a run with --out."
        )
    return path


def starting(
    warehouse: Warehouse,
    reference: Reference,
    ccn: str,
    program_year: int,
) -> Starting:
    """Read one hospital's starting point.

    Raises UsageError naming the hospitals and years that there are, where the one asked for is not among them.
    """
    rows = warehouse.records(
        "select * from result.forecast_inputs where program_year = $year and ccn = $ccn order by measure",
        {"year": program_year, "ccn": ccn},
    )
    if not rows:
        years = [
            str(year)
            for (year,) in warehouse.rows("select distinct program_year from result.forecast_inputs order by 1")
        ]
        ((hospitals,),) = warehouse.rows("select count(distinct ccn) from result.forecast_inputs")
        raise UsageError(
            f"No results for hospital {ccn} and FY{program_year}. The last run has {hospitals} hospital(s) and the program "
            f"years {', '.join(years) or 'none'}."
        )
    names = warehouse.rows("select name from result.hospital_penalties where ccn = $ccn limit 1", {"ccn": ccn})
    return starting_from(program_year, names[0][0] if names else None, rows, national_figures(reference, program_year))


def starting_from(
    program_year: int, name: str | None, rows: Sequence[Mapping[str, Any]], figures: tuple[National, list[str]]
) -> Starting:
    """One hospital's starting point from its rows of result.forecast_inputs, already read, and the year's `national_figures`."""
    rows = [{key: math.nan if value is None else value for key, value in row.items()} for row in rows]
    national, notes = figures
    return Starting(
        program_year=program_year,
        name=name,
        hospital=hospital_to_date(rows),
        national=national,
        notes=list(notes),
        share_of_period=float(rows[0]["share_of_period"]),
        dual_stays=float(rows[0]["dual_stays"]),
    )


def hospitals_and_years(warehouse: Warehouse) -> list[tuple[str, int]]:
    """Every (CCN, program year) with results."""
    return [
        (ccn, year)
        for ccn, year in warehouse.rows("select distinct ccn, program_year from result.forecast_inputs order by 2, 1")
    ]


def scenario_document(
    start: Starting, scenario: Scenario, settings: Settings, own: OwnDraws | None = None
) -> dict[str, Any]:
    """A scenario beside the forecast it changes: exact figures and distribution of both, and the differences.

    `own` are the hospital's draws where the caller keeps them.
    """
    shared = national_draws(settings.draws, settings.seed)
    base = what_if(start.hospital, start.national, Scenario().change)
    changed = what_if(start.hospital, start.national, scenario.change)
    own = own or own_draws(start.hospital.ccn, shared)
    base_draws = forecast_hospital(start.hospital, start.national, shared, own=own, spread=False)
    changed_draws = (
        base_draws
        if scenario == Scenario()
        else forecast_hospital(start.hospital, start.national, shared, scenario.change, own, spread=False)
    )
    payments = start.hospital.annual_payments
    return {
        "program_year": start.program_year,
        "ccn": start.hospital.ccn,
        "name": start.name,
        "scenario": scenario.to_document(),
        "forecast": _side(base, base_draws, payments),
        "what_if": _side(changed, changed_draws, payments),
        "difference": {
            "payment_reduction": _number(changed.reduction - base.reduction),
            "penalty_usd": _number(payments * (changed.reduction - base.reduction)),
            "chance_of_penalty": _number(changed_draws.chance_of_penalty - base_draws.chance_of_penalty),
        },
        "notes": [*_beyond_reach(start, scenario), *start.notes],
    }


def _beyond_reach(start: Starting, scenario: Scenario) -> list[str]:
    """What a scenario asks for that the rest of the period cannot give."""
    return [
        f"{measure}: {avoided:g} readmissions avoided, but only about {coming:.0f} are still to come in this period; what has happened "
        "cannot be avoided any more"
        for measure, (avoided, coming) in unavoidable(start.hospital, start.national, scenario.change).items()
    ]


def _side(end: HospitalEnd, draws: Forecast, payments: float) -> dict[str, Any]:
    low, median, high = (float(value) for value in draws.reduction)
    return {
        "peer_group": end.peer_group,
        "payment_reduction": _number(end.reduction),
        "paf": _number(1.0 - end.reduction),
        "penalty_usd": _number(payments * end.reduction),
        "payment_reduction_median": _number(median),
        "payment_reduction_interval": [_number(low), _number(high)],
        "penalty_usd_median": _number(payments * median),
        "penalty_usd_interval": [_number(payments * low), _number(payments * high)],
        "chance_of_penalty": _number(draws.chance_of_penalty),
        "chance_of_cap": _number(draws.chance_of_cap),
        "measures": {
            measure: {
                "cases": _number(figures.cases),
                "readmissions": _number(figures.readmissions),
                "predicted": _number(figures.predicted),
                "expected": _number(figures.expected),
                "err": _number(figures.err),
                "err_interval": [_number(float(draws.err[k][0])), _number(float(draws.err[k][2]))],
                "peer_group_median": _number(figures.median),
                "reliability": _number(figures.reliability),
                "contribution": _number(figures.contribution),
                "chance_of_25_cases": _number(float(draws.chance_of_cases[k])),
            }
            for k, (measure, figures) in enumerate(end.measures.items())
        },
    }


def break_even_document(start: Starting, target: float | None = None) -> dict[str, Any]:
    """Fewest readmissions to avoid by the end of the period: per measure, for no penalty, for the next 0.1 %, for a target."""
    base = what_if(start.hospital, start.national, Scenario().change)
    next_tenth = 0.0
    if math.isfinite(base.reduction):
        next_tenth = max((math.ceil(base.reduction / TENTH_OF_A_PERCENT - 1e-9) - 1) * TENTH_OF_A_PERCENT, 0.0)
    edges = peer_edges(start.hospital, start.national, start.dual_stays) if math.isfinite(start.dual_stays) else []
    at_25 = contribution_at_25_cases(start.hospital, start.national)
    paths = {
        measure: contribution_path(start.hospital, start.national, measure, Scenario().change) for measure in MEASURES
    }
    document: dict[str, Any] = {
        "program_year": start.program_year,
        "ccn": start.hospital.ccn,
        "name": start.name,
        "share_of_period": start.share_of_period,
        "payment_reduction": _number(base.reduction),
        "measures": {
            measure: _even(break_even_measure(start.hospital, start.national, measure, paths=paths))
            | {
                "contribution": _number(base.measures[measure].contribution),
                "avoidable": _number(base.measures[measure].avoidable),
                "cases_above_25": _number(case_edges(start.hospital)[measure]),
                "contribution_at_25_cases": _known(at_25[measure]),
            }
            for measure in MEASURES
        },
        "no_penalty": _even(break_even(start.hospital, start.national, 0.0, paths=paths)),
        "next_tenth_of_a_percent": _even(break_even(start.hospital, start.national, next_tenth, paths=paths)),
        "peer_group": base.peer_group,
        "peer_group_edges": [
            {
                "peer_group": edge.peer_group,
                "dual_proportion_cut": edge.cut,
                "dual_stays_away": edge.dual_stays_away,
                "payment_reduction_there": _number(edge.reduction),
            }
            for edge in edges
        ],
        "notes": start.notes,
    }
    if target is not None:
        document["target"] = _even(break_even(start.hospital, start.national, target, paths=paths))
    return document


def _even(found: BreakEven) -> dict[str, Any]:
    return {
        "target": found.target,
        "avoid": found.avoid,
        "total": found.total,
        "payment_reduction": _number(found.reduction),
        "reason": found.reason,
    }


def _known(value: float | None) -> float | None:
    return None if value is None else _number(value)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def open_review(settings: Settings) -> Any:
    """Open the published review database read-only, as a context manager of a Warehouse."""
    return open_warehouse(review_database(settings), settings, read_only=True)
