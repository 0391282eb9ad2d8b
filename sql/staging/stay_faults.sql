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
    select * from staging.repeated_stays
    union all
    select * from overlapping
),

records as (
    select
        (file_numbers.file_number << 40) + stays.row_number as record_key,
        stays.source_file,
        stays.row_number,
        nullif(trim(stays.stay_id), '') as stay_id
    from intake.stays
    inner join staging.file_numbers using (source_file)
)

select
    faults.record_key,
    records.source_file,
    records.row_number,
    records.stay_id,
    faults.column_name,
    faults.value_class,
    faults.reason
from faults
inner join records using (record_key)
order by faults.record_key
