-- Every usable procedure line of a stay, once.
-- watch: procedures = count(*)
select
    stays.stay_key,
    cast(procedures.sequence as integer) as sequence,
    upper(replace(procedures.code, '.', '')) as code,
    as_date(procedures.procedure_date) as procedure_date,
    (file_numbers.file_number << 40) + procedures.row_number as record_key
from intake.procedures
inner join staging.stays using (stay_id)
inner join staging.file_numbers on procedures.source_file = file_numbers.source_file
anti join staging.procedure_faults
    on
        procedures.row_number = procedure_faults.row_number
        and procedures.source_file = procedure_faults.source_file
