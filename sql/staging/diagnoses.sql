-- Every usable diagnosis of a stay, once, with the key of its code and indicator in staging.diagnosis_codes. Sequence 1 is the
-- principal diagnosis.
-- watch: diagnoses = count(*)
select
    stays.stay_key,
    cast(diagnoses.sequence as integer) as sequence,
    diagnosis_spellings.code_key,
    (file_numbers.file_number << 40) + diagnoses.row_number as record_key
from intake.diagnoses
inner join staging.stays using (stay_id)
inner join staging.diagnosis_spellings
    on
        diagnoses.code = diagnosis_spellings.code_text
        and diagnoses.poa is not distinct from diagnosis_spellings.poa_text
inner join staging.file_numbers on diagnoses.source_file = file_numbers.source_file
anti join staging.diagnosis_faults
    on
        diagnoses.row_number = diagnosis_faults.row_number
        and diagnoses.source_file = diagnosis_faults.source_file
