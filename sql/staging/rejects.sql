-- Every record that could not be used, once: file, record number (the heading is record 1), column, what kind of thing stood there
-- (never the value), and why. Rows read are rows kept and rows rejected.
-- watch: rejects = count(*)
-- watch: duplicates = count(*) filter (reason = 'duplicate')
with

structural as (
    select
        structural_rejects.*,
        source_files.canonical_file
    from intake.structural_rejects
    left join intake.source_files using (source_file)
)

select
    source_file,
    row_number,
    column_name,
    value_class,
    reason,
    canonical_file
from structural
union all
select
    source_file,
    row_number,
    column_name,
    value_class,
    reason,
    'stays' as canonical_file
from staging.stay_faults
union all
select
    source_file,
    row_number,
    column_name,
    value_class,
    reason,
    'diagnoses' as canonical_file
from staging.diagnosis_faults
union all
select
    source_file,
    row_number,
    column_name,
    value_class,
    reason,
    'procedures' as canonical_file
from staging.procedure_faults
union all
select
    source_file,
    row_number,
    column_name,
    value_class,
    reason,
    'persons' as canonical_file
from staging.person_faults
union all
select
    source_file,
    row_number,
    column_name,
    value_class,
    reason,
    'enrollment' as canonical_file
from staging.enrollment_faults
union all
select
    source_file,
    row_number,
    column_name,
    value_class,
    reason,
    'history_diagnoses' as canonical_file
from staging.history_diagnosis_faults
union all
select
    source_file,
    row_number,
    column_name,
    value_class,
    reason,
    'history_procedures' as canonical_file
from staging.history_procedure_faults
union all
select
    source_file,
    row_number,
    column_name,
    value_class,
    reason,
    'hospitals' as canonical_file
from staging.hospital_faults
