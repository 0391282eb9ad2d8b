-- Every usable procedure of a person's history from other claims: outpatient, professional, or inpatient stays that the stays file
-- does not hold.
select
    persons.person_key,
    as_date(history_procedures.service_date) as service_date,
    upper(replace(history_procedures.code, '.', '')) as code,
    lower(history_procedures.source) as source,
    (file_numbers.file_number << 40) + history_procedures.row_number as record_key
from intake.history_procedures
inner join staging.persons using (person_id)
inner join staging.file_numbers on history_procedures.source_file = file_numbers.source_file
anti join staging.history_procedure_faults
    on
        history_procedures.row_number = history_procedure_faults.row_number
        and history_procedures.source_file = history_procedure_faults.source_file
