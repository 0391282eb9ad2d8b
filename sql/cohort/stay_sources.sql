-- Where a judged stay and its first return come from: the source file and record of every stay record that they are made of.
with

judged as (
    select
        program_year,
        measure,
        stay_id,
        stay_key,
        stay_key as found_key,
        'stay' as role
    from cohort.period_stays
),

returned as (
    select
        program_year,
        measure,
        stay_id,
        stay_key,
        readmission_stay_key as found_key,
        'first return' as role
    from cohort.readmissions
),

-- CABG: the discharge that the 30 days are counted from may be that of a later stay of the transfer chain.
discharged as (
    select
        program_year,
        measure,
        stay_id,
        stay_key,
        last_stay_key as found_key,
        'last stay of the transfer chain' as role
    from cohort.period_stays
    where last_stay_key <> stay_key
),

all_stays as (
    select * from judged
    union all
    select * from returned
    union all
    select * from discharged
)

select
    all_stays.program_year,
    all_stays.measure,
    all_stays.stay_id,
    all_stays.role,
    stays.stay_id as source_stay_id,
    stays.source_file,
    stays.row_number,
    all_stays.stay_key
from all_stays
inner join cohort.stay_parts on all_stays.found_key = stay_parts.stay_key
inner join staging.stays on stay_parts.part_key = stays.stay_key
order by all_stays.program_year, all_stays.measure, all_stays.stay_key, all_stays.role, stay_parts.part_key
