-- Every distinct code that occurs in the extract. Code lists are given as prefixes; they are expanded once, against these codes.
with

codes as (
    select distinct
        'ICD10CM' as code_system,
        code
    from staging.diagnosis_codes
    union
    select distinct
        'ICD10PCS' as code_system,
        code
    from staging.procedures
    union
    select distinct
        'ICD10PCS' as code_system,
        code
    from staging.history_procedures
)

select
    code_system,
    code
from codes
order by code_system, code
