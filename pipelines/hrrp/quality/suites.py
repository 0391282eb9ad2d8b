"""The rules that tables of the warehouse must keep, as data: one suite a table, one sentence a rule.

A critical rule stops the run before anything is published; another one only warns. A rule is a Great Expectations expectation by
its class name, so that this module can be read (and the checks listed) without importing Great Expectations.

Rules over several columns or tables are `UnexpectedRowsExpectation` with DuckDB SQL over `{batch}`. They select the constant 1 and
never a column, so that no value of a row can travel with a result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hrrp.program import MEASURES

# Why a stay is not an index admission, in the order in which the first one that applies is named.
REASONS = (
    "implausible_record",
    "not_short_term_acute",
    "excluded_quarter",
    "payer",
    "age",
    "enrollment_before",
    "died_in_hospital",
    "left_against_medical_advice",
    "still_a_patient",
    "transferred_out",
    "transferred_in",
    "enrollment_after",
    "prior_30_days",
    "same_day_discharge",
    "lvad_or_transplant",
    "not_isolated_cabg",
    "later_cabg",
    "fracture",
    "partial_or_revision",
    "mechanical_complication",
    "malignancy",
    "more_than_two_procedures",
    "covid_19",
    "follow_up_incomplete",
)


@dataclass(frozen=True)
class Rule:
    """One expectation of one table. `check` is its name within the table; `critical` ones stop the run."""

    check: str
    description: str
    expectation: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    critical: bool = True


def _not_empty(description: str) -> Rule:
    return Rule("not_empty", description, "ExpectTableRowCountToBeBetween", {"min_value": 1})


def _present(column: str, description: str, mostly: float = 1.0, critical: bool = True) -> Rule:
    arguments = {"column": column, "mostly": mostly}
    return Rule(f"{column}_present", description, "ExpectColumnValuesToNotBeNull", arguments, critical)


def _unique(column: str, description: str) -> Rule:
    return Rule(f"{column}_unique", description, "ExpectColumnValuesToBeUnique", {"column": column})


def _one_row_per(columns: tuple[str, ...], description: str) -> Rule:
    return Rule("one_row_each", description, "ExpectCompoundColumnsToBeUnique", {"column_list": list(columns)})


def _among(column: str, values: tuple[str, ...], description: str, critical: bool = True) -> Rule:
    arguments = {"column": column, "value_set": list(values)}
    return Rule(f"{column}_known", description, "ExpectColumnValuesToBeInSet", arguments, critical)


def _between(
    column: str, low: float | None, high: float | None, description: str, mostly: float = 1.0, critical: bool = True
) -> Rule:
    arguments = {"column": column, "min_value": low, "max_value": high, "mostly": mostly}
    return Rule(f"{column}_in_range", description, "ExpectColumnValuesToBeBetween", arguments, critical)


def _length(column: str, low: int, high: int, description: str) -> Rule:
    arguments = {"column": column, "min_value": low, "max_value": high}
    return Rule(f"{column}_length", description, "ExpectColumnValueLengthsToBeBetween", arguments)


def _none(check: str, description: str, query: str, critical: bool = True) -> Rule:
    """No row may come back from `query`, which selects the constant 1 from `{batch}`.

    With a join, the query names the batch itself (`{batch} as t`); without one, Great Expectations gives it a name of its own.
    """
    return Rule(check, description, "UnexpectedRowsExpectation", {"unexpected_rows_query": query}, critical)


SUITES: dict[str, tuple[Rule, ...]] = {
    "staging.stays": (
        _not_empty("There is at least one usable stay; none means the wrong folder or the wrong layout."),
        _unique("stay_key", "A stay has a key of its own, which every later join uses."),
        _unique("stay_id", "A stay occurs once; its copies are in staging.rejects as duplicates."),
        _present("person_key", "A stay belongs to a person; without one no readmission can be found."),
        _none(
            "person_known",
            "The person of every stay is in staging.persons.",
            "select 1 from {batch} as t left join staging.persons as p using (person_key) where p.person_key is null",
        ),
        _length("ccn", 6, 6, "A CMS certification number has six characters, leading zeros kept."),
        _none(
            "discharge_not_before_admission",
            "No stay ends before it begins.",
            "select 1 from {batch} where discharge_date < admit_date",
        ),
        _none(
            "discharge_status_known",
            "Every discharge status is one of the UB-04 manual's, so that deaths and transfers are recognised.",
            "select 1 from {batch} as t left join reference.discharge_status_codes as c on t.discharge_status = c.code "
            "where c.code is null",
        ),
        _none(
            "overlapping_stays_rare",
            "Fewer than 1 % of the stays begin while an earlier stay of the same person goes on; more points to interim "
            "bills, or to stays that were billed twice.",
            "select 1 from (select avg(case when admit_date < before then 1.0 else 0.0 end) as share from ("
            "select admit_date, max(discharge_date) over (partition by person_key order by admit_date, stay_key "
            "rows between unbounded preceding and 1 preceding) as before from {batch})) where share >= 0.01",
            critical=False,
        ),
        _none(
            "no_stay_after_death",
            "Nobody is admitted again after having died in hospital.",
            "select 1 from {batch} as t join {batch} as d on t.person_key = d.person_key and t.admit_date > d.discharge_date "
            "join reference.discharge_status_codes as c on d.discharge_status = c.code where c.meaning = 'died'",
            critical=False,
        ),
    ),
    "staging.persons": (
        _unique("person_key", "A person has one key."),
        _unique("person_id", "A person occurs once; copies are in staging.rejects."),
        _present("birth_date", "Ages need a birth date."),
        _among("sex", ("M", "F"), "Sex is M, F or unknown; the model has a term for it.", critical=False),
        _none(
            "death_not_before_birth",
            "Nobody dies before being born.",
            "select 1 from {batch} where death_date < birth_date",
        ),
    ),
    "staging.diagnoses": (
        _one_row_per(("stay_key", "sequence"), "A stay has one diagnosis at each place of its list."),
        _none(
            "code_known",
            "The code of every diagnosis is in staging.diagnosis_codes.",
            "select 1 from {batch} as t left join staging.diagnosis_codes as c using (code_key) where c.code_key is null",
        ),
        _none(
            "stay_known",
            "Every diagnosis belongs to a usable stay.",
            "select 1 from {batch} as t left join staging.stays as s using (stay_key) where s.stay_key is null",
        ),
        _none(
            "principal_diagnosis_present",
            "At least 99 % of the stays have a principal diagnosis (sequence 1); a stay without one belongs to no measure.",
            "select 1 from (select avg(case when d.stay_key is null then 1.0 else 0.0 end) as share from staging.stays as s "
            "left join (select distinct stay_key from {batch} where sequence = 1) as d using (stay_key)) where share > 0.01",
            critical=False,
        ),
    ),
    "staging.diagnosis_codes": (
        _unique("code_key", "A code with an indicator has one key."),
        _length("code", 3, 7, "An ICD-10-CM code has three to seven characters, without the dot."),
        _among(
            "poa",
            ("Y", "N", "U", "W", "1"),
            "Present-on-admission indicators are Y, N, U, W or 1 (exempt); blank is exempt too.",
            critical=False,
        ),
    ),
    "staging.enrollment": (
        _none(
            "months_add_up",
            "Records of enrollment are months in the runs and rejected records.",
            "select 1 from (select coalesce(sum(last_month - first_month + 1), 0) as months from {batch}) "
            "cross join (select coalesce(sum(records), 0) as records from staging.enrollment_counts) "
            "cross join (select count(*) as faults from staging.enrollment_faults) where records <> months + faults",
        ),
    ),
    "staging.rejects": (
        _one_row_per(("source_file", "row_number"), "A record is rejected once, however many faults it has."),
        _present("source_file", "A rejected record names its file."),
        _present("reason", "A rejected record says why."),
        _present("value_class", "A rejected record says what kind of thing stood there, never the value."),
    ),
    "staging.row_accounting": (
        _one_row_per(("source_file", "canonical_file"), "A file is accounted for once for each table that it feeds."),
        _none(
            "rows_add_up",
            "Rows read are rows kept and rows rejected, file by file.",
            "select 1 from {batch} where rows_read is distinct from rows_kept + rows_rejected",
        ),
        _none(
            "duplicates_are_rejects",
            "Exact duplicates are among the rejected rows.",
            "select 1 from {batch} where duplicates > rows_rejected or duplicates < 0",
        ),
    ),
    "cohort.cohort_flow": (
        _one_row_per(("program_year", "measure", "stay_id"), "A stay is judged once for a measure and program year."),
        _among("measure", MEASURES, "The measures are the six of the program."),
        _among("first_reason", REASONS, "A reason is one of the listed words, or empty when the stay is included."),
        _none(
            "included_or_reason",
            "A stay is included, or the first rule that excludes it is named and heads its list of reasons.",
            "select 1 from {batch} where included is distinct from (first_reason is null) "
            "or first_reason is distinct from reasons[1]",
        ),
    ),
    "cohort.index_admissions": (
        _one_row_per(
            ("program_year", "measure", "stay_id"), "A stay is one index admission of a measure and program year."
        ),
        _none(
            "as_in_cohort_flow",
            "The index admissions are the included stays of cohort.cohort_flow, no more and no fewer.",
            "select 1 from {batch} as t full join (select program_year, measure, stay_id from cohort.cohort_flow where included) "
            "as f using (program_year, measure, stay_id) where t.ccn is null or f.stay_id is null",
        ),
        _none(
            "within_applicable_period",
            "Every index admission is discharged within an applicable period of its program year.",
            "select 1 from {batch} as t left join reference.applicable_periods as p on p.program_year = t.program_year "
            "and t.discharge_date between p.start_date and p.end_date where p.program_year is null",
        ),
    ),
    "cohort.readmissions": (
        _one_row_per(("program_year", "measure", "stay_id"), "Only the first return after an index admission counts."),
        _between("days", 0, 30, "A readmission begins within 30 days of the discharge."),
        _none(
            "unplanned_or_planned",
            "A planned readmission is not an unplanned one.",
            "select 1 from {batch} where planned and unplanned_readmission",
        ),
        _none(
            "index_admission_known",
            "Every readmission follows an index admission, and is another stay.",
            "select 1 from {batch} as t left join cohort.index_admissions as i using (program_year, measure, stay_id) "
            "where i.ccn is null or t.readmission_stay_id = t.stay_id",
        ),
    ),
    "risk.risk_factors": (
        _one_row_per(
            ("program_year", "measure", "stay_id", "variable_key"), "A stay has one value for each of its risk factors."
        ),
        _present("value", "Risk factors are listed only where they are present."),
        _none(
            "variable_of_measure",
            "Every risk factor is a variable of the measure's model.",
            "select 1 from {batch} as t left join reference.risk_variables as v using (measure, variable_key) "
            "where v.variable_key is null",
        ),
        _none(
            "index_admission_known",
            "Every risk factor belongs to an index admission.",
            "select 1 from {batch} as t left join cohort.index_admissions as i using (program_year, measure, stay_id) "
            "where i.ccn is null",
        ),
    ),
    "result.hospital_measures": (
        _one_row_per(
            ("program_year", "measure", "ccn"), "A hospital has one result for each measure and program year."
        ),
        _among("measure", MEASURES, "The measures are the six of the program."),
        _none(
            "readmissions_within_discharges",
            "No hospital has more readmissions than eligible discharges.",
            "select 1 from {batch} where readmissions > eligible_discharges or readmissions < 0",
        ),
        _none(
            "err_is_predicted_over_expected",
            "The excess readmission ratio is predicted over expected.",
            "select 1 from {batch} where abs(err - predicted / expected) > 1e-9 "
            "or (err is null) is distinct from (predicted is null)",
        ),
        _none(
            "interval_holds_err",
            "The interval of the excess readmission ratio is in order and holds its estimate.",
            "select 1 from {batch} where err_low > err or err > err_high",
        ),
        _between(
            "err",
            0.4,
            2.0,
            "Excess readmission ratios lie between 0.4 and 2 nearly always; those published for FY2025 run from 0.478 to 1.643.",
            mostly=0.99,
            critical=False,
        ),
        _between("reliability", 0, 1, "Reliability is the share of the variance that is the hospital's own: 0 to 1."),
    ),
    "result.hospital_penalties": (
        _not_empty("The run has a result for at least one hospital and program year."),
        _one_row_per(("program_year", "ccn"), "A hospital has one payment adjustment factor for each program year."),
        _none(
            "factor_is_one_minus_reduction",
            "The payment adjustment factor is 1 minus the payment reduction.",
            "select 1 from {batch} where abs(paf - (1 - payment_reduction)) > 1e-12",
        ),
        _none(
            "reduction_within_cap",
            "No payment reduction is negative or above the program year's cap.",
            "select 1 from {batch} as t join reference.program_years as y using (program_year) "
            "where t.payment_reduction < 0 or t.payment_reduction > y.max_reduction",
        ),
        _none(
            "interval_in_order",
            "The factor's interval is in order and within 0 to 1.",
            "select 1 from {batch} where paf_low > paf_median or paf_median > paf_high or paf_low < 0 or paf_high > 1",
        ),
        _between("chance_of_penalty", 0, 1, "A chance lies between 0 and 1."),
        _between("penalty_usd", 0, None, "A penalty is never a payment to the hospital."),
    ),
}
