"""Why a hospital stands where it stands, as a document: contributions, predicted less expected, what changed, what carries expected.

Reads the published review database. The arithmetic is in `hrrp.outlook.drivers`; the risk factors are tables of the pipeline.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import logit

from hrrp.outlook.assembly import hospital_to_date
from hrrp.outlook.drivers import (
    MeasureState,
    PrintedState,
    capped_shares,
    change_between_reports,
    change_of_contribution,
    excess,
)
from hrrp.outlook.forecast import HospitalToDate, National
from hrrp.outlook.national import national_figures
from hrrp.outlook.what_if import peer_group_of
from hrrp.program import MEASURES, Reference
from hrrp.review.scenarios import Starting
from hrrp.warehouse import Warehouse

FACTORS_LISTED = 5


def drivers_document(warehouse: Warehouse, start: Starting, reference: Reference) -> dict[str, Any]:
    """What moves one hospital's penalty of one program year, on the discharges known so far.

    `change_since_year_before` compares with the year before of the same run, cause by cause; `change_since_published` with the last
    figures that CMS published for the hospital; `change_since_report`, cause by cause again, with the site's own report of a year before,
    whose rows tell its case mix. Each is None where there is nothing to compare with.
    """
    states = _states(start.hospital, start.national)
    contribution = {measure: state.contribution() for measure, state in states.items()}
    before = _year_before(warehouse, reference, start)
    printed_year, printed = _published(warehouse, reference, start)
    report_year, reported = _report(warehouse, start)
    factors = _factors(warehouse, reference, start, "risk_factor_drivers", "mean_value, mean_value_all")
    gaps = _factors(warehouse, reference, start, "documentation_gaps", "by_history_alone, index_admissions")
    shares = capped_shares({m: _zero(v) for m, v in contribution.items()}, start.national.cap)
    measures: dict[str, Any] = {}
    for measure, state in states.items():
        parts = excess(state)
        known = state.cases > 0
        measures[measure] = {
            "contribution": _number(contribution[measure]),
            "share_of_reduction": _number(shares[measure]) if math.isfinite(contribution[measure]) else None,
            "observed_less_expected": _number(parts.observed_less_expected),
            "shrinkage": _number(parts.shrinkage) if known else None,
            "predicted_less_expected": _number(parts.predicted_less_expected) if known else None,
            "change_since_year_before": _parts(change_of_contribution(before[measure], state)) if before else None,
            "change_since_published": _since_published(printed.get(measure), state),
            "change_since_report": _since_report(reported.get(measure), state),
            "risk_factors": factors.get(measure, []),
            "documentation_gaps": gaps.get(measure, []),
        }
    return {
        "year_before": start.program_year - 1 if before else None,
        "published_year": printed_year,
        "report_year": report_year,
        "measures": measures,
    }


def dual_by_month(warehouse: Warehouse, ccn: str) -> list[dict[str, Any]]:
    """The hospital's dual proportion over the twelve months to each month, oldest first."""
    return [
        {"month": str(month)[:7], "dual_stays": dual, "stays": stays, "dual_proportion": proportion}
        for month, dual, stays, proportion in warehouse.rows(
            "select month, dual_stays, stays, dual_proportion from result.dual_by_month where ccn = $ccn order by month",
            {"ccn": ccn},
        )
    ]


def _states(hospital: HospitalToDate, national: National) -> dict[str, MeasureState]:
    """Each measure as the discharges known so far give it; without a case one patient at the national rate stands for the case mix."""
    group = peer_group_of(hospital, national)
    states = {}
    for k, (measure, known) in enumerate(zip(MEASURES, hospital.measures, strict=True)):
        rows = known.linear_predictor
        states[measure] = MeasureState(
            cases=float(rows.size),
            linear_predictor=rows if rows.size else np.array([float(logit(known.national_rate))]),
            readmissions=float(known.readmissions),
            median=float(national.medians[group - 1, k]),
            # A measure out of the payment formula contributes nothing, whatever its payments.
            drg_payment_ratio=known.drg_payment_ratio if national.in_payment[k] else 0.0,
            neutrality_modifier=national.neutrality_modifier,
            tau2=known.tau2,
        )
    return states


def _year_before(warehouse: Warehouse, reference: Reference, start: Starting) -> dict[str, MeasureState] | None:
    rows = warehouse.read(
        "select * from result.forecast_inputs where program_year = $year and ccn = $ccn order by measure",
        {"year": start.program_year - 1, "ccn": start.hospital.ccn},
    ).to_dict(orient="records")
    if not rows:
        return None
    national, _ = national_figures(reference, start.program_year - 1)
    return _states(hospital_to_date(rows), national)


def _published(
    warehouse: Warehouse, reference: Reference, start: Starting
) -> tuple[int | None, dict[str, PrintedState]]:
    """The hospital's last published figures of a year before this one, with that year's median and modifier."""
    rows = warehouse.rows(
        "select program_year, measure, figure, value from reference.published_results "
        "where ccn = $ccn and program_year < $year and measure is not null "
        "qualify program_year = max(program_year) over ()",
        {"ccn": start.hospital.ccn, "year": start.program_year},
    )
    if not rows:
        return None, {}
    year = int(rows[0][0])
    national, _ = national_figures(reference, year)
    group = peer_group_of(start.hospital, national)
    figures: dict[str, dict[str, float]] = {}
    for _, measure, figure, value in rows:
        figures.setdefault(measure, {})[figure] = value
    return year, {
        measure: PrintedState(
            cases=found.get("eligible_discharges", math.nan),
            err=found.get("err", math.nan),
            median=float(national.medians[group - 1, MEASURES.index(measure)]),
            drg_payment_ratio=found.get("drg_payment_ratio", math.nan),
            neutrality_modifier=national.neutrality_modifier,
        )
        for measure, found in figures.items()
        if measure in MEASURES
    }


def _since_published(old: PrintedState | None, new: MeasureState) -> dict[str, float | None] | None:
    if old is None or not math.isfinite(old.err) or new.cases <= 0 or math.isnan(new.contribution()):
        return None
    now = PrintedState(new.cases, new.err(), new.median, new.drg_payment_ratio, new.neutrality_modifier)
    return _parts(change_between_reports(old, now))


def _report(warehouse: Warehouse, start: Starting) -> tuple[int | None, dict[str, MeasureState]]:
    """The measures of the site's own report, if it is of a year before this one and of this hospital; scored with today's variance."""
    rows = warehouse.read(
        "select * from result.report_measures where ccn = $ccn and program_year < $year",
        {"ccn": start.hospital.ccn, "year": start.program_year},
    ).to_dict(orient="records")
    tau2 = {measure: known.tau2 for measure, known in zip(MEASURES, start.hospital.measures, strict=True)}
    states = {}
    for row in rows:
        predictors = np.asarray(row["linear_predictors"], dtype=np.float64)
        median, ratio, modifier = (
            float(row[name]) for name in ("peer_group_median", "drg_payment_ratio", "neutrality_modifier")
        )
        if predictors.size and math.isfinite(median * ratio * modifier):
            measure = str(row["measure"])
            states[measure] = MeasureState(
                float(predictors.size), predictors, float(row["readmissions"]), median, ratio, modifier, tau2[measure]
            )
    return (int(rows[0]["program_year"]) if states else None), states


def _since_report(old: MeasureState | None, new: MeasureState) -> dict[str, float | None] | None:
    if old is None or new.cases <= 0:
        return None
    return _parts(change_of_contribution(old, new))


def _factors(
    warehouse: Warehouse, reference: Reference, start: Starting, table: str, columns: str
) -> dict[str, list[dict[str, Any]]]:
    """The risk factors of a result table that weigh most in expected, by measure, with their names in CMS's reports."""
    labels = {(row["measure"], row["variable_key"]): row["report_label"] for row in reference.rows("risk_variables")}
    # Table and columns are this module's own words.
    rows = warehouse.read(
        f"select measure, variable_key, coefficient, expected_difference, {columns} from result.{table} "  # noqa: S608
        "where program_year = $year and ccn = $ccn order by measure, abs(expected_difference) desc, variable_key",
        {"year": start.program_year, "ccn": start.hospital.ccn},
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows.to_dict(orient="records"):
        measure = str(row.pop("measure"))
        listed = found.setdefault(measure, [])
        if len(listed) < FACTORS_LISTED and row["expected_difference"]:
            label = labels.get((measure, row["variable_key"]), row["variable_key"])
            listed.append({"label": label} | {str(name): value for name, value in row.items()})
    return found


def _parts(parts: dict[str, float]) -> dict[str, float | None]:
    return {cause: _number(part) for cause, part in parts.items()}


def _zero(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
