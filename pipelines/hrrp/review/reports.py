"""What the workbook and the brief of one hospital and program year hold, read and suppressed once, and the two written side by side.

Reads the published review database; only a patient list, where it is asked for by name, comes from the working file. Small cells
are hidden here, at the border, so that neither document can show what the other hides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from hrrp.errors import UsageError
from hrrp.program import MEASURES, Reference
from hrrp.review.brief import write_brief, write_pdf
from hrrp.review.forecasts import forecast_document, known
from hrrp.review.levels import blurred
from hrrp.review.report import Report
from hrrp.review.scenarios import break_even_document, open_review, starting
from hrrp.review.suppression import (
    EVERYTHING,
    HIDDEN,
    Disclosure,
    Flow,
    Intervals,
    Shown,
    disclose,
    fold_flow,
    hide_count,
    hide_measure,
    hide_total,
)
from hrrp.review.workbook import write_workbook
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse, open_warehouse

OUTCOME_DAYS, FOLLOW_UP_THROUGH = "outcome_days", "follow_up_through"

# ---- reading ----


def read_report(
    warehouse: Warehouse,
    reference: Reference,
    ccn: str,
    program_year: int,
    *,
    patient_level: bool = False,
    parameters: Mapping[str, Any] | None = None,
) -> Report:
    """Read and, below patient level, suppress what the documents of one hospital and program year hold.

    `parameters` are the site's overrides of rule parameters, as the run had them.

    Raises UsageError where the run has no such hospital or program year.
    """
    start = starting(warehouse, reference, ccn, program_year)
    asked = start if patient_level else blurred(start, reference.program_year(program_year))[0]
    rates = reference.national_rates(program_year)
    ((as_of, extract_end),) = warehouse.rows("select as_of, extract_end from intake.run")
    run_years = [
        year
        for (year,) in warehouse.rows(
            "select distinct program_year from result.forecast_inputs where ccn = $ccn order by 1", {"ccn": ccn}
        )
    ]
    own = parameters or {}
    spans = _known_spans(warehouse, reference, run_years, own)
    dual_spans = _known_spans(warehouse, reference, run_years, own, followed_up=False)
    seen = EVERYTHING if patient_level else disclosure(warehouse, ccn, spans)
    years = {year: _year(warehouse, year, ccn, seen) for year in run_years}
    forecast, measures = years[program_year]
    published_year, source, published = _published(warehouse, program_year, ccn, patient_level)
    return Report(
        ccn=ccn,
        name=known(start.name),
        rules=reference.program_year(program_year),
        as_of=as_of,
        extract_end=extract_end,
        files=tuple(
            name for (name,) in warehouse.rows("select source_file from intake.source_files order by source_file")
        ),
        patient_level=patient_level,
        closed=tuple(m for m in MEASURES if seen.state(program_year, m) is not Shown.OPEN),
        share_of_period=float(start.share_of_period),
        exempt=bool(forecast["exempt"]),
        table_1=_table_1(warehouse, ccn, program_year, dual_spans, forecast, patient_level),
        cap=float(start.national.cap),
        annual_payments=forecast["annual_base_operating_payments"],
        forecast=forecast,
        years={year: document for year, (document, _) in years.items()},
        measures=measures,
        national_rates=rates.value,
        national_rates_year=rates.year_used,
        flows=_flows(warehouse, ccn, program_year, spans, seen),
        meanings=dict(warehouse.rows("select reason, meaning from reference.reason_codes order by position")),
        break_even=_break_even(break_even_document(asked), seen, program_year),
        published_year=published_year,
        published=published,
        published_source=source,
        notes=tuple(forecast["notes"]),
    )


def disclosure(warehouse: Warehouse, ccn: str, spans: Mapping[int, tuple[date, date]]) -> Disclosure:
    """What a reader without patient level sees of one hospital, over all program years of the run at once."""
    rows = warehouse.read("select * from result.hospital_measures where ccn = $ccn", {"ccn": ccn})
    idle = {
        (int(year), str(measure))
        for year, measure in warehouse.rows(
            "select program_year, measure from result.hospital_measures inner join result.forecasts "
            "using (program_year, ccn, measure) where ccn = $ccn and figure = 'chance_of_contribution' "
            "and median = 0 and coalesce(contribution, 0) = 0",
            {"ccn": ccn},
        )
    }
    return disclose([{str(k): known(v) for k, v in row.items()} for row in rows.to_dict(orient="records")], spans, idle)


def _known_spans(
    warehouse: Warehouse,
    reference: Reference,
    years: Iterable[int],
    parameters: Mapping[str, Any],
    *,
    followed_up: bool = True,
) -> dict[int, tuple[date, date]]:
    """By program year the first day, and the day after the last, of its discharges whose outcome is known (or that are known)."""
    rules = reference.parameters(parameters)
    ((as_of, extract_end),) = warehouse.rows("select as_of, extract_end from intake.run")
    last = as_of if rules[FOLLOW_UP_THROUGH].value == "as_of" else min(as_of, extract_end)
    last = last - timedelta(days=int(rules[OUTCOME_DAYS].value)) if followed_up else min(as_of, extract_end)
    spans = {}
    for year in years:
        of_year = reference.program_year(year)
        spans[year] = (of_year.start, max(min(of_year.end, last), of_year.start) + timedelta(days=1))
    return spans


def _year(
    warehouse: Warehouse, year: int, ccn: str, seen: Disclosure
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """One program year as the reader may see it: the hospital's totals, and its measures to date and at the end of the period."""
    place = {"year": year, "ccn": ccn}
    document = forecast_document(warehouse, year, ccn)
    (penalty,) = warehouse.read(
        "select payment_reduction, penalty_usd, annual_base_operating_payments, dual_proportion, peer_group, "
        "neutrality_modifier from result.hospital_penalties where program_year = $year and ccn = $ccn",
        place,
    ).to_dict(orient="records")
    rows = {
        row["measure"]: {str(name): known(value) for name, value in row.items()}
        for row in warehouse.read(
            "select * from result.hospital_measures where program_year = $year and ccn = $ccn", place
        ).to_dict(orient="records")
    }
    measures = {
        measure: hide_measure(
            rows[measure] | document["measures"][measure], seen.state(year, measure), exact=seen.everything
        )
        for measure in MEASURES
    }
    totals = document | {str(name): known(value) for name, value in penalty.items()}
    del totals["measures"]
    coarse = seen.is_coarse(year)
    return hide_total(totals, coarse, exact=seen.everything) | {"coarse": coarse}, measures


def _table_1(
    warehouse: Warehouse,
    ccn: str,
    program_year: int,
    spans: Mapping[int, tuple[date, date]],
    totals: Mapping[str, Any],
    patient_level: bool,
) -> dict[str, Any]:
    """Table 1 in the order of the Hospital-Specific Report; the counts of overlapping years are weighed together."""
    ties = Intervals()
    dual, stays, proportion = None, None, totals["dual_proportion"]
    counts = {
        year: (known(some), known(all_of))
        for year, some, all_of in warehouse.rows(
            "select program_year, dual_stays, stays from payment.dual_proportions where ccn = $ccn", {"ccn": ccn}
        )
    }
    for year, span in spans.items():
        some, all_of = counts.get(year, (None, None))
        is_known = some is not None and all_of is not None
        may_see = patient_level or (is_known and ties.admit(*span, (some, all_of, all_of - some)))
        if year == program_year:
            dual, stays = (some, all_of) if may_see or not is_known else (HIDDEN, HIDDEN)
            proportion = proportion if may_see or not is_known else HIDDEN
    return {
        "dual_stays": dual,
        "stays": stays,
        "dual_proportion": proportion,
        "peer_group": totals["peer_group"],
        "neutrality_modifier": totals["neutrality_modifier"],
        "payment_reduction": totals["payment_reduction"],
        "paf": totals["paf"],
        "penalty_usd": totals["penalty_usd"],
    }


def _flows(
    warehouse: Warehouse, ccn: str, program_year: int, spans: Mapping[int, tuple[date, date]], seen: Disclosure
) -> dict[str, Flow]:
    """Where the judged stays of each measure went, by first reason, in the order in which the reasons are asked."""
    counts: dict[str, dict[int, dict[str, int]]] = {measure: {year: {} for year in spans} for measure in MEASURES}
    for year, measure, reason, stays in warehouse.rows(
        "select program_year, measure, first_reason, stays from cohort.measure_counts "
        "left join reference.reason_codes on reason = first_reason "
        "where ccn = $ccn order by program_year, measure, position nulls first",
        {"ccn": ccn},
    ):
        counts[measure].setdefault(year, {})[reason] = int(stays)
    if seen.everything:
        return {measure: _whole_flow(of_years[program_year]) for measure, of_years in counts.items()}
    return {
        measure: fold_flow(of_years, spans, [year for year in spans if seen.state(year, measure) is Shown.OPEN])[
            program_year
        ]
        for measure, of_years in counts.items()
    }


def _whole_flow(parts: Mapping[str, int]) -> Flow:
    reasons = {reason: count for reason, count in parts.items() if reason != "included"}
    return Flow(sum(parts.values()), parts.get("included", 0), reasons, 0)


def _break_even(document: Mapping[str, Any], seen: Disclosure, year: int) -> dict[str, Any]:
    """How many readmissions fewer for no penalty, by measure and together; None where it is out of reach.

    The document's other figures (what is avoidable, what remains) carry the digits of the readmissions themselves, and stay out;
    so does an answer that depends on a measure not shown in full.
    """
    hidden = seen.is_coarse(year)
    return {
        "measures": {
            measure: row["total"] if seen.state(year, measure) is Shown.OPEN else HIDDEN
            for measure, row in document["measures"].items()
        },
        "together": HIDDEN if hidden else document["no_penalty"]["avoid"],
        "total": HIDDEN if hidden else document["no_penalty"]["total"],
    }


def _published(
    warehouse: Warehouse, year: int, ccn: str, patient_level: bool
) -> tuple[int | None, str | None, dict[str | None, dict[str, Any]]]:
    """The newest figures that CMS published of the hospital, this year's if there are, and where they stood."""
    rows = warehouse.rows(
        "select program_year, measure, figure, value, source from reference.published_results "
        "where ccn = $ccn and program_year <= $year qualify program_year = max(program_year) over () "
        "order by measure nulls first, figure",
        {"ccn": ccn, "year": year},
    )
    if not rows:
        return None, None, {}
    figures: dict[str | None, dict[str, Any]] = {}
    for _, measure, figure, value, _ in rows:
        hides = figure == "eligible_discharges" and not patient_level
        figures.setdefault(measure, {})[figure] = hide_count(value) if hides else value
    return int(rows[0][0]), str(rows[0][4]), figures


# ---- patients ----


def read_patients(settings: Settings, ccn: str, program_year: int) -> dict[str, pd.DataFrame]:
    """Every judged stay of the hospital by measure, from the working file of the run: columns as `STAYS` of the workbook.

    Raises UsageError where the working file is not there.
    """
    path = settings.out / "hrrp.duckdb"
    if not path.is_file():
        raise UsageError(
            f"A patient list was asked for and {settings.out} has no {path.name}: single stays are in the working file of a run "
            "alone. Run `hrrp run` there first, or leave --patients out."
        )
    with open_warehouse(path, settings, read_only=True) as warehouse:
        rows = warehouse.read(
            """
            select
                flow.measure,
                flow.stay_id,
                persons.person_id,
                own.medical_record_number,
                persons.birth_date,
                stays.admit_date,
                stays.discharge_date,
                indicators.indicator,
                case when flow.included then 'Yes' else 'No' end as index_stay,
                array_to_string(flow.reasons, ', ') as reasons,
                stays.principal_code,
                stays.discharge_status,
                case when returns.unplanned_readmission then 'Yes' when flow.included then 'No' end as unplanned,
                case when returns.planned then 'Yes' when flow.included then 'No' end as planned,
                return_stays.admit_date as readmission_date,
                return_stays.discharge_date as readmission_discharge_date,
                return_stays.principal_code as readmission_code,
                case
                    when returns.readmission_ccn = flow.ccn then 'Yes'
                    when returns.readmission_ccn is not null then 'No'
                end as same_hospital,
                returns.readmission_ccn
            from cohort.cohort_flow as flow
            inner join cohort.stays as stays using (stay_key)
            inner join staging.persons as persons using (person_key)
            left join staging.stays as own using (stay_key)
            left join cohort.report_indicators as indicators
                on
                    flow.program_year = indicators.program_year
                    and flow.measure = indicators.measure
                    and flow.stay_key = indicators.stay_key
            left join cohort.readmissions as returns
                on
                    flow.program_year = returns.program_year
                    and flow.measure = returns.measure
                    and flow.stay_key = returns.stay_key
            left join cohort.stays as return_stays on returns.readmission_stay_key = return_stays.stay_key
            where flow.program_year = $year and flow.ccn = $ccn
            order by flow.measure, stays.discharge_date, flow.stay_id
            """,
            {"year": program_year, "ccn": ccn},
        )
    return {measure: rows[rows["measure"] == measure].drop(columns="measure") for measure in MEASURES}


# ---- writing ----


def write_reports(
    settings: Settings,
    ccn: str,
    program_year: int,
    folder: Path | None = None,
    *,
    patients: bool = False,
    pdf: bool = True,
) -> dict[str, Any]:
    """Write workbook, brief and its PDF of one hospital and program year; returns where they lie and what was left out.

    `folder` is OUT/reports unless given. With `patients` the workbook is at patient level and named so; the brief never is. The PDF
    is None, with the reason, where there is no Chromium.
    """
    folder = folder or settings.out / "reports"
    reference = Reference(settings.site_reference)
    with open_review(settings) as warehouse:
        report = read_report(warehouse, reference, ccn, program_year, parameters=settings.parameters)
        whole = (
            read_report(warehouse, reference, ccn, program_year, patient_level=True, parameters=settings.parameters)
            if patients
            else report
        )
    stem = f"hrrp_{ccn}_FY{program_year}"
    workbook = folder / f"{stem}{'_patients' if patients else ''}.xlsx"
    brief, printed = folder / f"{stem}.html", folder / f"{stem}.pdf"
    rows = read_patients(settings, ccn, program_year) if patients else None
    write_workbook(whole, workbook, rows)
    write_brief(report, brief)
    missing = write_pdf(brief, printed, report.as_of) if pdf else "not asked for"
    return {
        "ccn": ccn,
        "name": report.name,
        "program_year": program_year,
        "as_of": str(report.as_of),
        "patient_level": patients,
        "workbook": str(workbook),
        "brief": str(brief),
        "pdf": None if missing else str(printed),
        "pdf_left_out": missing,
    }
