-- Every usable diagnosis of a stay, once. Sequence 1 is the principal diagnosis. Present on admission: Y, W, 1 or blank is
-- present, N and U are not; where the feed has no indicator at all, everything is present.
-- watch: diagnoses = count(*)
select
    stays.stay_key,
    cast(trim(diagnoses.sequence) as integer) as sequence,
    upper(replace(trim(diagnoses.code), '.', '')) as code,
    nullif(upper(trim(diagnoses.poa)), '') as poa,
    cast(trim(diagnoses.sequence) as integer) = 1 as is_principal,
    coalesce(poa_codes.is_present, $poa_missing_is_present) as present_on_admission,
    (file_numbers.file_number << 40) + diagnoses.row_number as record_key
from intake.diagnoses
inner join staging.stays on trim(diagnoses.stay_id) = stays.stay_id
inner join staging.file_numbers on diagnoses.source_file = file_numbers.source_file
left join reference.poa_codes on upper(trim(diagnoses.poa)) = poa_codes.code
anti join staging.diagnosis_faults
    on
        diagnoses.row_number = diagnosis_faults.row_number
        and diagnoses.source_file = diagnosis_faults.source_file
