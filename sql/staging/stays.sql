-- Every usable stay. Its key follows the order of person, admission, discharge and stay id, so that ordering by the key orders a
-- person's stays.
-- watch: stays = count(*)
with

texts as (
    select
        (file_numbers.file_number << 40) + stays.row_number as record_key,
        trim(stays.stay_id) as stay_id,
        upper(trim(stays.ccn)) as reported_ccn,
        lpad(trim(stays.discharge_status), 2, '0') as discharge_status,
        nullif(trim(stays.admit_source), '') as admit_source,
        nullif(trim(stays.drg), '') as drg,
        nullif(upper(trim(stays.payer)), '') as payer,
        nullif(trim(stays.medical_record_number), '') as medical_record_number,
        stays.source_file,
        stays.row_number
    from intake.stays
    inner join staging.file_numbers using (source_file)
),

in_order as (
    select
        texts.stay_id,
        stay_records.person_key,
        stay_records.ccn,
        nullif(texts.reported_ccn, stay_records.ccn) as former_ccn,
        stay_records.admit_date,
        stay_records.discharge_date,
        texts.discharge_status,
        texts.admit_source,
        texts.drg,
        case texts.payer when 'OTHER' then 'other' else texts.payer end as payer,
        stay_records.is_short_term_acute,
        stay_records.is_cah,
        stay_records.base_operating_drg_amount,
        stay_records.total_paid,
        texts.medical_record_number,
        texts.source_file,
        texts.row_number
    from texts
    inner join staging.stay_records using (record_key)
    anti join staging.stay_faults using (record_key)
    order by stay_records.person_key, stay_records.admit_date, stay_records.discharge_date, texts.stay_id
)

select
    cast(row_number() over () as integer) as stay_key,
    *
from in_order
