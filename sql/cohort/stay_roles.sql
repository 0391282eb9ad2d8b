-- The codes of every stay that mean something to a measure: each diagnosis (principal or secondary, present on admission or not)
-- and each procedure with its role. A merged stay has the union of its parts' codes.
with

-- The few codes with a role; the many diagnoses are looked up among them by key.
diagnosis_roles as (
    select
        diagnosis_codes.code_key,
        diagnosis_codes.code,
        diagnosis_codes.present_on_admission,
        code_roles.measure,
        code_roles.role
    from staging.diagnosis_codes
    inner join cohort.code_roles using (code)
    where code_roles.code_system = 'ICD10CM'
),

diagnosis_hits as (
    select
        stay_parts.stay_key,
        diagnosis_roles.measure,
        diagnosis_roles.role,
        diagnosis_roles.code,
        diagnoses.sequence = 1 and stay_parts.is_first_part as is_principal,
        diagnosis_roles.present_on_admission
    from staging.diagnoses
    inner join diagnosis_roles using (code_key)
    inner join cohort.stay_parts on diagnoses.stay_key = stay_parts.part_key
    where not (diagnoses.sequence = 1 and stay_parts.repeats_principal)
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
