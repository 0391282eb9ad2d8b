-- Every usable stay. Its key follows the order of person, admission, discharge and stay id, so that ordering by the key orders a
-- person's stays.
-- watch: stays = count(*)
select
    cast(
        row_number() over (
            order by
                persons.person_key, stay_records.admit_date, stay_records.discharge_date, stay_records.stay_id
        ) as integer
    ) as stay_key,
    stay_records.stay_id,
    persons.person_key,
    stay_records.ccn,
    stay_records.reported_ccn,
    stay_records.admit_date,
    stay_records.discharge_date,
    stay_records.discharge_status,
    stay_records.admit_type,
    stay_records.admit_source,
    stay_records.drg,
    stay_records.payer,
    stay_records.is_short_term_acute,
    stay_records.is_cah,
    stay_records.base_operating_drg_amount,
    stay_records.total_paid,
    stay_records.medical_record_number,
    stay_records.source_file,
    stay_records.row_number
from staging.stay_records
inner join staging.persons using (person_id)
anti join staging.stay_faults using (record_key)
order by stay_key
