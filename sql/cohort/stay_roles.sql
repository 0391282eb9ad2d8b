-- The codes of every stay that mean something to a measure: each diagnosis (principal or secondary, present on admission or not)
-- and each procedure with its role. A merged stay has the union of its parts' codes.
with

diagnosis_hits as (
    select
        stay_parts.stay_key,
        code_roles.measure,
        code_roles.role,
        diagnoses.code,
        diagnoses.is_principal and stay_parts.is_first_part as is_principal,
        diagnoses.present_on_admission
    from staging.diagnoses
    inner join cohort.code_roles on diagnoses.code = code_roles.code and code_roles.code_system = 'ICD10CM'
    inner join cohort.stay_parts on diagnoses.stay_key = stay_parts.part_key
    where not (diagnoses.is_principal and stay_parts.repeats_principal)
),

procedure_hits as (
    select
        stay_parts.stay_key,
        code_roles.measure,
        code_roles.role,
        procedures.code
    from staging.procedures
    inner join cohort.code_roles on procedures.code = code_roles.code and code_roles.code_system = 'ICD10PCS'
    inner join cohort.stay_parts on procedures.stay_key = stay_parts.part_key
)

select
    stay_key,
    measure,
    role,
    code,
    is_principal,
    present_on_admission
from diagnosis_hits
union all
select
    stay_key,
    measure,
    role,
    code,
    false as is_principal,
    true as present_on_admission
from procedure_hits
