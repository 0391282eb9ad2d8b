-- The qualifying hip and knee replacement codes of every stay, each code once, and whether it is a hip.
with

-- The body part is the first four characters of an ICD-10-PCS code: those of the hip codes tell hips among the uncertain ones.
hips as (
    select distinct left(code_prefix, 4) as body_part
    from reference.cohort_codes
    where
        measure = 'THA_TKA'
        and role = 'qualifying_procedure_tha'
)

select distinct
    stay_roles.measure,
    stay_roles.stay_key,
    stay_roles.code,
    hips.body_part is not null as is_hip
from cohort.stay_roles
left join hips on left(stay_roles.code, 4) = hips.body_part
where
    stay_roles.measure = 'THA_TKA'
    and (
        stay_roles.role in ('qualifying_procedure_tha', 'qualifying_procedure_tka')
        or (stay_roles.role = 'uncertain_procedure' and $uncertain_hip_knee_procedures)
    )
order by stay_roles.stay_key, stay_roles.code
