"""What an extract holds and what it could be used for: the facts that `hrrp check` tells.

Counts and spans over whole files only; nothing here is of one patient. Whether a stay is an index admission of a measure is for the
cohort steps to judge; the survey says, in the same order for every source, what keeps stays from ever being one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from hrrp.intake.claims import ICD10_BEGINS
from hrrp.program import MEASURES, Reference
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse


@dataclass(frozen=True)
class Obstacle:
    """Why stays cannot be index admissions: how many have this obstacle, and for how many it is the first."""

    reason: str
    stays: int
    first: int


@dataclass(frozen=True)
class Qualification:
    """Stays of an extract by what keeps them from being an index admission, and those that nothing keeps, by measure."""

    stays: int
    qualifying: int
    obstacles: tuple[Obstacle, ...]
    measures: dict[str, int]


def span(warehouse: Warehouse) -> dict[str, Any]:
    """Admissions and discharges from when to when, and how many stays, persons and hospitals."""
    ((first, last, earliest, stays, persons, hospitals),) = warehouse.rows(
        """
        select
            min(discharge_day), max(discharge_day), min(admit_day),
            count(*), count(distinct person_id), count(distinct upper(trim(ccn)))
        from (
            select
                *,
                case when discharge_date like '____-__-__%' then try_cast(left(discharge_date, 10) as date) end as discharge_day,
                case when admit_date like '____-__-__%' then try_cast(left(admit_date, 10) as date) end as admit_day
            from intake.stays
        )
        """
    )
    return {
        "first_admission": earliest,
        "first_discharge": first,
        "last_discharge": last,
        "stays": stays,
        "persons": persons,
        "hospitals": hospitals,
    }


def program_years_served(reference: Reference, first: date | None, last: date | None) -> list[dict[str, Any]]:
    """The program years whose applicable period the discharges reach into: how much of it they cover, and what is missing.

    `share_of_period`: days of the period between the first and the last discharge, as a share of all its days. The year before
    each admission (history, enrollment) and the 30 days after each discharge come from outside the period. `icd9_share`: how much of
    the period was coded in ICD-9 ('wholly', 'partly' or None).
    """
    if first is None or last is None:
        return []
    served = []
    for year, rules in reference.program_years.items():
        days = covered = 0
        for period in rules.periods:
            days += (period.end - period.start).days + 1
            covered += max(0, (min(period.end, last) - max(period.start, first)).days + 1)
        if not covered:
            continue
        icd10_begins = date.fromisoformat(ICD10_BEGINS)
        served.append(
            {
                "program_year": year,
                "first_discharge": rules.start,
                "last_discharge": rules.end,
                "share_of_period": covered / days,
                "history_of_a_year_before": first <= rules.start - timedelta(days=365),
                "follow_up_complete": last >= rules.end + timedelta(days=30),
                "icd9_share": "wholly"
                if rules.end < icd10_begins
                else "partly"
                if rules.start < icd10_begins
                else None,
            }
        )
    return served


def qualification(warehouse: Warehouse, reference: Reference, settings: Settings) -> Qualification:
    """Which stays of intake.* could be index admissions of some program year, and why the others cannot.

    Needs the reference tables in the warehouse. Enrollment is an obstacle only where the extract has it: without the file its
    rule is skipped.
    """
    parameters = reference.parameters(settings.parameters)
    values = {
        "minimum_age": parameters["minimum_age"].value,
        "months": parameters["enrollment_months_before"].value,
        "icd10_begins": ICD10_BEGINS,
        "has_enrollment": warehouse.count("intake.enrollment") > 0,
        "has_status": warehouse.rows("select count(discharge_status) from intake.stays")[0][0] > 0,
    }
    warehouse.execute(
        """
        create or replace temp table surveyed as
        with enrolled as (
            select person_id, try_cast(left(month, 7) || '-01' as date) as month
            from intake.enrollment
            where try_cast(part_a as boolean) and try_cast(part_b as boolean)
        ),
        stays as (
            select
                stays.*,
                row_number() over () as record,
                try_cast(left(admit_date, 10) as date) as admitted,
                try_cast(left(discharge_date, 10) as date) as discharged
            from intake.stays as stays
        ),
        births as (
            select person_id, min(try_cast(left(birth_date, 10) as date)) as born from intake.persons group by person_id
        ),
        months as (
            select stays.record, count(distinct enrolled.month) as months
            from stays
            inner join enrolled
                on stays.person_id = enrolled.person_id
                and enrolled.month >= date_trunc('month', stays.admitted) - to_months($months)
                and enrolled.month < date_trunc('month', stays.admitted)
            where $has_enrollment
            group by stays.record
        ),
        coded as (
            select stay_id, min(code) filter (sequence = '1') as principal from intake.diagnoses group by stay_id
        )
        select
            stays.record,
            stays.stay_id,
            stays.person_id,
            coded.principal,
            [
                case when stays.admitted is null or stays.discharged is null or stays.discharged < stays.admitted
                    then 'dates are missing, unreadable or in the wrong order' end,
                case when coded.stay_id is null and stays.discharged < cast($icd10_begins as date)
                    then 'codes are ICD-9, and the measures are defined in ICD-10' end,
                case when coded.stay_id is null and stays.discharged >= cast($icd10_begins as date)
                    then 'no diagnosis' end,
                case when stays.discharged < cast($icd10_begins as date)
                    or coalesce(stays.discharged > periods.end_date, true)
                    then 'discharge date is in no applicable period of the years that use ICD-10 codes' end,
                case when births.born is null then 'age is not known (no birth date)' end,
                case when date_diff('year', births.born, stays.admitted)
                    - cast(strftime(births.born, '%m%d') > strftime(stays.admitted, '%m%d') as integer) < $minimum_age
                    then 'younger than ' || $minimum_age || ' at admission' end,
                case when not $has_status then 'discharge status is not in the file'
                    when stays.discharge_status is null then 'discharge status is missing' end,
                case when $has_enrollment and coalesce(months.months, 0) < $months
                    then 'enrollment of the ' || $months || ' months before is not in the file' end
            ] as obstacles
        from stays
        left join coded using (stay_id)
        left join births on stays.person_id = births.person_id
        left join months using (record)
        asof left join (
            select distinct start_date, max(end_date) over (order by start_date) as end_date from reference.applicable_periods
        ) as periods on stays.discharged >= periods.start_date
        """,
        values,
    )
    warehouse.execute(
        "create or replace temp table surveyed as "
        "select * replace (list_filter(obstacles, lambda each: each is not null) as obstacles) from surveyed"
    )
    ((stays, qualifying),) = warehouse.rows("select count(*), count(*) filter (len(obstacles) = 0) from surveyed")
    obstacles = warehouse.rows(
        """
        with listed as (select unnest(obstacles) as reason, generate_subscripts(obstacles, 1) as place from surveyed)
        select reason, count(*), count(*) filter (place = 1) from listed group by reason order by 2 desc, min(place)
        """
    )
    measures = dict(
        warehouse.rows(
            """
            with free as (select stay_id, upper(replace(principal, '.', '')) as principal from surveyed where len(obstacles) = 0),
            listed as (
                select measure, code_prefix, code_system, role from reference.cohort_codes
                where role in ('principal_dx', 'principal_dx_needs_secondary') or role like 'qualifying_procedure%'
            ),
            by_diagnosis as (
                select distinct listed.measure, free.stay_id
                from (select distinct principal from free) as codes
                inner join listed on starts_with(codes.principal, listed.code_prefix) and listed.code_system = 'ICD10CM'
                inner join free using (principal)
            ),
            by_procedure as (
                select distinct listed.measure, free.stay_id
                from (select distinct upper(replace(code, '.', '')) as code from intake.procedures) as codes
                inner join listed on starts_with(codes.code, listed.code_prefix) and listed.code_system = 'ICD10PCS'
                inner join intake.procedures as procedures on upper(replace(procedures.code, '.', '')) = codes.code
                inner join free on procedures.stay_id = free.stay_id
            )
            select measure, count(*) from (select * from by_diagnosis union all select * from by_procedure) group by measure
            """
        )
    )
    warehouse.execute("drop table surveyed")
    return Qualification(
        stays=stays,
        qualifying=qualifying,
        obstacles=tuple(Obstacle(*row) for row in obstacles),
        measures={measure: measures.get(measure, 0) for measure in MEASURES},
    )
