-- Every stay that meets the clinical definition of a measure, whether or not another rule excludes it.
with

-- Codes that look as if they belonged, and do not.
near_misses as (
    select
        measure,
        stay_key
    from cohort.stay_roles
    where
        role = 'excluded_near_miss'
        and is_principal
),

-- AMI, COPD, HF, PN: the principal diagnosis is one of the measure's.
principal_diagnosis as (
    select
        stay_roles.measure,
        stay_roles.stay_key
    from cohort.stay_roles
    anti join near_misses using (measure, stay_key)
    where
        stay_roles.role = 'principal_dx'
        and stay_roles.is_principal
),

-- COPD: acute, acute-on-chronic or unspecified respiratory failure, or R09.2, with a secondary exacerbated COPD.
respiratory_failure as (
    select
        stay_roles.measure,
        stay_roles.stay_key
    from cohort.stay_roles
    where
        stay_roles.measure = 'COPD'
        and stay_roles.role = 'principal_dx_needs_secondary'
        and stay_roles.is_principal
        and stay_roles.stay_key in (
            select secondary.stay_key
            from cohort.stay_roles as secondary
            where
                secondary.measure = 'COPD'
                and secondary.role = 'required_secondary_dx'
                and not secondary.is_principal
        )
),

-- PN: sepsis with a secondary pneumonia that was present on admission ...
pneumonia_on_admission as (
    select stay_key
    from cohort.stay_roles
    where
        measure = 'PN'
        and not is_principal
        and present_on_admission
        and (
            role = 'required_secondary_dx'
            or (role = 'required_secondary_dx_optional' and $optional_pneumonia_secondary)
        )
),

-- ... and no severe sepsis present on admission.
severe_sepsis_on_admission as (
    select stay_key
    from cohort.stay_roles
    where
        measure = 'PN'
        and role = 'disqualifying_secondary_dx_poa'
        and not is_principal
        and present_on_admission
),

sepsis_with_pneumonia as (
    select
        measure,
        stay_key
    from cohort.stay_roles
    where
        measure = 'PN'
        and role = 'principal_dx_needs_secondary'
        and is_principal
        and stay_key in (select pneumonia_on_admission.stay_key from pneumonia_on_admission)
        and stay_key not in (select severe_sepsis_on_admission.stay_key from severe_sepsis_on_admission)
),

-- CABG: a bypass code on any procedure line.
bypass as (
    select
        measure,
        stay_key
    from cohort.stay_roles
    where
        measure = 'CABG'
        and role = 'qualifying_procedure'
),

-- THA/TKA: a hip or knee replacement code on any procedure line.
joint_replacement as (
    select
        measure,
        stay_key
    from cohort.joint_procedures
),

all_definitions as (
    select * from principal_diagnosis
    union
    select * from respiratory_failure
    union
    select * from sepsis_with_pneumonia
    union
    select * from bypass
    union
    select * from joint_replacement
)

select
    measure,
    stay_key
from all_definitions
order by measure, stay_key
