-- Judged stays that fail an enrollment rule: not enrolled in Parts A and B for the 12 full months before the admission month (or not
-- in Part A in it), not enrolled 30 days after discharge, or discharged so late that the 30 days are not over yet.
with

judged as (
    select
        period_stays.program_year,
        period_stays.measure,
        period_stays.stay_key,
        period_stays.person_key,
        program_years.medicare_advantage,
        year(period_stays.admit_date) * 12 + month(period_stays.admit_date) as admission_month,
        year(period_stays.last_discharge_date) * 12 + month(period_stays.last_discharge_date) as discharge_month,
        cast(period_stays.last_discharge_date + $outcome_days::integer as date) as follow_up_end,
        stays.death_date - period_stays.last_discharge_date as days_to_death
    from cohort.period_stays
    inner join cohort.stays using (stay_key)
    inner join reference.program_years using (program_year)
),

-- Without an enrollment file its rules are skipped.
enrollment_file as (
    select coalesce(bool_or(present), false) as is_present
    from intake.inputs
    where input = 'enrollment'
),

tested as (
    select judged.*
    from judged
    inner join enrollment_file on enrollment_file.is_present
),

-- Enrolled in Part A and Part B for the 12 full months before the admission month, in fee for service or, in the years that count
-- it, in Medicare Advantage.
enrolled_before as (
    select
        tested.program_year,
        tested.measure,
        tested.stay_key
    from tested
    inner join cohort.enrollment_spans as span
        on
            tested.person_key = span.person_key
            and tested.medicare_advantage = span.medicare_advantage
            and span.parts = 'parts_a_and_b'
            and span.first_month <= tested.admission_month - $enrollment_months_before
            and span.last_month >= tested.admission_month - 1
),

-- In Part A during the admission month.
enrolled_at_admission as (
    select
        tested.program_year,
        tested.measure,
        tested.stay_key
    from tested
    inner join cohort.enrollment_spans as span
        on
            tested.person_key = span.person_key
            and tested.medicare_advantage = span.medicare_advantage
            and span.parts = 'part_a'
            and tested.admission_month between span.first_month and span.last_month
),

-- Covered after discharge: Part A in the month after the discharge month.
enrolled_after as (
    select
        tested.program_year,
        tested.measure,
        tested.stay_key
    from tested
    inner join cohort.enrollment_spans as span
        on
            tested.person_key = span.person_key
            and tested.medicare_advantage = span.medicare_advantage
            and span.parts = 'part_a'
            and tested.discharge_month + 1 between span.first_month and span.last_month
),

-- A patient who dies within 30 days of discharge satisfies the rule automatically.
died_within_follow_up as (
    select
        program_year,
        measure,
        stay_key
    from judged
    where days_to_death between 0 and $enrollment_days_after
),

last_known_day as (
    select
        case $follow_up_through
            when 'as_of' then as_of
            else least(as_of, extract_end)
        end as last_day
    from intake.run
),

-- Discharge + 30 days lies beyond the extract's last day: enrollment after discharge is not asked for.
beyond_the_extract as (
    select
        judged.program_year,
        judged.measure,
        judged.stay_key,
        judged.days_to_death
    from judged
    inner join last_known_day on judged.follow_up_end > last_known_day.last_day
),

-- The outcome is not yet known, unless the person died within its days.
not_over_yet as (
    select
        program_year,
        measure,
        stay_key
    from beyond_the_extract
    where
        not $death_completes_follow_up
        or coalesce(days_to_death not between 0 and $outcome_days, true)
)

select
    tested.program_year,
    tested.measure,
    tested.stay_key,
    'enrollment_before' as reason
from tested
left join enrolled_before using (program_year, measure, stay_key)
left join enrolled_at_admission using (program_year, measure, stay_key)
where
    enrolled_before.stay_key is null
    or enrolled_at_admission.stay_key is null
union all
select
    tested.program_year,
    tested.measure,
    tested.stay_key,
    'enrollment_after' as reason
from tested
anti join enrolled_after using (program_year, measure, stay_key)
anti join died_within_follow_up using (program_year, measure, stay_key)
anti join beyond_the_extract using (program_year, measure, stay_key)
union all
select
    program_year,
    measure,
    stay_key,
    'follow_up_incomplete' as reason
from not_over_yet
