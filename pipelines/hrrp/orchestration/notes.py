"""The notes of a result: stand-ins, skipped rules, choices of less than high confidence, lists that ran. One sentence each."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pandas as pd

from hrrp.orchestration.scoring import last_known_day, program_years, readmissions_elsewhere
from hrrp.outlook.projection import FEWEST_DAYS, TOO_FEW_DAYS
from hrrp.program import MEASURES, Published, Reference
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse

# A last month with less than this share of the stays of the months before looks incomplete, where these have enough stays to tell.
INCOMPLETE = 0.75
FEWEST_IN_A_MONTH = 50


def result_notes(warehouse: Warehouse, settings: Settings, reference: Reference) -> pd.DataFrame:
    """result.notes: for each program year, its notes in the order in which a reader needs them."""
    skipped = [
        f"{rule}: {missing} missing, {consequence}"
        for rule, missing, consequence in warehouse.rows(
            "select rule, missing_input, consequence from staging.skipped_rules order by all"
        )
    ]
    extract = [note for (note,) in warehouse.rows("select note from intake.notes")]
    rejected = warehouse.rows("select sum(rows_read), sum(rows_rejected) from staging.row_accounting")[0]
    parameters = reference.parameters(settings.parameters)
    choices = [
        f"parameter {each.name} = {each.value} (confidence {each.confidence}): {each.meaning}"
        for each in parameters.values()
        if each.confidence != "high" or each.is_overridden
    ]
    calibrations = [
        f"expected of {row['ccn']} {row['measure']} calibrated for missing history by {float(row['logit_offset']):+.4f} "
        f"(standard error {float(row['standard_error']):.4f}) on {row['matched_stays']} stays in common with {row['source']}"
        for row in reference.rows("expected_calibration")
    ]
    unseen = elsewhere(warehouse, settings, reference) + run_out(warehouse) + report(warehouse, settings)
    unseen += successions(warehouse)
    lists = [f"reference table {table} is the site's own" for table in reference.site_tables()] + reference.list_notes()
    rows = []
    for year in program_years(warehouse):
        found = figures_of_this_run(warehouse, settings, year)
        found += stand_ins(reference, year, fitted(warehouse, year), forecast_only=bool(found))
        found += variances(warehouse, year) + extract + skipped
        found += (
            history(warehouse, settings, reference, year)
            + volumes(warehouse, year)
            + unseen
            + calibrations
            + money(warehouse, year)
            + lists
            + choices
        )
        if rejected[1]:
            found.append(f"{rejected[1]:,} of {rejected[0]:,} rows read are in staging.rejects")
        rows += [{"program_year": year, "position": k, "note": note} for k, note in enumerate(dict.fromkeys(found), 1)]
    return pd.DataFrame(rows)


def fitted(warehouse: Warehouse, year: int) -> set[str]:
    """The measures whose model was fitted on the data at hand."""
    sql = "select distinct measure from risk.model_in_force where basis = 'fit' and program_year = $year"
    return {measure for (measure,) in warehouse.rows(sql, {"year": year})}


def figures_of_this_run(warehouse: Warehouse, settings: Settings, year: int) -> list[str]:
    """Which hospitals peer groups, medians and neutrality modifier are computed from; nothing where CMS's published ones serve."""
    if settings.national_figures != "fit":
        return []
    ((hospitals, grouped, paid, balanced),) = warehouse.rows(
        "select count(distinct ccn), count(distinct ccn) filter (measures.peer_group is not null), "
        "count(distinct ccn) filter (measures.peer_group is not null and annual_base_operating_payments > 0), "
        "bool_or(neutrality_modifier is not null) "
        "from result.hospital_measures as measures inner join result.forecast_inputs using (program_year, ccn, measure) "
        "where program_year = $year",
        {"year": year},
    )
    found = [
        f"peer medians, groups and modifier computed from the {grouped} hospitals of this run, in place of CMS's, for the figures to "
        "date; a peer_group of the hospitals file is not used; the forecast keeps CMS's published ones"
    ]
    if grouped < hospitals:
        found.append(
            f"{hospitals - grouped} hospital(s) without a dual proportion, or exempt, are left out of the peer groups, medians and modifier"
        )
    if not balanced:
        found.append(
            f"no neutrality modifier balances the payments of this run's hospitals in FY{year}: a measure above its median has no known "
            "contribution"
        )
    elif paid < grouped:
        found.append(
            f"{grouped - paid} hospital(s) without base operating payments are left out of the neutrality modifier; their dollars are "
            "unknown"
        )
    return found


def stand_ins(
    reference: Reference, year: int, without_model: Collection[str] = (), *, forecast_only: bool = False
) -> list[str]:
    """What is not published for the year, and which year's figure took its place; `without_model` need no published model.

    `forecast_only`: modifier, medians and cuts serve the forecast alone.
    """
    of_peers: list[Published[Any]] = [
        reference.neutrality_modifier(year),
        reference.peer_group_medians(year),
        reference.peer_group_cuts(year),
    ]
    others: list[Published[Any]] = [
        reference.national_rates(year),
        *(reference.published_model(measure, year) for measure in MEASURES if measure not in without_model),
    ]
    where = ", in the forecast only" if forecast_only else ""
    named = [f"{figure.note}{where}" for figure in of_peers if figure.note]
    return named + [figure.note for figure in others if figure.note] + list(reference.year_notes(year))


def variances(warehouse: Warehouse, year: int) -> list[str]:
    """Where the between-hospital variance of each measure comes from."""
    return [
        f"between-hospital variance of {measure}: {value:.4f} ({source})"
        for measure, value, source in warehouse.rows(
            "select measure, value, source from risk.model_in_force where kind = 'variance' and program_year = $year order by 1",
            {"year": year},
        )
    ]


def history(warehouse: Warehouse, settings: Settings, reference: Reference, year: int) -> list[str]:
    """Whether what lies before a period that still runs is part of this run."""
    if year - 1 in program_years(warehouse):
        return []
    if last_known_day(warehouse, settings, reference) >= reference.program_year(year).end:
        return []
    return [
        f"FY{year - 1} is not part of this run: the forecast of FY{year} knows nothing of the admissions, results and payments before "
        "its period; the program years being earned, run together, know more"
    ]


def volumes(warehouse: Warehouse, year: int) -> list[str]:
    """Whether there is anything to project volumes from."""
    ((without, longest),) = warehouse.rows(
        "select count(*) filter (volume_basis = $basis), count(*) from result.forecast_inputs where program_year = $year",
        {"year": year, "basis": TOO_FEW_DAYS},
    )
    if not without or without < longest:
        return []
    return [
        f"volumes of FY{year} cannot be projected: fewer than {FEWEST_DAYS} days of index admissions are known on the as-of date, so that "
        "the forecast expects none to come; its chances mean nothing yet"
    ]


def elsewhere(warehouse: Warehouse, settings: Settings, reference: Reference) -> list[str]:
    """Whether readmissions to other hospitals are in the data, and what stands in for them where they are not."""
    unseen = readmissions_elsewhere(settings, reference)
    if unseen:
        shares = ", ".join(f"{measure} {found.share:.0%} ({found.source})" for measure, found in unseen.items())
        return [
            "readmissions to other hospitals are not in the extract (sees_other_hospitals = false): rates to date are same-hospital "
            "rates, of own readmissions only, and cannot be compared with CMS's; the forecast adds the share that goes elsewhere: "
            f"{shares}"
        ]
    ((listed, others),) = warehouse.rows(
        "select count(distinct hospitals.ccn), count(distinct stays.ccn) filter (hospitals.ccn is null) "
        "from cohort.stays left join staging.hospitals using (ccn)"
    )
    if listed and not others:
        return [
            f"every stay of the extract is at the {listed} hospital(s) of the hospitals file: if it holds own discharges only, "
            "readmissions to other hospitals are missing; set sees_other_hospitals = false in hrrp.toml, and shares stand in for them"
        ]
    return []


def successions(warehouse: Warehouse) -> list[str]:
    """Hospitals whose stays count under another number than the one they were reported with."""
    return [
        f"{stays:,} stays reported by {reported} count under {ccn}, its successor (reference.hospital_successions)"
        for reported, ccn, stays in warehouse.rows(
            "select former_ccn, ccn, count(*) from cohort.stays where former_ccn is not null group by all order by all"
        )
    ]


def report(warehouse: Warehouse, settings: Settings) -> list[str]:
    """Whether the site's report can be told to be of one of this run's hospitals."""
    if settings.hsr is None or warehouse.count("result.report_measures"):
        return []
    return [
        f"the report {settings.hsr.name} is not of a hospital of this run, or does not tell of which: its variances are used, but no "
        "forecast is scored against it and no change is split from it"
    ]


def run_out(warehouse: Warehouse) -> list[str]:
    """Whether the extract's last month looks incomplete, as claims do that are still arriving."""
    ((last, earlier, extract_end),) = warehouse.rows(
        "select count(*) filter (discharge_date > extract_end - 30), "
        "count(*) filter (discharge_date <= extract_end - 30 and discharge_date > extract_end - 210) / 6, any_value(extract_end) "
        "from cohort.stays cross join intake.run where discharge_date <= extract_end"
    )
    if earlier < FEWEST_IN_A_MONTH or last >= INCOMPLETE * earlier:
        return []
    return [
        f"the last 30 days of the extract (to {extract_end}) hold {last / earlier:.0%} of the stays of an average month before: if "
        "claims are still arriving, set claims_run_out_days under [parameters] in hrrp.toml, and those days are projected instead"
    ]


def money(warehouse: Warehouse, year: int) -> list[str]:
    """What is missing for the dollars, and what stands in for it."""
    found = []
    ((published, oldest, newest),) = warehouse.rows(
        "with used as (select hospital_measures.ccn, max(published.program_year) as program_year "
        "from result.hospital_measures "
        "left join payment.drg_payment_ratios as own using (program_year, ccn, measure) "
        "inner join reference.published_results as published on hospital_measures.ccn = published.ccn "
        "and hospital_measures.measure = published.measure and published.figure = 'drg_payment_ratio' "
        "and hospital_measures.program_year >= published.program_year "
        "where hospital_measures.program_year = $year and own.drg_payment_ratio is null group by hospital_measures.ccn) "
        "select count(*), min(program_year), max(program_year) from used",
        {"year": year},
    )
    if published:
        years = f"FY{newest}" if oldest == newest else f"FY{oldest} to FY{newest}"
        found.append(
            f"DRG payment ratios of {published} hospital(s): the last that CMS published ({years}) used, "
            "because the extract has no payments for them"
        )
    ((unknown,),) = warehouse.rows(
        "select count(distinct ccn) from result.hospital_measures "
        "where program_year = $year and drg_payment_ratio is null and eligible_discharges > 0",
        {"year": year},
    )
    if unknown:
        found.append(
            f"DRG payment ratio unknown for {unknown} hospital(s): the extract has no payments for them, "
            "so a measure above its median has no known contribution"
        )
    ((ungrouped,),) = warehouse.rows(
        "select count(distinct ccn) from result.forecast_inputs inner join result.hospital_measures "
        "using (program_year, ccn, measure) "
        "where program_year = $year and forecast_inputs.peer_group is null and eligible_discharges > 0",
        {"year": year},
    )
    if ungrouped:
        found.append(
            f"peer group unknown for {ungrouped} hospital(s), as their dual proportion is: the forecast takes the medians of group 3 "
            "of 5; give peer_group or dual_proportion in the hospitals file"
        )
    return found
