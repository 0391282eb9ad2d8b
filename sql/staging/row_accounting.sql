-- Every source file with the rows that were read, kept and rejected, and how many of the rejected ones are exact duplicates. Kept
-- rows are counted on their own, so that rows read = rows kept + rows rejected is a check and no definition.
with

kept as (
    select
        source_file,
        'stays' as canonical_file,
        count(*) as rows_kept
    from staging.stays
    group by source_file
    union all
    select
        source_file,
        'diagnoses' as canonical_file,
        count(*) as rows_kept
    from intake.diagnoses
    anti join staging.diagnosis_faults using (source_file, row_number)
    group by source_file
    union all
    select
        source_file,
        'procedures' as canonical_file,
        count(*) as rows_kept
    from intake.procedures
    anti join staging.procedure_faults using (source_file, row_number)
    group by source_file
    union all
    select
        source_file,
        'persons' as canonical_file,
        count(*) as rows_kept
    from intake.persons
    anti join staging.person_faults using (source_file, row_number)
    group by source_file
    union all
    select
        source_file,
        'enrollment' as canonical_file,
        count(*) as rows_kept
    from intake.enrollment
    anti join staging.enrollment_faults using (source_file, row_number)
    group by source_file
    union all
    select
        source_file,
        'history_diagnoses' as canonical_file,
        count(*) as rows_kept
    from intake.history_diagnoses
    anti join staging.history_diagnosis_faults using (source_file, row_number)
    group by source_file
    union all
    select
        source_file,
        'history_procedures' as canonical_file,
        count(*) as rows_kept
    from intake.history_procedures
    anti join staging.history_procedure_faults using (source_file, row_number)
    group by source_file
    union all
    select
        source_file,
        'hospitals' as canonical_file,
        count(*) as rows_kept
    from intake.hospitals
    anti join staging.hospital_faults using (source_file, row_number)
    group by source_file
),

rejected as (
    select
        source_file,
        canonical_file,
        count(*) as rows_rejected,
        count(*) filter (reason = 'duplicate') as duplicates
    from staging.rejects
    group by source_file, canonical_file
)

select
    source_files.source_file,
    source_files.canonical_file,
    source_files.rows_read,
    coalesce(kept.rows_kept, 0) as rows_kept,
    coalesce(rejected.rows_rejected, 0) as rows_rejected,
    coalesce(rejected.duplicates, 0) as duplicates
from intake.source_files
left join kept using (source_file, canonical_file)
left join rejected using (source_file, canonical_file)
order by source_files.source_file, source_files.canonical_file
