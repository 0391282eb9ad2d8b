-- Every usable diagnosis of a person's history from other claims: outpatient, professional, or inpatient stays that the stays file
-- does not hold. Its code is the one without an indicator in staging.diagnosis_codes.
select
    persons.person_key,
    as_date(history_diagnoses.service_date) as service_date,
    diagnosis_spellings.code_key,
    lower(history_diagnoses.source) as source,
    (file_numbers.file_number << 40) + history_diagnoses.row_number as record_key
from intake.history_diagnoses
inner join staging.persons using (person_id)
inner join staging.diagnosis_spellings
    on
        history_diagnoses.code = diagnosis_spellings.code_text
        and diagnosis_spellings.poa_text is null
inner join staging.file_numbers on history_diagnoses.source_file = file_numbers.source_file
anti join staging.history_diagnosis_faults
    on
        history_diagnoses.row_number = history_diagnosis_faults.row_number
        and history_diagnoses.source_file = history_diagnosis_faults.source_file
