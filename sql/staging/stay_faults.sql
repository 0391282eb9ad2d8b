-- The stay records that cannot be used, each with the first fault found: faults of form, a person that is not in the persons
-- file, a record that repeats another, a stay that overlaps another one elsewhere.
-- watch: faults = count(*)
with

form_faults as (
    select
        record_key,
        fault[1] as column_name,
        fault[2] as value_class,
        fault[3] as reason
    from staging.stay_records
    where fault is not null
),

-- Without a person's birth date and sex nothing can be said about a stay.
person_faults as (
    select
        stay_records.record_key,
        'person_id' as column_name,
        'unknown code' as value_class,
        'person not in persons' as reason
    from staging.stay_records
    anti join staging.persons using (person_id)
    where stay_records.fault is null
),

overlapping as (
    select
        record_key,
        'admit_date' as column_name,
        'impossible date' as value_class,
        'overlaps an earlier stay at another hospital' as reason
    from staging.overlapping_stays
),

faults as (
    select * from form_faults
    union all
    select * from person_faults
    union all
    select * from staging.repeated_stays
    union all
    select * from overlapping
)

select
    stay_records.record_key,
    stay_records.source_file,
    stay_records.row_number,
    stay_records.stay_id,
    faults.column_name,
    faults.value_class,
    faults.reason
from faults
inner join staging.stay_records using (record_key)
order by faults.record_key
