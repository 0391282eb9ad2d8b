-- Every usable diagnosis of a person's history from other claims: outpatient, professional, or inpatient stays that the stays file
-- does not hold.
select
    persons.person_key,
    cast(trim(history_diagnoses.service_date) as date) as service_date,
    upper(replace(trim(history_diagnoses.code), '.', '')) as code,
    nullif(lower(trim(history_diagnoses.source)), '') as source,
    (file_numbers.file_number << 40) + history_diagnoses.row_number as record_key
from intake.history_diagnoses
inner join staging.persons on trim(history_diagnoses.person_id) = persons.person_id
inner join staging.file_numbers on history_diagnoses.source_file = file_numbers.source_file
anti join staging.history_diagnosis_faults
    on
        history_diagnoses.row_number = history_diagnosis_faults.row_number
        and history_diagnoses.source_file = history_diagnosis_faults.source_file
