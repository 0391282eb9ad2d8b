"""Make the tables of data/reference from the raw tables that the facts were collected in.

    python scripts/reference/build_tables.py RAW [OUT]

RAW is the folder of collected tables (program_years.csv, cohorts.csv, ...), OUT is data/reference by default. One name
per thing across tables (`program_year`, `measure`, `confidence`), one fact per cell (periods, measures and condition
categories are split into rows of their own), booleans as true/false, a source on every row; SOURCES.md describes them.

Not made here: parameters.csv, facility_types.csv, dual_status_codes.csv, announced_measures.csv and data_dictionary.csv
are written by hand; the code maps (ccs_*, cc_icd10cm) are made by build_code_maps.py.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

Row = dict[str, str]

MEASURES = ("AMI", "COPD", "HF", "PN", "CABG", "THA_TKA")
REPORT_NAMES = ("AMI", "COPD", "HF", "Pneumonia", "CABG", "THA/TKA")
SUPPLEMENTAL_NAMES = ("AMI", "COPD", "HF", "pneumonia", "CABG", "THA/TKA")
PDC_NAMES = tuple(f"READM-30-{name}-HRRP" for name in ("AMI", "COPD", "HF", "PN", "CABG", "HIP-KNEE"))

MOCK_REPORTS = "CMS mock Hospital-Specific Report"
CORE_SAS = "Yale/CORE readmission SAS code"
PLANNED_LISTS = "planned readmission algorithm v4.0, 2022 lists"

# Two CCS categories that the lists of 2013 to 2019 name whole; since then single codes stand for them.
ONLY_2019 = (("49", "Other OR heart procedures"), ("112", "Other OR therapeutic procedures of urinary tract"))


def read(raw: Path, table: str) -> list[Row]:
    with (raw / f"{table}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def write(folder: Path, table: str, columns: str, rows: list[Row]) -> None:
    """Replace one table as a whole; every row has exactly `columns`, and a source."""
    names = columns.split()
    for row in rows:
        if set(row) != set(names) or not row["source"]:
            raise ValueError(f"{table}: a row has columns {sorted(row)}, expected {names} and a source")
    part = folder / f"{table}.csv.part"
    with part.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    part.replace(folder / f"{table}.csv")
    print(f"{table}: {len(rows)} rows")


def boolean(word: str) -> str:
    return {"yes": "true", "no": "false"}[word]


def program_years(raw: Path, out: Path) -> None:
    years, periods, measures = [], [], []
    for row in read(raw, "program_years"):
        year = int(row["program_year"])
        review_start, _, review_end = row["review_window"].partition("/")
        source = "Social Security Act 1886(q); CMS supplemental data file; CMS key dates"
        if 2020 <= year <= 2025:
            source += f"; neutrality modifier: {MOCK_REPORTS} FY{year}"
        if year >= 2026:
            source += "; FY2026 IPPS final rule (90 FR 36923-36942); neutrality modifier as printed, 4 decimals"
        if year >= 2028:
            source = "FY2026 IPPS final rule (90 FR 36923-36942), carried forward: no figures published yet"
        if year == 2030:
            source += "; FY2027 IPPS final rule (91 FR 49892-49901) for sepsis"
        years.append(
            {
                name: value
                for name, value in row.items()
                if name not in {"measures_in_payment", "performance_segments", "review_window", "notes"}
            }
            | {
                "medicare_advantage": boolean(row["medicare_advantage"]),
                "review_start": review_start,
                "review_end": review_end,
                "note": row["notes"],
                "source": source,
            }
        )
        rolled, inferred = year >= 2028, year == 2018
        for segment, period in enumerate(row["performance_segments"].split(";"), start=1):
            start, _, end = period.partition("/")
            periods.append(
                {
                    "program_year": row["program_year"],
                    "segment": str(segment),
                    "start_date": start,
                    "end_date": end,
                    "confidence": "medium" if rolled or inferred else "high",
                    "source": "rolled forward one year at a time from FY2027"
                    if rolled
                    else "the three years between those of FY2017 and FY2019; CMS's file does not state them"
                    if inferred
                    else "CMS key dates; CMS supplemental data file",
                }
            )
        in_payment = row["measures_in_payment"].split()
        for measure in MEASURES:
            if measure in in_payment:
                source = "CMS supplemental data file" if year < 2028 else "FY2026 IPPS final rule, carried forward"
                measures.append(
                    {"program_year": row["program_year"], "measure": measure, "in_payment": "true", "source": source}
                )
            elif (year, measure) == (2023, "PN"):
                source = "86 FR 45254-45256: computed, left out of the payment formula"
                measures.append(
                    {"program_year": row["program_year"], "measure": measure, "in_payment": "false", "source": source}
                )
    write(
        out,
        "program_years",
        "program_year max_reduction method neutrality_modifier medicare_advantage covid_rule poa_rule claims_snapshot "
        "review_start review_end hospitals_in_file penalized pct_penalized mean_reduction_pct_all "
        "mean_reduction_pct_penalized at_cap estimated_total_usd confidence note source",
        years,
    )
    write(out, "applicable_periods", "program_year segment start_date end_date confidence source", periods)
    write(out, "program_year_measures", "program_year measure in_payment source", measures)


def measures(raw: Path, out: Path) -> None:
    raw_rows = {row["measure"]: row for row in read(raw, "cohorts")}
    rows = []
    for order, measure in enumerate(MEASURES, start=1):
        row = raw_rows[measure]
        first_in_period = row["prior_30d_index_rule"].startswith("a later qualifying CABG")
        attribution = row["transfer_attribution"]
        rows.append(
            {
                "measure": measure,
                "report_order": str(order),
                "report_name": REPORT_NAMES[order - 1],
                "supplemental_name": SUPPLEMENTAL_NAMES[order - 1],
                "pdc_name": PDC_NAMES[order - 1],
                "name": row["condition_or_procedure"].partition(" (")[0],
                "condition_or_procedure": "procedure" if row["index_defined_by"] == "procedure" else "condition",
                "first_program_year": row["in_payment_from_fy"],
                "minimum_age": row["min_age"],
                "same_day_discharge_excluded": boolean(row["same_day_discharge_excluded"]),
                "prior_index_rule": "first_in_period" if first_in_period else "not_within_prior_index_days",
                "transfer_attribution": "last_hospital"
                if attribution.startswith("last")
                else "first_hospital"
                if "first qualifying" in attribution
                else "operating_hospital",
                "confidence": row["confidence"],
                "source": f"{CORE_SAS}; {MOCK_REPORTS}s",
            }
        )
    write(
        out,
        "measures",
        "measure report_order report_name supplemental_name pdc_name name condition_or_procedure first_program_year "
        "minimum_age same_day_discharge_excluded prior_index_rule transfer_attribution confidence source",
        rows,
    )


def national_figures(raw: Path, out: Path) -> None:
    write(
        out, "peer_group_medians", "program_year peer_group measure median_err source", read(raw, "peer_group_medians")
    )
    write(
        out,
        "peer_group_cuts",
        "program_year peer_group lowest_dual_proportion highest_dual_proportion hospitals source",
        read(raw, "peer_group_cuts"),
    )
    rates = [row | {"source": f"{MOCK_REPORTS} FY{row['program_year']}"} for row in read(raw, "national_rates")]
    write(out, "national_rates", "program_year measure national_observed_unplanned_30d_rate source", rates)
    pooled = (
        f"read back from {MOCK_REPORTS}s, pooled by least squares over FY2020, FY2022, FY2024, FY2025 "
        "(hospital effect less average effect, over observed less predicted readmissions)"
    )
    variances = [
        row | ({} if row["measure"] == "CABG" else {"source": pooled}) for row in read(raw, "between_hospital_variance")
    ]
    write(out, "between_hospital_variance", "measure tau2 confidence source", variances)


def risk_model(raw: Path, out: Path) -> None:
    categories_v22 = read(raw, "cc_v22_labels")
    complications = {row["cc"] for row in categories_v22 if row["complication_of_care_if_index_only"] == "yes"}
    variables, categories = [], []
    for row in read(raw, "risk_variables"):
        variables.append(
            {
                "measure": row["measure"],
                "report_order": row["report_order_fy2025"],
                "variable_key": row["variable_key"],
                "report_label": row["report_label"],
                "type": row["type"],
                "other_rule": row["other_rule"],
                "confidence": row["definition_confidence"],
                "source": f"names and order: {MOCK_REPORTS} FY2025; categories: {CORE_SAS} where it has them",
            }
        )
        listed = set(row["cc_in_complication_list"].split())
        for cc in row["cc_v22"].split():
            if (cc in complications) != (cc in listed):
                raise ValueError(f"{row['measure']} {row['variable_key']}: CC {cc} is in one complication list only")
            categories.append(
                {
                    "measure": row["measure"],
                    "variable_key": row["variable_key"],
                    "cc": cc,
                    "complication_of_care": str(cc in complications).lower(),
                    "source": f"{CORE_SAS}, or the variable's name in the {MOCK_REPORTS} FY2025",
                }
            )
    columns = "measure report_order variable_key report_label type other_rule confidence source"
    write(out, "risk_variables", columns, variables)
    write(out, "risk_variable_ccs", "measure variable_key cc complication_of_care source", categories)
    codes = [
        row | {"source": "code expansion of risk_variables.other_rule, by this project"}
        for row in read(raw, "risk_variable_codes")
    ]
    write(out, "risk_variable_codes", "measure variable_key place code_system code_prefix confidence source", codes)
    coefficients = [
        row | {"source": f"{MOCK_REPORTS} FY{row['program_year']}"} for row in read(raw, "risk_coefficients")
    ]
    write(
        out,
        "risk_coefficients",
        "program_year measure report_order variable_key report_label coefficient source",
        coefficients,
    )
    sources = {"V22 payment map": "V22", "V24 payment map": "V24"}
    gaps = {row["cc_v22"] for row in read(raw, "cc_gap_icd10cm_prefixes")}
    labels = [
        {
            "cc": row["cc"],
            "label": row["label"],
            "complication_of_care": boolean(row["complication_of_care_if_index_only"]),
            "mapping_source": sources.get(
                row["mapping_source_available"], "gap prefix" if row["cc"] in gaps else "none"
            ),
            "source": f"CMS condition categories V22; complication list: {CORE_SAS} (2018)",
        }
        for row in categories_v22
    ]
    write(out, "condition_categories", "cc label complication_of_care mapping_source source", labels)


def code_lists(raw: Path, out: Path) -> None:
    origin = {
        "AMI": "CMS AMI readmission measure; Yale/CORE SAS code of the AMI excess-days measure",
        "THA_TKA": f"CMS hip and knee arthroplasty readmission measure, exclusion categories: {MOCK_REPORTS}s",
        "CABG": "CMS CABG readmission measure; code expansion of the category names by this project",
        "ALL": f"FY2023-FY2026 COVID-19 rule: {MOCK_REPORTS}s FY2024, FY2025",
    }
    cohort = [
        row | {"source": origin.get(row["measure"], f"CMS {row['measure']} readmission measure, cohort definition")}
        for row in read(raw, "cohort_codes")
    ]
    write(out, "cohort_codes", "measure role code_system code_prefix confidence source", cohort)
    planned = [row | {"source": PLANNED_LISTS} for row in read(raw, "planned_admission_codes")]
    planned += [
        {
            "list": "potentially_planned_procedure_2019_only",
            "code_system": "CCS_PCS",
            "code_prefix": ccs,
            "label": label,
            "note": "whole in the lists of 2013 to 2019, single codes since: only with planned_algorithm strict_2019",
            "source": f"{CORE_SAS} (2019)",
        }
        for ccs, label in ONLY_2019
    ]
    write(out, "planned_admission_codes", "list code_system code_prefix label note source", planned)
    exceptions = [row | {"source": f"{CORE_SAS}, outcome step"} for row in read(raw, "outcome_exception_codes")]
    write(out, "outcome_exception_codes", "exception code_system code_prefix rule confidence source", exceptions)
    statuses = [
        row | {"source": "CMS patient discharge status code list"} for row in read(raw, "discharge_status_codes")
    ]
    write(out, "discharge_status_codes", "code meaning description source", statuses)


def main() -> None:
    if len(sys.argv) not in {2, 3}:
        raise SystemExit("usage: build_tables.py RAW [OUT]: RAW is the folder of the collected tables")
    raw = Path(sys.argv[1])
    out = Path(sys.argv[2]) if len(sys.argv) == 3 else Path(__file__).resolve().parents[2] / "data" / "reference"
    out.mkdir(parents=True, exist_ok=True)
    for build in (program_years, measures, national_figures, risk_model, code_lists):
        build(raw, out)


if __name__ == "__main__":
    main()
