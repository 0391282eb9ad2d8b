-- Stay records that repeat an earlier record: exact duplicates (same person, dates and hospital; the first record is kept), then
-- records that use the stay_id of another stay.
with

sound as (
    select stay_records.*
    from staging.stay_records
    inner join staging.persons using (person_id)
    where stay_records.fault is null
),

-- Drop exact duplicates: same person, dates, hospital.
duplicates as (
    select record_key
    from sound
    qualify row_number() over (partition by person_id, ccn, admit_date, discharge_date order by record_key) > 1
),

same_id as (
    select sound.record_key
    from sound
    anti join duplicates using (record_key)
    qualify row_number() over (partition by sound.stay_id order by sound.record_key) > 1
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
