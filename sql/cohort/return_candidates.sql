-- The candidate returns after every judged stay: acute stays of the person admitted 0 to 30 days after the discharge, without
-- transfers, duplicates, rehabilitation and psychiatric care after a discharge to it, in the order in which they are looked at.
with

departures as (
    select distinct
        stays.stay_key as last_stay_key,
        stays.person_key,
        stays.ccn,
        stays.principal_code,
        stays.discharge_date,
        stays.ended
    from cohort.period_stays
    inner join cohort.stays on period_stays.last_stay_key = stays.stay_key
),

-- Short-term acute stays (critical access hospitals included) with 0 <= admission - index discharge <= 30 days.
returns as (
    select
        departures.last_stay_key,
        departures.ccn <> stays.ccn as at_other_hospital,
        coalesce(departures.principal_code = stays.principal_code, false) as same_diagnosis,
        departures.ended,
        stays.stay_key,
        stays.principal_code,
        stays.discharge_date,
        stays.admit_date - departures.discharge_date as days
    from departures
    inner join cohort.stays
        on
            departures.person_key = stays.person_key
            and departures.last_stay_key <> stays.stay_key
            and departures.discharge_date <= stays.admit_date
            and stays.admit_date <= departures.discharge_date + $outcome_days::integer
    where stays.is_acute
),

exceptions as (
    select distinct
        outcome_exception_codes.exception,
        code_prefixes.code
    from reference.outcome_exception_codes
    inner join cohort.code_prefixes using (code_system, code_prefix)
),

-- Different-hospital admissions at interval 0 or 1 are transfers.
transfers as (
    select
        last_stay_key,
        stay_key
    from returns
    where
        at_other_hospital
        and days <= $transfer_days
),

-- A same-day return to the same hospital with the same principal diagnosis is the same stay.
duplicates as (
    select
        last_stay_key,
        stay_key
    from returns
    where
        not at_other_hospital
        and days = 0
        and same_diagnosis
),

-- Rehabilitation as principal diagnosis is not counted at all.
rehabilitation as (
    select
        returns.last_stay_key,
        returns.stay_key
    from returns
    inner join exceptions on returns.principal_code = exceptions.code
    where exceptions.exception = 'rehabilitation'
),

-- Nor is a psychiatric principal diagnosis within 0-1 day when the index stay was discharged to psychiatric care.
psychiatric as (
    select
        returns.last_stay_key,
        returns.stay_key
    from returns
    inner join exceptions on returns.principal_code = exceptions.code
    where
        exceptions.exception = 'psychiatric'
        and returns.ended = 'psychiatric'
        and returns.days <= $psychiatric_return_days
),

removed as (
    select * from transfers
    union all
    select * from duplicates
    union all
    select * from rehabilitation
    union all
    select * from psychiatric
)

-- Smallest interval, then earliest discharge.
select
    returns.last_stay_key,
    returns.stay_key,
    returns.days,
    covid_stays.stay_key is not null as has_covid,
    row_number() over (
        partition by returns.last_stay_key order by returns.days, returns.discharge_date, returns.stay_key
    ) as position
from returns
anti join removed using (last_stay_key, stay_key)
left join cohort.covid_stays using (stay_key)
order by returns.last_stay_key, position
