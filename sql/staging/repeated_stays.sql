-- Stay records that repeat an earlier record: exact duplicates (same person, dates and hospital; the first record is kept), then
-- records that use the stay_id of another stay.
with

-- Only who was admitted twice on one day can have a duplicate.
same_day as (
    select
        person_key,
        admit_date
    from staging.stay_records
    where fault is null
    group by person_key, admit_date
    having count(*) > 1
),

-- Drop exact duplicates: same person, dates, hospital.
duplicates as (
    select stay_records.record_key
    from staging.stay_records
    semi join same_day using (person_key, admit_date)
    where stay_records.fault is null
    qualify
        row_number() over (
            partition by stay_records.person_key, stay_records.ccn, stay_records.admit_date, stay_records.discharge_date
            order by stay_records.record_key
        ) > 1
),

repeated_ids as (
    select trim(stay_id) as stay_id
    from intake.stays
    group by trim(stay_id)
    having count(*) > 1
),

of_repeated_ids as (
    select
        (file_numbers.file_number << 40) + stays.row_number as record_key,
        repeated_ids.stay_id
    from intake.stays
    inner join staging.file_numbers using (source_file)
    inner join repeated_ids on trim(stays.stay_id) = repeated_ids.stay_id
),

same_id as (
    select of_repeated_ids.record_key
    from of_repeated_ids
    inner join staging.stay_records using (record_key)
    anti join duplicates using (record_key)
    where stay_records.fault is null
    qualify row_number() over (partition by of_repeated_ids.stay_id order by of_repeated_ids.record_key) > 1
)

select
    record_key,
    'admit_date' as column_name,
    'copy' as value_class,
    'duplicate' as reason
from duplicates
union all
select
    record_key,
    'stay_id' as column_name,
    'copy' as value_class,
    'stay_id of another stay' as reason
from same_id
